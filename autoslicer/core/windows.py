"""When a burst of demand is complete, as a function of arrival times alone.

So every restart and every replay agrees.
"""

from __future__ import annotations

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
    batch: list[float] = []

    def close() -> None:
        if batch:
            whole = Batch(batch[-1], min(batch[-1] + idle, batch[0] + longest))
            result.update(dict.fromkeys(batch, whole))
            batch.clear()

    for arrival in sorted(set(arrivals)):
        if batch and arrival > min(batch[-1] + idle, batch[0] + longest):
            close()
        batch.append(arrival)
    close()
    return result
