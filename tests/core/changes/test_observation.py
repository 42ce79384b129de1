"""What of the reads of a cluster counts for a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoslicer.core.changes.observation import needs_fresh, sight
from autoslicer.core.phases import BEFORE_LABEL, Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, mignode, pod
from tests.core.stages import EVERY, NODE, TAINTED, Stage, ready, stage, taint

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


# fresh reads


@pytest.mark.parametrize("phase", EVERY)
def test_while_a_label_is_to_be_set_only_fresh_reads_count(phase: Phase) -> None:
    """A cache is not enough before Labelled and while rolling back, and enough in between."""
    here = replace(ready(phase), fresh=False)
    fresh_only = phase in (*BEFORE_LABEL, Phase.ROLLING_BACK)
    assert needs_fresh(here.change, None) == fresh_only
    status, actions = here.look()
    assert (status != here.change.status or bool(actions)) != fresh_only


def test_a_change_that_is_held_is_looked_at_in_the_cache() -> None:
    """Only while it waits; a hold that comes later holds nothing."""
    waiting, running = stage(Phase.WAITING).change, stage(Phase.VALIDATED).change
    assert not needs_fresh(waiting, HELD)
    assert needs_fresh(running, HELD)


# sightings


@pytest.mark.parametrize("phase", TAINTED)
def test_a_sighting_is_a_fresh_read_of_idleness_under_the_taint(phase: Phase) -> None:
    """The first and the newest are kept; a cached read adds none and takes none."""
    here = stage(phase)
    assert sight((), here.change, here.observation, NOON) == (NOON,)
    assert sight((1.0,), here.change, here.observation, NOON) == (1.0, NOON)
    assert sight((1.0, 2.0), here.change, here.observation, NOON) == (1.0, NOON)
    cached = replace(here, fresh=False)
    assert sight((1.0, 2.0), here.change, cached.observation, NOON) == (1.0, 2.0)


def _seen(at: float) -> Builder:
    """What an agent saw at a time: a pod on the GPU that is to change."""
    seen = mignode(NODE).gpu({"7g.80gb": 1}, pods={"7g.80gb": ["team/c"]}).gpu({"7g.80gb": 1})
    return seen.set("status.observedAt", rfc3339(at))


@pytest.mark.parametrize(
    "disturb",
    [
        lambda here: here.vary("node", lambda node: node.set("spec.taints", [])),
        lambda here: here.vary("node", lambda node: taint(node.set("spec.taints", []), "2")),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE)),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE).phase("Pending")),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE).deleting()),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE), agent=_seen(NOON - 1000)),
        lambda here: here.put(agent=_seen(NOON - 1)),
        lambda here: here.drop("node"),
    ],
    ids=[
        "no taint",
        "another taint",
        "in use",
        "bound and not running",
        "terminating",
        "seen long ago",
        "a pod that only the agent sees",
        "no node",
    ],
)
def test_a_disturbance_takes_the_sightings_away(disturb: Callable[[Stage], Stage]) -> None:
    """Confirmation starts anew where the taint went or a pod walked in."""
    here = stage(Phase.TAINTED)
    assert sight((1.0, 2.0), here.change, disturb(here).observation, NOON) == ()
