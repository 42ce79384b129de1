"""How many nodes of a policy may be in a change at once; some limits hold at certain times only.

A budget means what a disruption budget of Karpenter's NodePool means: with a schedule it counts for its
duration after each time that the schedule comes up, else always, and of all that count the strictest decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from autoslicer.core import schedules
from autoslicer.core.causes import Cause

_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:0s)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on the nodes that are in a change at once.

    Attributes:
        nodes: "3", or "10%" of the governed nodes (rounded up); "0" lets none start.
        schedule: when it begins to count, as a cron schedule in UTC; empty where it always counts.
        duration: for how many seconds it counts then.
        causes: of the changes that it holds back; empty for every cause.
    """

    nodes: str
    schedule: str = ""
    duration: float = 0.0
    causes: frozenset[Cause] = frozenset()

    def counts(self, now: float, cause: Cause) -> bool:
        """It limits changes of this cause at this moment (seconds since the epoch)."""
        return (not self.causes or cause in self.causes) and self._open(now)

    def turns(self, now: float) -> float | None:
        """The next moment, after `now`, at which it may begin or cease to count; None for never.

        Windows that overlap are one: at the end of the first it still counts, and is to be asked again.
        """
        if not self.schedule:
            return None
        if not self._open(now):
            return schedules.following(self.schedule, now)
        began = schedules.latest(self.schedule, now)
        return None if began is None else began + self.duration

    def _open(self, now: float) -> bool:
        if not self.schedule:
            return True
        began = schedules.latest(self.schedule, now)
        return began is not None and now < began + self.duration


def limit(budgets: Iterable[Budget], governed: int, now: float, cause: Cause) -> int:
    """How many of the governed nodes may be in a change at once for one of this cause to start."""
    counting = (budget for budget in budgets if budget.counts(now, cause))
    return min((_nodes(budget, governed) for budget in counting), default=governed)


def turn(budgets: Iterable[Budget], now: float) -> float | None:
    """The next moment at which `limit` may change by the time alone; None for never."""
    return min((at for budget in budgets if (at := budget.turns(now)) is not None), default=None)


def duration(text: str) -> float:
    """The seconds in a duration of hours and minutes.

    Raises:
        ValueError: it is none, or is not longer than nothing.

    >>> duration("8h"), duration("1h30m"), duration("45m0s")
    (28800.0, 5400.0, 2700.0)
    """
    match = _DURATION.fullmatch(text)
    hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0)
    if not hours and not minutes:
        raise ValueError(f"{text[:32]!r} is no duration; it should read like 8h, 90m or 1h30m")
    return hours * 3600.0 + minutes * 60.0


def _nodes(budget: Budget, governed: int) -> int:
    if not budget.nodes.endswith("%"):
        return min(governed, int(budget.nodes))
    return -(-governed * int(budget.nodes[:-1]) // 100)
