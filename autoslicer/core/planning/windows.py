"""When a burst of demand is complete, as a function of arrival times alone.

So every restart and every replay agrees.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress, count, islice
from operator import gt


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
    found = sorted(set(arrivals))
    # where nothing came for `idle` seconds, and the end of all
    gaps = [*compress(count(1), map(gt, islice(found, 1, None), (at + idle for at in found))), len(found)]
    result: dict[float, Batch] = {}
    start = 0
    while start < len(found):
        closes = found[start] + longest
        end = min(gaps[bisect_right(gaps, start)], bisect_right(found, closes))
        last = found[end - 1]
        result.update(dict.fromkeys(found[start:end], Batch(last, min(last + idle, closes))))
        start = end
    return result
