"""Which of several does best, as far as the seeds can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from simulations.confidence import LEVEL, interval
from simulations.run import Outcome


class Verdict(Enum):
    """Of one that is compared with the best."""

    FEWER = auto()
    """it serves a smaller part of the pods"""
    LATER = auto()
    """it serves no smaller part that could be told, but later"""
    UNTOLD = auto()
    """no difference could be told"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of several beside the others.

    Attributes:
        best: its place: of those that serve the largest part of the pods, as far as can be told, the one with
            the lowest mean wait.
        verdicts: on each, by place; on the best itself UNTOLD.
    """

    best: int
    verdicts: tuple[Verdict, ...]


def compared(several: Sequence[Sequence[Outcome]]) -> Comparison:
    """Compare what came out of each under the same seeds.

    What differs between two under one seed is one figure; a difference is told where the interval of those
    figures (Student's t for pairs) excludes zero. The level is shared out over every pair and both measures
    (Bonferroni): with its probability none of the differences that are told is chance. A single seed is taken
    at its word.

    Args:
        several: at least one; of each what came out, seed by seed.
    """
    level = 1 - (1 - LEVEL) / max(1, len(several) * (len(several) - 1))
    shares = [[share(one) for one in seeds] for seeds in several]
    waits = [[one.waits.mean for one in seeds] for seeds in several]
    most = max(range(len(several)), key=lambda place: interval(shares[place]).mean)
    fewer = {place for place, one in enumerate(shares) if _below(one, shares[most], level)}
    as_many = [place for place in range(len(several)) if place not in fewer]
    best = min(as_many, key=lambda place: interval(waits[place]).mean)
    verdicts = (
        Verdict.FEWER
        if place in fewer
        else Verdict.LATER
        if _below(waits[best], one, level)
        else Verdict.UNTOLD
        for place, one in enumerate(waits)
    )
    return Comparison(best, tuple(verdicts))


def share(outcome: Outcome) -> float:
    """The part of the pods that was served."""
    return (outcome.pods - outcome.unserved) / outcome.pods


def _below(ones: Sequence[float], others: Sequence[float], level: float) -> bool:
    """Whether one is less than the other, for sure."""
    difference = interval([other - one for one, other in zip(ones, others, strict=True)], level)
    return difference.mean > 0 and (difference.half is None or difference.excludes_zero)
