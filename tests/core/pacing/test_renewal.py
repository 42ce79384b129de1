"""Hints that were dropped are set again once the scheduler has come to rest."""

from __future__ import annotations

import pytest

from autoslicer.core.pacing.renewal import FIRST_SECONDS, LASTING_SECONDS, LONGEST_SECONDS, Renewal


def test_the_first_renewal_is_quick() -> None:
    """Hints are set again thirty milliseconds after the last drop of a burst."""
    renewal = Renewal()
    renewal.dropped(100.0)
    renewal.dropped(100.02)
    assert renewal.pause(100.02) == pytest.approx(FIRST_SECONDS)
    assert renewal.pause(100.02 + FIRST_SECONDS) == pytest.approx(0, abs=1e-9)


def test_renewals_that_do_not_last_become_slower() -> None:
    """Each time that hints are dropped right after they were set, the wait doubles, up to a limit."""
    renewal, now, pauses = Renewal(), 100.0, []
    for _ in range(7):
        renewal.dropped(now)
        pauses.append(renewal.pause(now))
        now += pauses[-1]
        renewal.renewed(now)
        now += 0.1
    assert pauses == pytest.approx([min(FIRST_SECONDS * 2**n, LONGEST_SECONDS) for n in range(7)])


def test_many_drops_at_once_count_as_one() -> None:
    """A burst in which every pod loses its hint doubles the wait once."""
    renewal = Renewal()
    renewal.renewed(100.0)
    for n in range(5):
        renewal.dropped(100.1 + n / 1000)
    assert renewal.pause(100.104) == pytest.approx(2 * FIRST_SECONDS)


def test_a_renewal_that_lasted_makes_the_next_one_quick_again() -> None:
    """Hints that held for a second were not set too early, whatever drops them afterwards."""
    renewal = Renewal()
    renewal.renewed(100.0)
    renewal.dropped(100.1)
    renewal.renewed(100.2)
    renewal.dropped(100.2 + LASTING_SECONDS)
    assert renewal.pause(100.2 + LASTING_SECONDS) == pytest.approx(FIRST_SECONDS)


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    """What was dropped an hour ahead of the clock was dropped just now."""
    renewal = Renewal()
    renewal.dropped(3700.0)
    assert renewal.pause(100.0) == pytest.approx(FIRST_SECONDS)
    assert renewal.pause(100.1) == 0.0
