"""When hints that the scheduler dropped are set again: once it has come to rest.

A hint that the scheduler drops makes it try every pod of no higher priority anew, the pod itself among them
(the place that it held is free, as far as the scheduler can see). Set again before that is over, the hint is
dropped again, and so on without end. How long it takes depends on the machine and on how many pods wait, so
that the time is felt for.
"""

from __future__ import annotations

FIRST_SECONDS, LONGEST_SECONDS = 0.03, 1.0
"""from the last drop to the next hints; doubled while they do not last"""
LASTING_SECONDS = 1.0
"""hints that were kept so long were not set too early"""


class Renewal:
    """One for all pods: what one of them loses wakes the others. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self._delay = FIRST_SECONDS
        self._dropped = self._renewed = float("-inf")
        self._judged = True

    def dropped(self, now: float) -> None:
        """A hint was seen to be gone."""
        if not self._judged:
            self._judged = True
            early = now - self._renewed < LASTING_SECONDS
            self._delay = min(2 * self._delay, LONGEST_SECONDS) if early else FIRST_SECONDS
        self._dropped = now

    def pause(self, now: float) -> float:
        """In how many seconds hints may be set again."""
        # a clock that was set back makes nobody wait longer
        self._dropped = min(self._dropped, now)
        return max(0.0, self._dropped + self._delay - now)

    def renewed(self, now: float) -> None:
        """A hint is being set again."""
        self._renewed, self._judged = now, False
