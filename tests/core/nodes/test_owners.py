"""A sign of somebody else counts from the moment it is there until it is gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoslicer.core import names
from autoslicer.core.phases import Phase
from tests.build import resource_slice
from tests.core.scenes import planned, refusals
from tests.core.stages import NODE, UNLABELLED, Stage, ending, stage


def annotate(key: str) -> Callable[[Stage], Stage]:
    return lambda here: here.vary("node", lambda made: made.annotations({key: "x"}))


def label(key: str, value: str) -> Callable[[Stage], Stage]:
    return lambda here: here.vary("node", lambda made: made.labels({key: value}))


def taint(key: str, effect: str = "NoSchedule") -> Callable[[Stage], Stage]:
    return lambda here: here.vary("node", lambda made: made.taint(key, effect))


SIGNS: dict[str, tuple[Callable[[Stage], Stage], str]] = {
    "dra slices": (lambda here: here.put(dra=resource_slice(NODE)), "ForeignOwner"),
    "dra label": (label(names.DRA_PLUGIN, "true"), "ForeignOwner"),
    "hami": (annotate("hami.io/node-nvidia-register"), "ForeignOwner"),
    "nos": (annotate("nos.nebuly.com/spec-gpu-0-1g.10gb"), "ForeignOwner"),
    "nos label": (label("nos.nebuly.com/gpu-partitioning", "mig"), "ForeignOwner"),
    "karpenter": (taint("karpenter.sh/disrupted"), "NodeLeaving"),
    "autoscaler": (taint("ToBeDeletedByClusterAutoscaler"), "NodeLeaving"),
    "deleted": (lambda here: here.vary("node", lambda made: made.deleting()), "NotReady"),
    "cordoned": (lambda here: here.vary("node", lambda made: made.cordoned()), "Cordoned"),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_nothing_is_planned_while_a_sign_is_there(sign: str) -> None:
    """The node is refused with that reason; without the sign it is planned for."""
    give, reason = SIGNS[sign]
    here = stage(Phase.WAITING).drop("change")
    refused = planned(*give(here).objects.values())
    assert (refusals(refused), refused.reshapes) == ({NODE: reason}, ())
    assert [reshape.node for reshape in planned(*here.objects.values()).reshapes] == [NODE]


CANDIDATE = taint("DeletionCandidateOfClusterAutoscaler", "PreferNoSchedule")


def test_a_node_that_an_autoscaler_does_not_need_is_cut_for_pods_that_do() -> None:
    """A mere candidate for deletion is an idle node like others, and a change of it goes on."""
    here = CANDIDATE(stage(Phase.WAITING))
    assert [reshape.node for reshape in planned(*here.drop("change").objects.values()).reshapes] == [NODE]
    for phase in (Phase.WAITING, *UNLABELLED):
        assert CANDIDATE(stage(phase)).look()[0].phase == stage(phase).look()[0].phase != "Cancelled"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("phase", [Phase.WAITING, *UNLABELLED])
def test_a_sign_before_the_label_ends_the_change(phase: Phase, sign: str) -> None:
    """With that reason; without the sign it goes on."""
    give, reason = SIGNS[sign]
    assert ending(give(stage(phase)).look()[0]) == ("Cancelled", "False", reason)
    assert stage(phase).look()[0].phase != "Cancelled"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("phase", [Phase.LABELLED, Phase.APPLIED])
def test_a_sign_after_the_label_does_not_stop_what_was_begun(phase: Phase, sign: str) -> None:
    """mig-manager works already: half a change would be worse for everybody."""
    given, plain = SIGNS[sign][0](stage(phase)).look()[0], stage(phase).look()[0]
    assert given.phase == plain.phase == phase
