"""Student's t against its printed tables, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.confidence import Interval, interval, t_quantile

TABLE = {
    (0.975, 1): 12.7062, (0.975, 2): 4.3027, (0.975, 3): 3.1824, (0.975, 4): 2.7764, (0.975, 5): 2.5706,
    (0.975, 9): 2.2622, (0.975, 10): 2.2281, (0.975, 19): 2.0930, (0.975, 30): 2.0423, (0.975, 120): 1.9799,
    (0.9, 1): 3.0777, (0.95, 7): 1.8946, (0.99, 8): 2.8965, (0.995, 5): 4.0321, (0.9995, 1): 636.6192,
    (0.9995, 20): 3.8495,
}  # fmt: skip
"""the quantiles that statistical tables print"""


@pytest.mark.parametrize(("asked", "printed"), TABLE.items())
def test_quantiles_are_those_of_the_tables(asked: tuple[float, int], printed: float) -> None:
    """Every digit that is printed is right."""
    assert round(t_quantile(*asked), 4) == printed


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    """Thousands of seeds are no special case."""
    for freedom in (10_000, 10**9):
        assert t_quantile(0.975, freedom) == pytest.approx(NormalDist().inv_cdf(0.975), abs=5e-4)


def test_an_interval_of_known_figures() -> None:
    """Mean 4, standard deviation 2, three figures: 4 ± 4.3027 · 2 / sqrt(3)."""
    found = interval([2.0, 4.0, 6.0])
    assert (found.mean, found.count) == (4.0, 3)
    assert found.half == pytest.approx(4.302653 * 2 / math.sqrt(3), abs=1e-5)
    assert not found.excludes_zero
    assert interval([2.0, 2.5, 3.0]).excludes_zero


def test_a_single_figure_says_nothing_of_others() -> None:
    """It has no interval; equal ones have one without width."""
    assert interval([3.0]) == Interval(3.0, None, 1)
    assert not interval([3.0]).excludes_zero
    assert interval([0.1] * 10) == Interval(0.1, 0.0, 10)
    assert not interval([0.0, 0.0]).excludes_zero


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_hold_the_true_mean_as_often_as_they_say(level: float) -> None:
    """Of 4,000 samples of five normal figures each."""
    rng, held = Random(7), 0
    for _ in range(4000):
        found = interval([rng.gauss(10, 3) for _ in range(5)], level)
        assert found.half is not None
        held += abs(found.mean - 10) <= found.half
    assert held / 4000 == pytest.approx(level, abs=0.02)


@given(st.floats(0.5, 0.9999), st.integers(1, 300))
def test_quantiles_grow_with_the_probability_and_shrink_with_the_freedom(
    probability: float, freedom: int
) -> None:
    """More sureness is wider, more figures are narrower."""
    here = t_quantile(probability, freedom)
    assert t_quantile(min(0.99995, probability + 0.0001), freedom) > here
    assert t_quantile(probability, freedom + 1) <= here
