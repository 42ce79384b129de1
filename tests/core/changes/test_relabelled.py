"""A label that somebody else sets while mig-manager works for a change."""

from __future__ import annotations

import pytest

from autoslicer.core import names
from autoslicer.core.actions import WakeAt
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from tests.build import NOON
from tests.core.stages import DEADLINE, LIFT, NODE, PAUSABLE, Stage, acts, carried, ending, stage

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


def relabelled(phase: Phase, state: str) -> Stage:
    """Somebody has replaced our label, and mig-manager is in that state, nothing paused."""
    labels = {
        names.MIG_CONFIG: "all-2g.20gb",
        names.MIG_CONFIG_STATE: state,
        **dict.fromkeys(PAUSABLE, "true"),
    }
    return stage(phase).vary("node", lambda node: node.labels(labels))


@pytest.mark.parametrize("phase", [Phase.LABELLED, Phase.APPLIED])
@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_foreign_label_ends_the_change_once_mig_manager_rests(phase: Phase, state: str) -> None:
    """It has to rest for ten seconds, for our run's success shows for a moment before the next run begins."""
    here = relabelled(phase, state)
    status, actions = here.look()
    assert (status.phase, actions) == (phase, (WakeAt(NOON + 10),))
    resting = carried(here, status)
    assert resting.at(NOON + 9.75).look()[0].phase == phase
    status, actions = resting.at(NOON + 10).look()
    assert ending(status) == ("Cancelled", "False", "ForeignOwner")
    assert acts(actions) == ((LIFT,) if phase is Phase.LABELLED else ())


@pytest.mark.parametrize("phase", [Phase.LABELLED, Phase.APPLIED])
@pytest.mark.parametrize(
    "busy",
    [
        {names.MIG_CONFIG_STATE: "pending"},
        {names.MIG_CONFIG_STATE: "rebooting"},
        {"nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change"},
    ],
    ids=["pending", "rebooting", "paused"],
)
def test_while_mig_manager_works_on_a_foreign_label_the_taint_stays(
    phase: Phase, busy: dict[str, str]
) -> None:
    """Its ten seconds of rest begin anew when it begins to work, and the deadline ends all waiting."""
    resting = carried(relabelled(phase, "success"), relabelled(phase, "success").look()[0])
    working = resting.vary("node", lambda node: node.labels(busy)).at(NOON + 5)
    status, actions = working.look()
    assert (status.phase, actions) == (phase, (WakeAt(DEADLINE),))
    again = carried(resting, status).at(NOON + 12)
    assert again.look()[1] == (WakeAt(NOON + 22),)
    assert ending(carried(working, status).at(DEADLINE).look()[0]) == ("Cancelled", "False", "ForeignOwner")
