"""Phases and the numbers of changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core import reading
from autoslicer.core.phases import BEFORE_LABEL, FINAL, Phase, live, number, phase, reached, started
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from tests.build import NOON, change


def row(phase: str, *steps: tuple[str, float]) -> ReconfigurationRow:
    made = change("a", [{}], [{}], phase=phase or "Waiting")
    told = [{"phase": step, "at": rfc3339(at), "message": ""} for step, at in steps]
    return reading.change(made.put("status", {"phase": phase, "steps": told}).raw)


def test_an_object_without_status_waits() -> None:
    """That is how a change is created."""
    assert phase(row("")) is Phase.WAITING
    assert phase(row("Labelled")) is Phase.LABELLED


def test_a_phase_that_is_none_is_refused() -> None:
    """The readers let none through; a row made otherwise fails loudly."""
    with pytest.raises(ValueError, match="Lost"):
        Phase("Lost")


@pytest.mark.parametrize("here", list(Phase))
def test_a_change_is_live_until_a_final_phase_and_started_after_waiting(here: Phase) -> None:
    """The four ends are final; what is live and does not wait has its node out of service."""
    ends = {Phase.DONE, Phase.CANCELLED, Phase.QUARANTINED, Phase.ROLLED_BACK}
    assert live(row(here)) == (here not in ends)
    assert started(row(here)) == (here not in ends and here is not Phase.WAITING)
    assert ends == FINAL


def test_only_phases_before_the_label_can_be_undone_by_lifting_the_taint() -> None:
    """From Labelled on mig-manager may have cut."""
    assert {Phase.LABELLED, Phase.APPLIED, Phase.VERIFIED, Phase.ROLLING_BACK} | FINAL | BEFORE_LABEL == set(
        Phase
    )
    assert not BEFORE_LABEL & FINAL


def test_a_phase_was_reached_when_its_newest_step_says_so() -> None:
    """None where it was not."""
    found = row("Applied", ("Labelled", NOON), ("Applied", NOON + 5), ("Applied", NOON + 9))
    assert reached(found, Phase.LABELLED) == NOON
    assert reached(found, Phase.APPLIED) == NOON + 9
    assert reached(found, Phase.VERIFIED) is None


@given(st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True), st.integers(0, 10**6))
def test_the_number_of_a_change_is_read_back_from_its_name(node: str, n: int) -> None:
    """Whatever the node is called; another node's change has no number on this one."""
    assert number(f"{node}-{n}", node) == n
    assert number(f"{node}-{n}", f"x{node}") is None


@pytest.mark.parametrize("name", ["a", "a-", "a-x", "a-1x", "a--1", "a-1-2", "b-1", "a-²", "a- 1"])
def test_a_name_that_is_not_of_that_form_has_no_number(name: str) -> None:
    """Objects that people made may be called anything."""
    assert number(name, "a") is None
