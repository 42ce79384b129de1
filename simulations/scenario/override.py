"""One field of a scenario set to another value, named by its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from autoslicer.api.sentences import Location, fields, instead, kind_at, path
from autoslicer.core.plain_text import plain
from simulations.scenario import document
from simulations.scenario.model import ScenarioModel
from simulations.workload.mistakes import InputError


@dataclass(frozen=True, slots=True)
class Override:
    """A field and the value that it gets.

    Attributes:
        text: as it was written, `PATH=VALUE`.
        parts: the path, split at its dots.
        value: what the YAML after the sign stands for.
    """

    text: str
    parts: tuple[str, ...]
    value: Any


def parsed(text: str) -> Override:
    """The override that `PATH=VALUE` asks for, such as `policy.trigger.pendingSeconds=30`.

    Raises:
        InputError: there is no sign, no path, or the value is no YAML.
    """
    where, sign, value = text.partition("=")
    if not sign or not all(where.split(".")):
        example = "policy.trigger.pendingSeconds=30"
        raise InputError(plain(f"{text}: is no PATH=VALUE; it should read like {example}"))
    try:
        return Override(text, tuple(where.split(".")), document.value(value))
    except ValueError as error:
        raise InputError(plain(f"{text}: {error}")) from None


def applied(raw: Any, override: Override) -> tuple[Any, Location]:
    """The document with the field set, and where that is; the old document stays as it was.

    What lies on the way and is absent is made. In a map, such as labels, the rest of the path is the key.

    Raises:
        InputError: a scenario has no such field, or its list no such entry.
    """
    return _set(raw, override, ())


def _set(raw: Any, override: Override, done: Location) -> tuple[Any, Location]:
    rest = override.parts[len(done) :]
    if not rest:
        return override.value, done
    kind = kind_at(ScenarioModel, done)
    if get_origin(kind) is list:
        index = _index(raw, override, done)
        new, location = _set(raw[index], override, (*done, index))
        return [*raw[:index], new, *raw[index + 1 :]], location
    old = raw if isinstance(raw, Mapping) else {}
    if get_origin(kind) is dict:
        key = ".".join(rest)
        return {**old, key: override.value}, (*done, key)
    if rest[0] not in fields(kind):
        raise _refused(override, done, kind)
    new, location = _set(old.get(rest[0]), override, (*done, rest[0]))
    return {**old, rest[0]: new}, location


def _index(raw: Any, override: Override, done: Location) -> int:
    text, length = override.parts[len(done)], len(raw) if isinstance(raw, list) else 0
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) < length):
        entries = f"its entries are 0 to {length - 1}" if length else "it has no entries"
        raise InputError(plain(f"{override.text}: {path(done)} has no entry {text}; {entries}"))
    return int(text)


def _refused(override: Override, done: Location, kind: Any) -> InputError:
    name, where = override.parts[len(done)], path(done) or "a scenario"
    if not fields(kind):
        return InputError(plain(f"{override.text}: {where} is a value and has no field {name}; set it whole"))
    right = instead(ScenarioModel, (*done, name))
    return InputError(plain(f"{override.text}: {where} has no field {name}; {right}"))
