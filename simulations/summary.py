"""Waits in a few figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DIGITS = 3
"""virtual time is told to the millisecond"""


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean, percentiles and maximum of some figures; all are 0 where there are none."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


def summary(values: Sequence[float]) -> Summary:
    """The figures of these values; a percentile is the smallest value that so many per cent do not exceed.

    >>> summary([4.0, 1.0, 3.0, 2.0])
    Summary(mean=2.5, p50=2.0, p95=4.0, p99=4.0, max=4.0)
    """
    if not values:
        return Summary(0.0, 0.0, 0.0, 0.0, 0.0)
    # there may be millions of them, of which no list is made
    found = np.sort(np.asarray(values, np.float64))

    def rank(share: int) -> float:
        return round(float(found[math.ceil(len(found) * share / 100) - 1]), DIGITS)

    mean = round(math.fsum(found) / len(found), DIGITS)
    return Summary(mean, rank(50), rank(95), rank(99), round(float(found[-1]), DIGITS))
