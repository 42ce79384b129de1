"""A figure over time, kept in bounded memory however long it is followed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MOST_BINS = 360


@dataclass(frozen=True, slots=True)
class Course:
    """How a figure went: equal spans of time from the start on.

    Attributes:
        width: of a span, in seconds.
        means: of each span, by time.
        lows: the lowest value of each span.
        highs: the highest value of each span.
    """

    width: float
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(slots=True)
class Steps:
    """A figure that keeps its value until it is set to another one; it begins with 0 at time 0.

    At most `MOST_BINS` spans are kept. Where they do not suffice, pairs of them become one: no extreme is
    lost, and no mean is wrong. A value that lasts no time leaves no trace.
    """

    value: float = 0.0
    since: float = 0.0
    _width: float = 1.0
    _areas: list[float] = field(default_factory=list)
    _lows: list[float] = field(default_factory=list)
    _highs: list[float] = field(default_factory=list)

    def set(self, at: float, value: float) -> None:
        """From this time on (seconds since the start, never running back) it is this."""
        if value != self.value:
            self._hold(at)
            self.value = value

    def course(self, until: float) -> Course:
        """How it went until then."""
        self._hold(until)
        covered = (min(until, (index + 1) * self._width) - index * self._width for index in self._spans())
        means = tuple(area / part for area, part in zip(self._areas, covered, strict=True))
        return Course(self._width, means, tuple(self._lows), tuple(self._highs))

    def _spans(self) -> range:
        return range(len(self._areas))

    def _hold(self, until: float) -> None:
        """The value lasts until then."""
        since, self.since = self.since, max(self.since, until)
        if until <= since:
            return
        while until > MOST_BINS * self._width:
            self._merge()
        for index in range(int(since // self._width), math.ceil(until / self._width)):
            if index == len(self._areas):
                self._areas.append(0.0)
                self._lows.append(self.value)
                self._highs.append(self.value)
            part = min(until, (index + 1) * self._width) - max(since, index * self._width)
            self._areas[index] += part * self.value
            self._lows[index] = min(self._lows[index], self.value)
            self._highs[index] = max(self._highs[index], self.value)

    def _merge(self) -> None:
        """Spans of twice the length; the last one may have no second half."""
        starts = range(0, len(self._areas), 2)
        self._areas = [sum(self._areas[index : index + 2]) for index in starts]
        self._lows = [min(self._lows[index : index + 2]) for index in starts]
        self._highs = [max(self._highs[index : index + 2]) for index in starts]
        self._width *= 2
