"""How many nodes may be in a change at once, and when that changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core import budgets
from autoslicer.core.budgets import Budget
from autoslicer.core.causes import Cause
from autoslicer.core.times import seconds
from tests.build import NOON, policy
from tests.core.scenes import snapshot


def read(*made: dict[str, Any]) -> tuple[Budget, ...]:
    """Budgets as a policy has them."""
    return snapshot(policy().set("spec.disruption.budgets", list(made))).policies["default"].budgets


def allowed(found: tuple[Budget, ...], governed: int, now: float = NOON, cause: Cause = Cause.DEMAND) -> int:
    return budgets.limit(found, governed, now, cause)


@pytest.mark.parametrize(
    ("nodes", "governed", "allowed"),
    [
        ((), 7, 7),
        (("0",), 7, 0),
        (("0%",), 7, 0),
        (("3",), 7, 3),
        (("9",), 7, 7),
        (("10%",), 1, 1),
        (("10%",), 10, 1),
        (("10%",), 11, 2),
        (("50%",), 3, 2),
        (("100%",), 7, 7),
        (("3", "50%", "2"), 7, 2),
        (("3", "10%"), 7, 1),
        (("10%",), 0, 0),
    ],
)
def test_the_strictest_budget_counts_and_percentages_round_up(
    nodes: tuple[str, ...], governed: int, allowed: int
) -> None:
    """Of the nodes that the policy governs; no budget allows more than these."""
    assert budgets.limit(tuple(map(Budget, nodes)), governed, NOON, Cause.DEMAND) == allowed


@given(st.integers(0, 100), st.integers(0, 5000))
def test_a_percentage_is_the_least_number_that_is_no_less(percent: int, governed: int) -> None:
    """Whatever the numbers."""
    least = allowed((Budget(f"{percent}%"),), governed)
    assert (least - 1) * 100 < governed * percent <= least * 100


def test_a_budget_with_a_schedule_counts_for_its_duration() -> None:
    """From the moment that the schedule comes up on, and no moment longer; else the others decide."""
    found = read({"nodes": "50%"}, {"nodes": "0", "schedule": "30 8 * * mon-fri", "duration": "9h30m"})
    friday = seconds("2026-11-20T08:30:00Z")
    assert allowed(found, 10, friday - 0.001) == 5
    assert allowed(found, 10, friday) == 0
    assert allowed(found, 10, friday + 9.5 * 3600 - 0.001) == 0
    assert allowed(found, 10, friday + 9.5 * 3600) == 5
    assert allowed(found, 10, friday + 24 * 3600) == 5
    assert allowed(found, 10, friday + 72 * 3600) == 0


def test_windows_that_overlap_are_one() -> None:
    """A window that begins every hour and lasts two never ends."""
    found = read({"nodes": "0", "schedule": "@hourly", "duration": "2h"})
    assert {allowed(found, 10, NOON + minute * 60) for minute in range(240)} == {0}


def test_a_budget_counts_for_the_causes_that_it_names() -> None:
    """For every cause where it names none."""
    found = read({"nodes": "3"}, {"nodes": "1", "reasons": ["Headroom"]})
    assert (allowed(found, 10), allowed(found, 10, cause=Cause.HEADROOM)) == (3, 1)


SCHEDULES = ("0 12 * * *", "*/7 * * * *", "30 8 * * mon-fri", "@hourly", "0 0 29 2 *", "15,45 3-5 1 * sun")
windows = st.builds(
    Budget,
    st.just("0"),
    st.sampled_from(SCHEDULES),
    st.sampled_from((60.0, 1800.0, 3600.0, 5400.0, 90000.0)),
)


@given(st.lists(windows, min_size=1, max_size=3), st.integers(0, 400_000), st.floats(0.001, 0.999))
def test_nothing_changes_before_the_turn(found: list[Budget], minute: int, part: float) -> None:
    """A loop that sleeps until the turn misses nothing."""
    now = NOON + minute * 60.0
    before = budgets.limit(found, 9, now, Cause.DEMAND)
    at = budgets.turn(found, now)
    assert at is not None
    assert at > now
    assert budgets.limit(found, 9, now + (at - now) * part, Cause.DEMAND) == before


def test_a_window_turns_when_it_opens_and_when_it_closes() -> None:
    """Budgets without a schedule never turn."""
    found = read({"nodes": "1"}, {"nodes": "0", "schedule": "0 14 * * *", "duration": "1h"})
    assert budgets.turn(found[:1], NOON) is None
    assert budgets.turn(found, NOON) == NOON + 7200
    assert budgets.turn(found, NOON + 7200) == NOON + 10800


@pytest.mark.parametrize("text", ["", "0h", "0m", "8", "1d", "1h 30m", "-1h", "30m1h", "1.5h", "0s", "90s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With an example of what would be one."""
    with pytest.raises(ValueError, match="should read like 8h, 90m or 1h30m"):
        budgets.duration(text)
