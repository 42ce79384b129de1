"""How sure a mean of a few figures is: Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95
_LARGE = 10_000
"""degrees of freedom from which on the normal distribution's quantile differs by less than a thousandth"""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a mean lies.

    Attributes:
        mean: of the figures.
        half: of the interval's width around it; None for a single figure, which says nothing of others.
        count: of the figures.
    """

    mean: float
    half: float | None
    count: int

    @property
    def excludes_zero(self) -> bool:
        """The mean is sure not to be zero; of a single figure nothing is."""
        return self.half is not None and abs(self.mean) > self.half


def interval(figures: Sequence[float], level: float = LEVEL) -> Interval:
    """The mean with its confidence interval, by Student's t for figures that are drawn independently.

    mean ± t(1 - (1 - level) / 2; n - 1) · s / sqrt(n), where s is the standard deviation of the sample.

    Args:
        figures: at least one.
        level: how sure it is to hold the true mean, between 0 and 1.
    """
    count = len(figures)
    mean = math.fsum(figures) / count
    if count == 1:
        return Interval(mean, None, 1)
    if min(figures) == max(figures):
        return Interval(figures[0], 0.0, count)
    variance = math.fsum((figure - mean) ** 2 for figure in figures) / (count - 1)
    return Interval(mean, t_quantile((1 + level) / 2, count - 1) * math.sqrt(variance / count), count)


def t_quantile(probability: float, freedom: int) -> float:
    """What Student's t with so many degrees of freedom exceeds with the rest of a probability of 0.5 or more.

    Found by bisection of the distribution's finite series for whole degrees of freedom: Abramowitz and
    Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.

    >>> round(t_quantile(0.975, 9), 4)
    2.2622
    """
    within, freedom = 2 * probability - 1, min(freedom, _LARGE)
    low, high = 0.0, 1.0
    while _within(high, freedom) < within:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        if _within(middle, freedom) < within:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, freedom: int) -> float:
    """The probability that Student's t lies between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term, terms = 1.0, 0.0 if freedom == 1 else 1.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= square * (step - 1) / step
        terms += term
    if not odd:
        return sine * terms
    return (angle + sine * math.cos(angle) * terms) * 2 / math.pi
