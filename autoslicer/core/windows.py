"""When a burst of demand is complete, as a function of arrival times alone.

So every restart and every replay agrees.
"""

from __future__ import annotations

from collections.abc import Iterable


def closings(arrivals: Iterable[float], *, idle: float, longest: float) -> dict[float, float]:
    """For each arrival time, when the batch that it belongs to is complete.

    The first arrival opens a batch. It is complete when nothing came for `idle` seconds, at the latest
    `longest` seconds after it was
    opened; the next arrival after that opens another one. So no arrival waits longer than `longest`.

    >>> closings([0.0, 4.0, 30.0], idle=10, longest=60)
    {0.0: 14.0, 4.0: 14.0, 30.0: 40.0}
    >>> closings([0.0, 8.0, 16.0], idle=10, longest=12)
    {0.0: 12.0, 8.0: 12.0, 16.0: 26.0}

    Args:
        arrivals: in seconds, in any order.
        idle: in seconds, at least 0.
        longest: in seconds, at least 0; below `idle` it counts as the idle time as well.
    """
    result: dict[float, float] = {}
    batch: list[float] = []

    def close(at: float) -> None:
        result.update(dict.fromkeys(batch, at))
        batch.clear()

    for arrival in sorted(set(arrivals)):
        if batch:
            at = min(batch[-1] + idle, batch[0] + longest)
            if arrival > at:
                close(at)
        batch.append(arrival)
    if batch:
        close(min(batch[-1] + idle, batch[0] + longest))
    return result
