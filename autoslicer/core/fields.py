"""Typed access to the fields of an untrusted object: what has another type is refused in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autoslicer.core import times
from autoslicer.core.plain_text import plain

_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?")
"""DNS subdomains, and the empty namespace"""
_LONGEST_LABEL = 63
YEAR = 365 * 24 * 3600
"""in seconds: the longest duration that the schema of a policy allows"""
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


def kind_of(value: object) -> str:
    """What a parsed JSON or YAML value is, in words.

    >>> kind_of([]), kind_of(None)
    ('a list', 'null')
    """
    return "null" if value is None else _NAMES.get(type(value), f"a {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one JSON object. Absent and null are the same, as for Kubernetes.

    Attributes:
        what: the object it belongs to, for messages: `Pod ns/x`.
        path: where in that object it is, such as `spec.containers[0]`; empty for the object itself.
        values: the fields.
    """

    what: str
    path: str
    values: Mapping[str, object]

    def at(self, key: str) -> str:
        """The path of a field of this object."""
        return plain(f"{self.path}.{key}" if self.path else key)

    def wrong(self, key: str, expected: str) -> ValueError:
        """The error for a field that is not what it has to be."""
        found = kind_of(self.values.get(key))
        return ValueError(f"{self.what}: {self.at(key)} must be {expected}, not {found}")

    def names(self) -> tuple[str, ...]:
        """The names of the fields, sorted."""
        if not all(isinstance(key, str) for key in self.values):
            raise ValueError(f"{self.what}: the keys of {self.path or 'the object'} must be strings")
        return tuple(sorted(self.values))

    def has(self, key: str) -> bool:
        """The field is there and not null."""
        return self.values.get(key) is not None

    def raw(self, key: str, default: str = "") -> str:
        """A string as it is, such as the content of a file."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A string that may be shown; see `plain`."""
        return plain(self.raw(key, default))

    def required(self, key: str) -> str:
        """A string that is not empty."""
        value = self.text(key)
        if not value:
            raise ValueError(f"{self.what}: {self.at(key)} is missing")
        return value

    def integer(self, key: str, default: int = 0) -> int:
        """A whole number within 64 bits."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "a whole number")
        if abs(value) >= 2**63:
            raise ValueError(f"{self.what}: {self.at(key)} is out of range")
        return value

    def count(self, key: str, default: int = 0) -> int:
        """A whole number that is not negative."""
        value = self.integer(key, default)
        if value < 0:
            raise ValueError(f"{self.what}: {self.at(key)} must not be negative")
        return value

    def duration(self, key: str, default: float) -> float:
        """A number of seconds that is not negative, nor longer than a year."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= YEAR:
            raise self.wrong(key, f"a number of seconds from 0 to {YEAR}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "a boolean")
        return value

    def time(self, key: str) -> float | None:
        """A timestamp in seconds since the epoch; None where it is absent."""
        text = self.text(key)
        if not text:
            return None
        try:
            return times.seconds(text)
        except ValueError as error:
            raise ValueError(f"{self.what}: {self.at(key)}: {error}") from None

    def fields(self, key: str) -> Fields:
        """An object; empty where it is absent."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Fields(self.what, self.at(key), value)

    def _list(self, key: str) -> list[object]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def each(self, key: str) -> Iterator[Fields]:
        """The objects of a list, in order; none where it is absent."""
        for index, value in enumerate(self._list(key)):
            path = f"{self.at(key)}[{index}]"
            if not isinstance(value, dict):
                raise ValueError(f"{self.what}: {path} must be an object, not {kind_of(value)}")
            yield Fields(self.what, path, value)

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings of a list, in order; none where it is absent."""
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{self.what}: {self.at(key)} must be a list of strings")
        return tuple(plain(str(value)) for value in values)

    def integers(self, key: str) -> tuple[int, ...]:
        """The whole numbers of a list, in order; none where it is absent."""
        values = self._list(key)
        whole = [v for v in values if isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**63]
        if len(whole) < len(values):
            raise ValueError(f"{self.what}: {self.at(key)} must be a list of whole numbers")
        return tuple(whole)

    def pairs(self, key: str) -> dict[str, str]:
        """A map from strings to strings, sorted by key; empty where it is absent."""
        inner = self.fields(key)
        return {plain(name): inner.text(name) for name in inner.names()}

    def labels(self, key: str) -> dict[str, str]:
        """A map of labels, sorted by key; no value is longer than Kubernetes allows."""
        found = self.pairs(key)
        if any(len(value) > _LONGEST_LABEL for value in found.values()):
            raise ValueError(
                f"{self.what}: {self.at(key)} has a value of more than {_LONGEST_LABEL} characters"
            )
        return found


def root(obj: object, kind: str) -> Fields:
    """The fields of a whole object, named by its kind, namespace and name.

    Raises:
        ValueError: it is no object, or its metadata have no name.
    """
    if not isinstance(obj, dict):
        raise ValueError(f"a {kind} must be an object, not {kind_of(obj)}")
    metadata = Fields(f"a {kind}", "", obj).fields("metadata")
    name, namespace = metadata.required("name"), metadata.text("namespace")
    for text in (name, namespace):
        if not _NAME.fullmatch(text):
            raise ValueError(f"a {kind}: {text[:64]!r} is not a name that Kubernetes allows")
    return Fields(f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}", "", obj)
