"""Nodes that come back do so apart from each other."""

from __future__ import annotations

from autoslicer.controller.spacing import Spacing


def test_the_first_waits_for_nobody_and_the_next_for_the_first() -> None:
    """Each gets its turn so many seconds after the one before it, in the order of asking."""
    spacing = Spacing(2.0)
    assert [spacing.turn(name, 100.0) for name in "abc"] == [0.0, 2.0, 4.0]
    assert spacing.turn("d", 120.0) == 0.0


def test_a_turn_stays_where_it_is() -> None:
    """Who asks again, before its turn or at it, is not sent to the end of the row."""
    spacing = Spacing(2.0)
    assert [spacing.turn(name, 100.0) for name in "abc"] == [0.0, 2.0, 4.0]
    assert [spacing.turn("b", at) for at in (101.0, 102.0, 103.0)] == [1.0, 0.0, 0.0]
    assert spacing.turn("c", 103.0) == 1.0


def test_one_that_never_comes_holds_nobody_up() -> None:
    """A turn that nobody takes costs the others the time between two, and no more."""
    spacing = Spacing(2.0)
    assert [spacing.turn(name, 100.0) for name in "ab"] == [0.0, 2.0]
    assert spacing.turn("c", 101.0) == 3.0
    assert spacing.turn("c", 104.0) == 0.0


def test_without_spacing_nobody_waits() -> None:
    """With 0 seconds all come back at once."""
    spacing = Spacing(0.0)
    assert [spacing.turn(name, 100.0) for name in "abc"] == [0.0, 0.0, 0.0]


def test_no_turn_comes_at_once_where_a_lead_is_asked_for() -> None:
    """Everybody waits at least for the lead, and the spacing counts between the turns themselves."""
    spacing = Spacing(2.0, 0.25)
    assert [spacing.turn(name, 100.0) for name in "ab"] == [0.25, 2.25]
    assert spacing.turn("c", 104.0) == 0.25
