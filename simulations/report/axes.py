"""Where values lie on a chart, and the round ones that are written beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

_UNITS = (("s", 1), ("min", 60), ("h", 3600), ("d", 86400))
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
_WAITS = (0.1, 1, 10, 60, 600, 3600, 36000, 86400, 864000, 8640000)
"""seconds: what is written at an axis of waits"""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear axis from 0 to `most` over so many units of a drawing."""

    most: float
    length: float

    def at(self, value: float) -> float:
        """Where a value lies."""
        return self.length * min(max(value, 0.0), self.most) / self.most if self.most else 0.0


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """A logarithmic axis; what is smaller than `least` lies at its begin."""

    least: float
    most: float
    length: float

    def at(self, value: float) -> float:
        """Where a value lies."""
        share = math.log(max(value, self.least) / self.least) / math.log(self.most / self.least)
        return self.length * min(share, 1.0)


def times(most: float, ticks: int = 5) -> list[tuple[float, str]]:
    """Round times up to this one, at most so many besides 0, each with its name.

    >>> times(7782.1)
    [(0, '0'), (1800, '30 min'), (3600, '1 h'), (5400, '1 h 30'), (7200, '2 h')]
    """
    step = next((step for step in _STEPS if most / step <= ticks), _STEPS[-1])
    return [(step * count, named(step * count)) for count in range(int(most // step) + 1)]


def waits(most: float) -> list[tuple[float, str]]:
    """The waits that are written at an axis up to this one."""
    return [(wait, named(wait)) for wait in _WAITS if wait <= most]


def named(seconds: float) -> str:
    """A round time, briefly.

    >>> named(0), named(0.1), named(90), named(5400), named(864000)
    ('0', '0.1 s', '1 min 30', '1 h 30', '10 d')
    """
    if not seconds:
        return "0"
    unit, length = next(((unit, length) for unit, length in reversed(_UNITS) if seconds >= length), ("s", 1))
    smaller = {60: 1, 3600: 60, 86400: 3600}.get(length)
    rest = round(seconds % length / smaller) if smaller else 0
    whole = seconds // length if smaller else seconds
    return f"{whole:g} {unit}" + (f" {rest:02d}" if rest else "")


def counts(most: float) -> list[float]:
    """Round figures from 0 up to at least this one, four at most besides 0.

    >>> counts(7), counts(0.9)
    ([0, 2, 4, 6, 8], [0, 1])
    """
    if most <= 1:
        return [0, 1]
    power = 10 ** math.floor(math.log10(most / 4)) if most > 4 else 1
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * 4 >= most)
    return [step * count for count in range(math.ceil(most / step) + 1)]
