"""The proof of a change, and whom it served."""

from __future__ import annotations

import pytest

from autoslicer.core.actions import WakeAt
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from tests.build import pod
from tests.core.stages import DEADLINE, NODE, TARGET, ending, ready, stage, succeeded
from tests.core.test_ways_out import WAYS_OUT

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


# proof


def test_the_proof_is_waited_for_until_the_deadline() -> None:
    """What is missing is told at the end, not before."""
    here = stage(Phase.APPLIED)
    assert here.look() == (here.change.status, (WakeAt(DEADLINE),))
    assert here.at(DEADLINE - 0.25).look()[0].phase == "Applied"
    status, _ = here.at(DEADLINE).look()
    assert ending(status) == ("Quarantined", "False", "PluginMissing")
    assert "allocatable shows nothing, not " in succeeded(status).message
    partly = here.vary("node", lambda node: node.layout({"1g.10gb": 3}, name=TARGET))
    assert ending(partly.at(DEADLINE).look()[0])[2] == "VerificationFailed"


def test_a_proof_that_is_first_seen_after_the_deadline_still_counts() -> None:
    """Proven is proven."""
    assert ready(Phase.APPLIED).at(DEADLINE + 500).look()[0].phase == "Verified"


# whom it served


def test_a_verified_change_waits_for_the_scheduler_until_the_deadline() -> None:
    """Then it is done all the same, but without success: the node is as planned."""
    here = stage(Phase.VERIFIED)
    assert here.look() == (here.change.status, (WakeAt(DEADLINE),))
    assert here.at(DEADLINE - 0.25).look()[0].phase == "Verified"
    assert ending(here.at(DEADLINE).look()[0]) == ("Done", "False", "DeadlineExceeded")
    assert ending(ready(Phase.VERIFIED).at(DEADLINE).look()[0]) == ("Done", "True", "Done")


@pytest.mark.parametrize("way", ["pods gone", "pods deleted", "pods made anew", "pods bound elsewhere"])
def test_pods_that_need_the_change_no_more_end_it(way: str) -> None:
    """Once verified; until then mig-manager's run and the proof go on."""
    gone = WAYS_OUT[way][0](stage(Phase.VERIFIED))
    assert ending(gone.look()[0]) == ("Done", "True", "ServedElsewhere")
    for phase in (Phase.LABELLED, Phase.APPLIED):
        assert WAYS_OUT[way][0](ready(phase)).look()[0].phase == ready(phase).look()[0].phase


def test_one_pod_that_still_waits_is_enough_to_go_on() -> None:
    """As long as the policy's `minBenefit` is met."""
    assert stage(Phase.VALIDATED).drop("a").look()[0].phase == "Validated"
    assert stage(Phase.VERIFIED).drop("a").look()[0].phase == "Verified"


def test_slices_that_a_rival_took_end_the_change() -> None:
    """Its pods fit no more: they must be planned for anew."""
    rivals = {f"r{n}": pod(f"rival/{n}").wants({"1g.10gb": 1}).on(NODE) for n in range(7)}
    assert ending(stage(Phase.VERIFIED).put(**rivals).look()[0]) == ("Done", "True", "ServedElsewhere")
    del rivals["r0"]
    assert stage(Phase.VERIFIED).put(**rivals).look()[0].phase == "Verified"
