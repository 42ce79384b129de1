"""Which of several is told to be best, and where nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from simulations.comparing import Verdict, compared
from simulations.run import Outcome
from simulations.summary import summary

LIKE = Outcome("autoslicer", 100, 100, 0, summary([1.0]), {}, 2.0, 0, 0, 0.0, 0, 0.1, 0.0)
FEWER, LATER, UNTOLD = Verdict.FEWER, Verdict.LATER, Verdict.UNTOLD


def outcomes(waits: list[float], unserved: int = 0) -> list[Outcome]:
    return [replace(LIKE, waits=summary([wait]), unserved=unserved) for wait in waits]


def test_who_serves_fewer_never_wins() -> None:
    """However short the waits of those are that it serves."""
    found = compared([outcomes([1.0, 2.0, 3.0], unserved=9), outcomes([50.0, 60.0, 70.0])])
    assert (found.best, found.verdicts) == (1, (FEWER, UNTOLD))


def test_noise_is_not_told_as_a_difference() -> None:
    """Figures that scatter more than they differ; its twin differs under every seed by about as much."""
    scattered = [outcomes([10.0, 30.0, 20.0, 40.0]), outcomes([32.0, 12.0, 43.0, 20.0])]
    assert compared(scattered).verdicts == (UNTOLD, UNTOLD)
    paired = [outcomes([10.0, 30.0, 20.0, 40.0]), outcomes([11.9, 32.0, 22.1, 42.0])]
    found = compared(paired)
    assert (found.best, found.verdicts) == (0, (UNTOLD, LATER))


def test_one_seed_is_taken_at_its_word() -> None:
    """A difference is one, and no difference is none."""
    found = compared([outcomes([3.0]), outcomes([2.0]), outcomes([2.0]), outcomes([1.0], unserved=1)])
    assert (found.best, found.verdicts) == (1, (LATER, UNTOLD, UNTOLD, FEWER))


def test_few_differences_are_told_where_there_are_none() -> None:
    """Of 300 comparisons of five that do alike, at most one in twenty tells any difference."""
    rng = Random(7)
    told = sum(
        compared([outcomes([rng.gauss(60, 10) for _ in range(10)]) for _ in range(5)]).verdicts
        != (UNTOLD,) * 5
        for _ in range(300)
    )
    assert told <= 15


def test_a_clear_difference_is_told_among_many() -> None:
    """The care for many comparisons does not hide what is plain."""
    rng = Random(7)
    several = [outcomes([rng.gauss(60, 3) for _ in range(10)]) for _ in range(5)]
    several[3] = outcomes([rng.gauss(30, 3) for _ in range(10)])
    found = compared(several)
    assert (found.best, found.verdicts) == (3, (LATER, LATER, LATER, UNTOLD, LATER))
