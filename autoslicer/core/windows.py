"""When a burst of demand is complete, as a function of arrival times alone.

So every restart and every replay agrees.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrivals that are acted upon together.

    Attributes:
        last: its last arrival, in seconds.
        closes: when it is complete, in seconds.
    """

    last: float
    closes: float


def batches(arrivals: Iterable[float], *, idle: float, longest: float) -> dict[float, Batch]:
    """The batch of each arrival time.

    The first arrival opens a batch. It is complete when nothing came for `idle` seconds, at the latest
    `longest` seconds after it was opened; the next arrival after that opens another one.

    >>> found = batches([0.0, 4.0, 30.0], idle=10, longest=60)
    >>> [found[at].closes for at in (0.0, 4.0, 30.0)]
    [14.0, 14.0, 40.0]
    >>> found = batches([0.0, 8.0, 16.0], idle=10, longest=12)
    >>> [found[at].closes for at in (0.0, 8.0, 16.0)]
    [12.0, 12.0, 26.0]

    Args:
        arrivals: in seconds, in any order.
        idle: in seconds, at least 0.
        longest: in seconds, at least 0.
    """
    result: dict[float, Batch] = {}
    found = sorted(set(arrivals))
    start = 0
    for end in range(1, len(found) + 1):
        closes = min(found[end - 1] + idle, found[start] + longest)
        if end == len(found) or found[end] > closes:
            result.update(dict.fromkeys(found[start:end], Batch(found[end - 1], closes)))
            start = end
    return result


def latest(arrivals: Iterable[float], *, after: float, idle: float) -> list[float]:
    """The arrival times that decide about the batches of those later than `after`, sorted.

    The first of them opens a batch whatever was before it, for nothing came in the `idle` seconds until then.

    >>> latest([0.0, 4.0, 30.0, 38.0, 46.0], after=40.0, idle=10)
    [30.0, 38.0, 46.0]
    """
    found = sorted(set(arrivals))
    start = bisect_right(found, after)
    while 0 < start < len(found) and found[start] <= found[start - 1] + idle:
        start -= 1
    return found[start:]
