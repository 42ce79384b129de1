"""While a node is in a change, autoscalers are asked to leave it alone, and nobody else's wish is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoslicer.core import names, reading
from autoslicer.core.actions import AddTaint, RemoveTaint
from autoslicer.core.changes import marks
from autoslicer.core.phases import Phase
from tests.build import Node, node
from tests.core.stages import DEADLINE, NODE, PAUSABLE, Stage, stage

DOWN, DISRUPT = names.DO_NOT_DISRUPT
NOTE = names.MARKS
PLAIN = node("a")


def to_set(made: Node) -> tuple[str, ...]:
    return marks.to_set(reading.node(made.raw))


def ours(made: Node) -> tuple[str, ...] | None:
    return marks.ours(reading.node(made.raw))


def marked(made: Node) -> Node:
    return made.annotations({DOWN: "true", DISRUPT: "true", NOTE: f"{DOWN},{DISRUPT}"})


def test_a_node_is_given_the_marks_that_it_lacks() -> None:
    """One that is there is somebody else's whatever it says; one of an earlier change of ours is not."""
    assert to_set(PLAIN) == (DOWN, DISRUPT)
    assert to_set(PLAIN.annotations({DOWN: "true"})) == (DISRUPT,)
    assert to_set(PLAIN.annotations({DOWN: "false", DISRUPT: "true"})) == ()
    assert to_set(PLAIN.annotations({DOWN: "true", DISRUPT: "true", NOTE: DOWN})) == (DOWN,)


def test_only_marks_of_ours_are_taken_away() -> None:
    """By the note on the node, and as long as they say what we said."""
    assert ours(PLAIN.annotations({DOWN: "true", DISRUPT: "true"})) is None
    assert ours(PLAIN.annotations({DOWN: "true", DISRUPT: "true", NOTE: DISRUPT})) == (DISRUPT,)
    assert ours(PLAIN.annotations({DOWN: "false", DISRUPT: "true", NOTE: f"{DOWN},{DISRUPT}"})) == (DISRUPT,)
    assert ours(PLAIN.annotations({DISRUPT: "true", NOTE: f"{DOWN},elsewhere.io/x"})) == ()
    assert ours(marked(PLAIN)) == (DOWN, DISRUPT)


def test_what_is_set_and_noted_is_what_is_removed() -> None:
    """The annotations of one are those of the other; without a mark nothing is noted."""
    assert marks.setting((DOWN, DISRUPT)) == {DOWN: "true", DISRUPT: "true", NOTE: f"{DOWN},{DISRUPT}"}
    assert marks.removing((DOWN, DISRUPT)) == {DOWN: None, DISRUPT: None, NOTE: None}
    assert marks.removing(()) == {NOTE: None}
    assert marks.setting(()) == marks.removing(None) == {}


def test_the_marks_come_with_the_taint() -> None:
    """In one action; a mark that was there before is left out of it."""
    validated = stage(Phase.VALIDATED)
    assert AddTaint(NODE, "1", "1", (DOWN, DISRUPT)) in validated.look()[1]
    kept = validated.vary("node", lambda made: made.annotations({DISRUPT: "true"}))
    assert AddTaint(NODE, "1", "1", (DOWN,)) in kept.look()[1]


def lost(made: Node) -> Node:
    """The node is lost, and nothing on it is paused."""
    return made.not_ready().labels(dict.fromkeys(PAUSABLE, "true"))


ENDS: dict[Phase, tuple[Callable[[Stage], Stage], str]] = {
    Phase.TAINTED: (lambda here: here.drop("a", "b"), "Cancelled"),
    Phase.PUBLISHED: (lambda here: here.drop("a", "b"), "Cancelled"),
    Phase.LABELLED: (lambda here: here.vary("node", lost).at(DEADLINE), "Quarantined"),
    Phase.APPLIED: (lambda here: here.at(DEADLINE), "Quarantined"),
    Phase.VERIFIED: (lambda here: here.drop("a", "b"), "Done"),
}


@pytest.mark.parametrize("phase", ENDS)
def test_the_marks_stay_until_the_end(phase: Phase) -> None:
    """Lifting the taint in the middle leaves them; the end takes both away, or what is left of them."""
    here = stage(phase).vary("node", marked)
    assert here.look()[0].phase == phase
    assert all(action.marks is None for action in here.look()[1] if isinstance(action, RemoveTaint))
    leave, end = ENDS[phase]
    status, actions = leave(here).look()
    assert status.phase == end
    assert RemoveTaint(NODE, "1", (DOWN, DISRUPT)) in actions
    none_left = leave(here.vary("node", lambda made: made.annotations({NOTE: ""})))
    assert RemoveTaint(NODE, "1", ()) in none_left.look()[1]
