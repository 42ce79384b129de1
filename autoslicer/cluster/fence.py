"""Whether this process may still write: as long as its Lease surely holds, by this machine's own clock."""

from __future__ import annotations

import math
import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""goes on while the process is stopped or the machine sleeps, and no one can set it"""


def elapsed() -> float:
    """Seconds on the clock that fences are measured by."""
    return time.clock_gettime(_CLOCK)


class Fence:
    """Open while the Lease holds; once it has closed it stays closed.

    Every write is held against it at the moment at which it is sent. A process that was stopped, or whose
    requests hung, until somebody else may have taken the Lease over, so writes nothing more, whatever it had
    decided before; what it had sent before is bound to what was seen then by the object's resourceVersion,
    uid or name.
    """

    def __init__(self) -> None:
        self._until = -math.inf
        self._closed = False

    @property
    def left(self) -> float:
        """Seconds for which one may still write; 0 where one may not."""
        rest = self._until - elapsed()
        if rest <= 0 and self._until > -math.inf:
            self._closed = True
        return 0.0 if self._closed else max(0.0, rest)

    @property
    def closed(self) -> bool:
        """It was open and is so no more."""
        return self.left == 0 and self._closed

    def open(self, until: float) -> None:
        """Writing is allowed until then, unless the fence has closed before."""
        if not self.closed:
            self._until = until

    def close(self) -> None:
        """The Lease is not ours, or will not be."""
        self._closed = True
