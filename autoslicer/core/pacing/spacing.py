"""Keeps apart the moments at which nodes come back, for each wakes every pod that waits for slices."""

from __future__ import annotations

USUAL_SECONDS = 2.0
"""between two nodes, where nobody asks for another time"""
LOOK_SECONDS = 0.2
"""those whose turn has not come ask again so soon"""
PATIENCE = 3.0
"""a node that is not back after so many times the spacing holds nobody up any more, nor does one that no
longer asks"""


class Spacing:
    """Gives each change a turn, in the order of asking. Times are in seconds since the epoch."""

    def __init__(self, seconds: float, lead: float = 0.0) -> None:
        """Nobody waits yet.

        Args:
            seconds: between two turns.
            lead: from the first asking to the turn, at least.
        """
        self._seconds, self._lead = seconds, lead
        self._asked: dict[str, tuple[float, float]] = {}
        self._given: dict[str, float] = {}

    def gave(self, name: str) -> bool:
        """The change had its turn of late."""
        return name in self._given

    def turn(self, name: str, now: float, *, busy: bool = False) -> float:
        """In how many seconds to ask again; 0 where it is this change's turn, which it keeps for a while.

        Args:
            name: of the change.
            now: the moment.
            busy: a node whose turn came before is not back yet.
        """
        patience = self._seconds * PATIENCE
        # what lies ahead of a clock that was set back counts as of now
        self._given = {
            who: min(at, now) for who, at in self._given.items() if at > now - patience or who == name
        }
        if name in self._given:
            return 0.0
        self._asked = {who: (min(first, now), min(last, now)) for who, (first, last) in self._asked.items()}
        first, _ = self._asked.get(name, (now, now))
        self._asked[name] = first, now
        self._asked = {who: times for who, times in self._asked.items() if times[1] > now - 1 - patience}
        ahead = any((at, who) < (first, name) for who, (at, _) in self._asked.items())
        last = max(self._given.values(), default=float("-inf"))
        wait = max(first + self._lead, last + (patience if busy else self._seconds)) - now
        if wait > 0 or ahead:
            return min(wait, LOOK_SECONDS) if wait > 0 else LOOK_SECONDS
        del self._asked[name]
        self._given[name] = now
        return 0.0
