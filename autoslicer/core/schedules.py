"""Cron schedules, in UTC: when one came up last, and when it comes up next."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = 5


def checked(schedule: str) -> str:
    """The schedule itself, where it is one that cron would take: five fields, or a word such as @daily.

    Where day of month and day of week are both given, a day that matches either counts, as in cron.

    Raises:
        ValueError: it is none, or no day ever matches it.

    >>> checked("0 22 * * mon-fri")
    '0 22 * * mon-fri'
    """
    line = _MACROS.get(schedule, schedule)
    try:
        if len(line.split()) != _FIELDS:
            raise CronSimError("it has not five fields")
        next(CronSim(line, datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration, OverflowError) as error:
        why = str(error) or "no day matches it"
        raise ValueError(
            f"{schedule[:64]!r} is no cron schedule ({why[:1].lower()}{why[1:]}); it should read like "
            '"0 22 * * mon-fri" (minute, hour, day of month, month, day of week) or @daily'
        ) from None
    return schedule


def latest(schedule: str, now: float) -> float | None:
    """When the schedule came up last, at `now` or before; None for never (all in seconds since the epoch)."""
    return _hit(schedule, math.floor(now) + 1, True)


def following(schedule: str, now: float) -> float | None:
    """When the schedule comes up next, after `now`; None for never (all in seconds since the epoch)."""
    return _hit(schedule, math.floor(now), False)


@lru_cache(maxsize=1024)
def _hit(schedule: str, at: int, before: bool) -> float | None:
    """The nearest moment strictly before or after a whole second."""
    start = datetime.fromtimestamp(at, UTC)
    try:
        return next(CronSim(_MACROS.get(schedule, schedule), start, reverse=before)).timestamp()
    except (StopIteration, OverflowError):
        return None
