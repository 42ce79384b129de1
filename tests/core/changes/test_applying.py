"""mig-manager's run for a change."""

from __future__ import annotations

from autoslicer.core import names
from autoslicer.core.actions import WakeAt
from autoslicer.core.phases import Phase, condition
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ChangeStatus
from tests.build import NOON, Layout
from tests.core.stages import (
    AFTER,
    BEFORE,
    DEADLINE,
    NODE,
    PAUSABLE,
    TARGET,
    Stage,
    acts,
    carried,
    events,
    resumed,
    stage,
    wakes,
)

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


def run_started(status: ChangeStatus) -> str:
    found = condition(status, "RunStarted")
    return "" if found is None else found.status


def success(*offered: Layout) -> Stage:
    """mig-manager says success for our label, was never seen paused, and the node offers this."""
    here = stage(Phase.LABELLED)
    labels = {names.MIG_CONFIG_STATE: "success", **dict.fromkeys(PAUSABLE, "true")}
    return here.vary("node", lambda node: node.layout(*offered, name=TARGET).labels(labels))


def test_pending_is_waited_for_and_the_start_is_noted() -> None:
    """Paused clients show that our run has begun."""
    here = stage(Phase.LABELLED)
    status, actions = here.look()
    assert (status.phase, run_started(status)) == ("Labelled", "True")
    assert actions == (WakeAt(DEADLINE),)
    unpaused = here.vary("node", lambda node: node.labels(dict.fromkeys(PAUSABLE, "true")))
    assert unpaused.look() == (unpaused.change.status, (WakeAt(DEADLINE),))


def test_success_after_a_start_that_was_seen_counts_at_once() -> None:
    """Whatever the node offers by now, but the old layout."""
    begun = carried(stage(Phase.LABELLED), stage(Phase.LABELLED).look()[0])
    for offered in ([], [{"1g.10gb": 3}], AFTER):
        done = begun.vary("node", lambda node, offered=offered: resumed(node, *offered))
        assert done.look()[0].phase == "Applied"
    old = begun.vary("node", lambda node: resumed(node, *BEFORE))
    assert old.look()[0].phase == "Labelled"


def test_success_with_clients_still_paused_does_not_count() -> None:
    """The success of an earlier run, or of a rollback: the device plugin will not come back."""
    done = stage(Phase.LABELLED).vary("node", lambda node: resumed(node, *AFTER))
    assert done.look()[0].phase == "Applied"
    held = done.vary("node", lambda node: node.labels({PAUSABLE[1]: names.PAUSED}))
    assert held.look()[0].phase == "Labelled"


def test_a_client_that_an_admin_switched_off_stays_off() -> None:
    """Its label reads false, which is nothing to wait for."""
    off = {f"{names.GPU_DEPLOY_PREFIX}dcgm": "false"}
    done = stage(Phase.LABELLED).vary("node", lambda node: resumed(node, *AFTER).labels(off))
    assert done.look()[0].phase == "Applied"


def test_a_late_success_of_an_earlier_run_does_not_count() -> None:
    """A success without a seen start is trusted only when it lasts; ours soon replaces an earlier one's."""
    late = success()
    status, actions = late.look()
    assert (status.phase, run_started(status)) == ("Labelled", "Unknown")
    assert wakes(actions) == [NOON + 10]
    noted = carried(late, status)
    assert noted.at(NOON + 9.75).look()[0] == status
    assert noted.at(NOON + 10).look()[0].phase == "Applied"
    taken_up = noted.put(node=stage(Phase.LABELLED).objects["node"]).at(NOON + 10)
    assert (taken_up.look()[0].phase, run_started(taken_up.look()[0])) == ("Labelled", "True")


def test_a_success_that_still_offers_the_old_layout_never_counts() -> None:
    """The node's slices must be those of the new layout, or away: the deadline decides."""
    stale = success(*BEFORE)
    noted = carried(stale, stale.look()[0])
    assert noted.at(DEADLINE - 1).look()[0].phase == "Labelled"
    assert noted.at(DEADLINE).look()[0].phase == "Tainted"


def test_a_layout_that_is_there_already_counts_at_once() -> None:
    """mig-manager reports success within moments and pauses nothing: the wanted slices are proof enough."""
    assert success(*AFTER).look()[0].phase == "Applied"


def test_a_gpu_that_was_cut_from_nothing() -> None:
    """With an empty layout before, offering nothing is no sign of the old layout."""
    empty = [{"from": {}, "to": {"1g.10gb": 7}, "index": 0, "changed": True}]
    here = success().vary("change", lambda change: change.set("spec.gpus", empty))
    begun = carried(here, here.look()[0]).at(NOON + 10)
    assert begun.look()[0].phase == "Applied"


def test_a_run_that_does_not_end_is_given_up_at_the_deadline() -> None:
    """The message names the state that mig-manager is stuck in."""
    here = stage(Phase.LABELLED)
    assert here.at(DEADLINE - 0.25).look()[0].phase == "Labelled"
    status, actions = here.at(DEADLINE).look()
    assert (status.phase, status.attempt, events(actions)) == ("Tainted", 2, [("Warning", "ApplyStuck")])
    assert "its state is pending" in status.steps[-1].message
    assert acts(actions) == ()


def test_a_success_that_is_first_seen_after_the_deadline_still_counts() -> None:
    """A controller that was away for long takes note of what mig-manager did meanwhile."""
    late = stage(Phase.LABELLED).vary("node", lambda node: resumed(node, *AFTER)).at(DEADLINE + 500)
    assert late.look()[0].phase == "Applied"
    unseen = success().at(DEADLINE + 500)
    status, actions = unseen.look()
    assert (status.phase, wakes(actions)) == ("Labelled", [DEADLINE + 510])
    assert carried(unseen, status).at(DEADLINE + 510).look()[0].phase == "Applied"
