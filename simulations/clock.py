"""Virtual time: a heap of things that will happen, and a clock that jumps from one to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

Happening = Callable[[], None]


@dataclass(slots=True)
class Clock:
    """Virtual time; what is planned for one moment happens in the order of planning.

    Attributes:
        now: seconds since the epoch.
    """

    now: float
    _heap: list[tuple[float, int, Happening]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def after(self, seconds: float, happening: Happening) -> None:
        """Plan something so many seconds from now."""
        if seconds < 0:
            raise ValueError(f"time does not run back: {seconds} s from now")
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), happening))

    @property
    def following(self) -> float | None:
        """When the next thing happens; None where nothing is planned."""
        return self._heap[0][0] if self._heap else None

    def jump(self, to: float) -> None:
        """Let everything happen that is due up to this moment; the clock shows it then."""
        if to < self.now:
            raise ValueError(f"time does not run back: from {self.now} to {to}")
        while self._heap and self._heap[0][0] <= to:
            self.now, _, happening = heapq.heappop(self._heap)
            happening()
        self.now = to

    def moments(self) -> Iterator[float]:
        """Let one thing happen after the other; each moment at which something does, the present first."""
        yield self.now
        while (following := self.following) is not None:
            self.jump(following)
            yield self.now
