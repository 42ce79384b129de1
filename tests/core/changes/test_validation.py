"""What a change still asks of the cluster, and what proves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from autoslicer.core.changes import validation
from autoslicer.core.phases import Phase
from autoslicer.core.reasons import Reason
from tests.build import NOON, Layout, MigNode, mignode, pod
from tests.core.stages import (
    AFTER,
    BEFORE,
    DEADLINE,
    NODE,
    SERVES,
    Stage,
    discovered,
    resumed,
    stage,
    waiting_pod,
)

LONG = 900
"""seconds after which an agent's reading is too old to be believed"""


def verdict(here: Stage) -> Reason | None:
    found = validation.verdict(here.change, here.snapshot, here.now)
    return None if found is None else found.reason


def keys(pods: tuple[Any, ...]) -> list[str]:
    return [pod.key for pod in pods]


# the pods


def test_pods_are_pending_until_they_are_bound_deleted_or_gone() -> None:
    """Those of `serves` alone, in its order."""
    here = stage(Phase.WAITING)
    assert keys(validation.pending(here.change, here.snapshot)) == list(SERVES)
    fewer = here.vary("a", lambda pod: pod.deleting()).put(c=waiting_pod("team/c"))
    assert keys(validation.pending(fewer.change, fewer.snapshot)) == ["team/b"]
    bound = here.put(b=waiting_pod("team/b").on("far")).drop("a")
    assert keys(validation.pending(bound.change, bound.snapshot)) == []
    finished = here.vary("a", lambda pod: pod.phase("Failed"))
    assert keys(validation.pending(finished.change, finished.snapshot)) == ["team/b"]


def test_only_pods_on_the_node_have_come() -> None:
    """A pod that was bound elsewhere is served, but not here."""
    here = stage(Phase.VERIFIED).put(a=waiting_pod("team/a").on(NODE), b=waiting_pod("team/b").on("far"))
    assert keys(validation.bound_here(here.change, here.snapshot)) == ["team/a"]


# benefit


def test_pods_count_for_the_benefit_while_they_fit_together() -> None:
    """On the changed node, beside what runs there, by slices and by everything else."""

    def least(number: int, here: Stage) -> Reason | None:
        return verdict(here.vary("policy", lambda p: p.set("spec.disruption.minBenefit", number)))

    both = stage(Phase.WAITING)
    assert least(2, both) is None
    assert least(3, both) is Reason.BelowMinBenefit
    hungry = both.put(**{word: waiting_pod(f"team/{word}").resources({"cpu": "40"}) for word in "ab"})
    assert least(2, hungry) is Reason.BelowMinBenefit
    assert least(1, hungry) is None
    running = hungry.put(c=pod("team/c").resources({"cpu": "30"}).on(NODE))
    assert least(1, running) is Reason.BelowMinBenefit
    greedy = both.put(**{word: pod(f"team/{word}").wants({"1g.10gb": 4}) for word in "ab"})
    assert (least(1, greedy), least(2, greedy)) == (None, Reason.BelowMinBenefit)


@pytest.mark.parametrize(
    "edit",
    [
        lambda pod: pod.selector({"zone": "b"}),
        lambda pod: pod.wants({"2g.20gb": 1}),
        lambda pod: pod.wants({"7g.80gb": 2}),
    ],
    ids=["selector", "slice not made", "slice that goes"],
)
def test_a_pod_that_fits_no_more_counts_no_more(edit: Callable[[Any], Any]) -> None:
    """A pod may be made anew under the same name with other wishes."""
    both = stage(Phase.WAITING)
    assert verdict(both.vary("a", edit)) is None
    assert verdict(both.vary("a", edit).vary("b", edit)) is Reason.BelowMinBenefit


def test_a_pod_that_was_made_anew_without_a_slice_is_none_of_those_served() -> None:
    """Whoever may create pods could else keep a change waiting, or end it as if it had served."""
    there = stage(Phase.VERIFIED)
    other = pod("team/a").resources({"cpu": "1"})
    for made, kept in ((waiting_pod("team/a"), 1), (other, 0)):
        only = there.put(a=made).drop("b")
        assert len(validation.pending(only.change, only.snapshot)) == kept
        bound = there.put(a=made.on(NODE)).drop("b")
        assert len(validation.bound_here(bound.change, bound.snapshot)) == kept


def test_a_slice_that_stays_counts() -> None:
    """The other GPU's slice is as good as the new ones."""
    big = stage(Phase.WAITING).put(a=pod("team/a").wants({"7g.80gb": 1})).drop("b")
    assert verdict(big) is None


def test_running_pods_keep_others_off() -> None:
    """Anti-affinity of a pod that runs on the node counts as for the scheduler."""
    guard = pod("team/guard").repels({"app": "infer"}).on(NODE)
    labelled = {word: waiting_pod(f"team/{word}").labels({"app": "infer"}) for word in "ab"}
    assert verdict(stage(Phase.WAITING).put(**labelled)) is None
    assert verdict(stage(Phase.WAITING).put(guard=guard, **labelled)) is Reason.BelowMinBenefit


# the layout


def test_the_layout_planned_from_must_still_be_there_gpu_by_gpu() -> None:
    """An agent that sees the slices on other GPUs than planned ends the change."""

    def agent(*layouts: Layout) -> MigNode:
        made = mignode(NODE)
        for layout in layouts:
            made = made.gpu(layout)
        return made

    halves: list[Layout] = [{"3g.40gb": 2}, {"7g.80gb": 1}]
    gpus = [
        {"index": index, "from": before, "to": after, "changed": index == 0}
        for index, (before, after) in enumerate(zip(halves, AFTER, strict=True))
    ]
    here = stage(Phase.WAITING).vary("change", lambda change: change.set("spec.gpus", gpus))
    here = here.vary("node", lambda node: node.layout(*halves, name="all-7g.80gb"))
    assert verdict(here.put(agent=agent(*halves))) is None
    assert verdict(here.put(agent=agent(*reversed(halves)))) is Reason.Superseded


def switching() -> Stage:
    """A change that switches MIG on, on a node where the second GPU has it."""
    layouts: list[Layout] = [None, {"7g.80gb": 1}]
    gpus = [
        {"index": 0, "to": AFTER[0], "changed": True},
        {"index": 1, "from": BEFORE[1], "to": AFTER[1], "changed": False},
    ]
    here = stage(Phase.WAITING).vary("change", lambda change: change.set("spec.gpus", gpus))
    here = here.vary("node", lambda node: node.layout(*layouts, name="all-7g.80gb"))
    here = here.put(agent=mignode(NODE).gpu(None).gpu({"7g.80gb": 1}))
    return here.vary("policy", lambda policy: policy.set("spec.layouts", {"allowModeChange": True}))


def test_mig_mode_is_switched_only_while_the_policy_allows_it() -> None:
    """A policy that was edited meanwhile counts as it reads now."""
    assert verdict(switching()) is None
    forbidden = switching().vary("policy", lambda policy: policy.set("spec.layouts", {}))
    assert verdict(forbidden) is Reason.ModeChangeForbidden


def test_switching_mig_mode_needs_the_whole_node_idle() -> None:
    """It clears every GPU of the node, also those whose layout stays."""
    user = pod("team/c").wants({"7g.80gb": 1}).on(NODE)
    agent = mignode(NODE).gpu(None).gpu({"7g.80gb": 1}, pods={"7g.80gb": ["team/c"]})
    used = switching().put(c=user, agent=agent)
    found = validation.in_use(used.change, used.snapshot, NOON)
    assert found is not None
    assert found.reason is Reason.GpuBusy
    assert validation.in_use(switching().change, switching().snapshot, NOON) is None


@pytest.mark.parametrize(
    ("layouts", "allowed"),
    [
        ({"deniedProfiles": ["1g.10gb"]}, False),
        ({"deniedProfiles": ["7g.80gb"]}, True),
        ({"allowedProfiles": ["7g.80gb"]}, False),
        ({"allowedProfiles": ["1g.10gb"]}, True),
        ({"allowedProfiles": ["1g.10gb"], "deniedProfiles": ["1g.10gb"]}, False),
    ],
)
def test_new_layouts_hold_only_profiles_that_the_policy_allows(
    layouts: dict[str, list[str]], allowed: bool
) -> None:
    """GPUs that do not change may hold what they like."""
    here = stage(Phase.WAITING).vary("policy", lambda policy: policy.set("spec.layouts", layouts))
    assert verdict(here) is (None if allowed else Reason.PolicyForbids)


# proof


def proven(here: Stage) -> str:
    """What is missing 20 s after mig-manager reported success at noon."""
    return validation.unproven(here.change, here.snapshot, NOON, NOON + 20, NOON + 60)


def applied() -> Stage:
    """mig-manager has reported success, and the device plugin and GFD are back."""
    return stage(Phase.APPLIED).vary("node", lambda node: resumed(node, *AFTER))


def agent(*layouts: Layout, at: float) -> MigNode:
    made = mignode(NODE).observed(at)
    for layout in layouts:
        made = made.gpu(layout)
    return made


def test_allocatable_must_be_exactly_what_was_promised() -> None:
    """Neither less, nor more, nor another."""
    assert proven(applied()) == ""
    for offered in ([], [AFTER[0]], BEFORE, [*AFTER, {"2g.20gb": 1}]):
        partial = applied().vary("node", lambda node, offered=offered: resumed(node, *offered))
        assert proven(partial).startswith("allocatable shows ")


def test_discovery_must_agree_where_it_runs() -> None:
    """Old labels, missing ones and additional ones are waited for; switched off, it is not asked."""
    off = {"nvidia.com/gpu.deploy.gpu-feature-discovery": "false"}
    for layouts in (BEFORE, [], [*AFTER, {"2g.20gb": 1}]):
        stale = applied().vary("node", lambda node, layouts=layouts: discovered(node, *layouts))
        assert proven(stale).startswith("GPU feature discovery shows ")
        assert proven(stale.vary("node", lambda node: node.labels(off))) == ""


def test_a_gpu_without_mig_is_proven_by_allocatable_alone() -> None:
    """Feature discovery counts slices, not GPUs."""
    here = applied().vary("node", lambda node: discovered(resumed(node, None, AFTER[0]), AFTER[0]))
    gpus = [
        {"index": 0, "changed": False},
        {"index": 1, "from": BEFORE[1], "to": AFTER[0], "changed": True},
    ]
    assert proven(here.vary("change", lambda change: change.set("spec.gpus", gpus))) == ""


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (agent(*AFTER, at=NOON + 5), ""),
        (agent(*AFTER, at=NOON - 5), ""),
        (agent(*BEFORE, at=NOON - 5), "the node's agent has not looked since the change"),
        (agent(*BEFORE, at=NOON), "the node's agent sees another layout than was promised"),
        (agent(*reversed(AFTER), at=NOON + 5), "the node's agent sees another layout than was promised"),
        (agent(*BEFORE, at=NOON + 20 - LONG), "the node's agent has not looked since the change"),
        (agent(*BEFORE, at=NOON + 20 - LONG - 1), ""),
        (agent(at=NOON + 5), ""),
    ],
    ids=["as promised", "clock behind", "not yet", "old layout", "swapped", "long ago", "dead", "empty"],
)
def test_an_agent_must_agree_where_it_lives(reading: MigNode, message: str) -> None:
    """Its word is content first: what shows the new layout has seen it, even by a clock that is behind."""
    assert proven(applied().put(agent=reading)) == message


def test_a_silent_agent_makes_no_good_change_fail() -> None:
    """What it saw before the change counts for nothing at the deadline; what it has seen since does."""
    for seen, phase in ((-5.0, "Verified"), (5.0, "RollingBack")):
        here = applied().put(agent=agent(*BEFORE, at=NOON + seen))
        assert here.at(DEADLINE - 0.25).look()[0].phase == "Applied"
        assert here.at(DEADLINE).look()[0].phase == phase


# whether it helps still


def test_a_pod_fits_still_while_slices_are_left() -> None:
    """By what the node really offers, not by what was promised."""
    here = stage(Phase.VERIFIED)
    assert validation.fits_still(here.change, here.snapshot)
    away = here.vary("node", lambda node: resumed(node))
    assert not validation.fits_still(away.change, away.snapshot)
    closed = here.vary("node", lambda node: node.cordoned())
    assert not validation.fits_still(closed.change, closed.snapshot)
