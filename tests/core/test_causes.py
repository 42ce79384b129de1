"""A change that no pod waits for goes the same way, and nobody has to need it or come to it."""

from __future__ import annotations

import pytest

from autoslicer.core.causes import Cause
from autoslicer.core.phases import Phase
from tests.core.stages import LABELLED, UNLABELLED, Stage, ending, stage

OTHERS = [cause for cause in Cause if cause is not Cause.DEMAND]
FOR_MORE = [cause for cause in OTHERS if cause is not Cause.DRIFT]
"""those that may change a node whose layout is as it ought to be"""


def unserving(here: Stage, cause: Cause) -> Stage:
    """The change serves nobody, and no pod waits anywhere."""
    made = here.vary("change", lambda change: change.set("spec.serves", []).set("spec.cause", cause))
    wanted = [{"profile": "1g.10gb", "free": 4}]
    idle = {"afterSeconds": 60, "config": "all-7g.80gb"}
    asking = made.vary("policy", lambda policy: policy.set("spec.headroom", wanted).set("spec.idle", idle))
    return asking.drop("a", "b")


@pytest.mark.parametrize("phase", [Phase.WAITING, *UNLABELLED, *LABELLED[:-1]])
@pytest.mark.parametrize("cause", FOR_MORE)
def test_a_change_for_no_pod_takes_every_step_without_any(phase: Phase, cause: Cause) -> None:
    """It stands where one that pods wait for stands; one for demand ends as soon as its pods are gone."""
    assert unserving(stage(phase), cause).look()[0].phase == stage(phase).look()[0].phase
    wanted = stage(phase).drop("a", "b").look()[0]
    if phase in (Phase.WAITING, *UNLABELLED):
        assert ending(wanted) == ("Cancelled", "False", "ServedElsewhere")


@pytest.mark.parametrize("cause", OTHERS)
def test_a_change_for_no_pod_is_done_once_it_is_proven(cause: Cause) -> None:
    """No pod has to come; one that pods wait for waits for them to be bound."""
    verified = stage(Phase.VERIFIED)
    assert ending(unserving(verified, cause).look()[0]) == ("Done", "True", "Done")
    assert verified.look()[0].phase == "Verified"


@pytest.mark.parametrize("cause", FOR_MORE)
def test_no_least_benefit_is_asked_of_a_change_for_no_pod(cause: Cause) -> None:
    """`minBenefit` counts pods, which a change for demand must serve."""
    for phase in (Phase.WAITING, *UNLABELLED):
        here = stage(phase).vary("policy", lambda policy: policy.set("spec.disruption.minBenefit", 3))
        assert unserving(here, cause).look()[0].phase == stage(phase).look()[0].phase
        assert ending(here.look()[0]) == ("Cancelled", "False", "BelowMinBenefit")
