"""What humans say to the whole fleet."""

from __future__ import annotations

from autoslicer.core.pacing.fleet import FleetLimits, told
from tests.build import NOON

LIMITS = FleetLimits(starts_per_minute=7, failures=2)


def test_a_lease_without_our_annotations_changes_nothing() -> None:
    """And one that was paused before and is no more goes back to that."""
    assert told(LIMITS, {"example.com/x": "y"}) == LIMITS
    stopped = told(
        LIMITS, {"autoslicer.dev/paused": "by kim", "autoslicer.dev/resumed": "2026-11-20T12:00:00Z"}
    )
    assert stopped == FleetLimits(7, 2, resumed=NOON, paused="paused by kim")
    assert told(stopped, {}) == LIMITS


def test_whatever_the_annotation_says_it_pauses() -> None:
    """Also nothing; what cannot be printed is not."""
    assert told(LIMITS, {"autoslicer.dev/paused": ""}).paused == "paused"
    assert (
        told(LIMITS, {"autoslicer.dev/paused": "by\n\x1b[31m" + "k" * 999}).paused
        == f"paused by  [31m{'k' * 248}"
    )


def test_a_time_that_is_none_closes_no_circuit() -> None:
    """It counts as not there."""
    assert told(LIMITS, {"autoslicer.dev/resumed": "just now"}).resumed == 0.0
