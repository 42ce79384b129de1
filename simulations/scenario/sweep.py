"""A field of a scenario that takes several values in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from autoslicer.core.plain_text import plain
from simulations.scenario import override
from simulations.workload.mistakes import InputError

_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A field and the values that it takes.

    Attributes:
        path: of the field, as `--set` names it.
        values: as they were written, in their order; each is YAML.
    """

    path: str
    values: tuple[str, ...]


def parsed(text: str) -> Sweep:
    """The sweep that `PATH=VALUE,VALUE,...` asks for, such as `policy.trigger.pendingSeconds=5,30,120`.

    Commas within brackets, braces and quotes belong to a value.

    Raises:
        InputError: there is no sign, no path, a value that is no YAML, or one that is there twice.
    """
    path, sign, values = text.partition("=")
    if not sign:
        override.parsed(text)
    found = Sweep(path, tuple(value.strip() for value in _split(values)))
    meant = [override.parsed(f"{path}={value}").value for value in found.values]
    for place, value in enumerate(meant):
        if any(value == other and type(value) is type(other) for other in meant[:place]):
            raise InputError(
                plain(f"{text}: has the value {found.values[place]} twice; name each value once")
            )
    return found


def _split(text: str) -> Iterator[str]:
    """The parts between the commas that split."""
    depth, begin, place = 0, 0, 0
    before = ","
    while place < len(text):
        sign = text[place]
        if sign in "'\"" and before in ",:[{" and (quoted := _QUOTED.match(text, place)):
            place = quoted.end() - 1
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth = max(0, depth - 1)
        elif sign == "," and depth == 0:
            yield text[begin:place]
            begin = place + 1
        if not sign.isspace():
            before = sign
        place += 1
    yield text[begin:]
