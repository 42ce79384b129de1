"""Keeps apart the moments at which nodes come back, for each wakes every pod that waits for slices."""

from __future__ import annotations


class Spacing:
    """Gives each change a turn, in the order in which they ask, none sooner than `lead` seconds from then."""

    def __init__(self, seconds: float, lead: float = 0.0) -> None:
        self._seconds, self._lead = seconds, lead
        self._turns: dict[str, float] = {}

    def turn(self, name: str, now: float) -> float:
        """In how many seconds it is this change's turn; asking again does not move it.

        Args:
            name: of the change.
            now: seconds since the epoch.
        """
        last = max(self._turns.values(), default=now - self._seconds)
        at = self._turns.setdefault(name, max(now + self._lead, last + self._seconds))
        # a turn that lies as far back as that holds nobody up any more
        self._turns = {
            other: at for other, at in self._turns.items() if at + self._seconds > now or other == name
        }
        return max(0.0, at - now)
