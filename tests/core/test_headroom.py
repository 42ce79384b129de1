"""Slices that a policy wants free: planned for after every pod, and carried out like everything else."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core import configs, reading
from autoslicer.core.actions import CreateChange
from autoslicer.core.causes import Cause
from autoslicer.core.cycle import decide
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Plan, document, summary
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from tests.build import NOON, Builder, change, config_map, mig_manager, node, pod, policy
from tests.core.scenes import planned, snapshot
from tests.core.stages import UNLABELLED, ending, stage

SEVEN, ONES = {"7g.80gb": 1}, {"1g.10gb": 7}


def wanting(**free: int) -> Builder:
    """A policy with headroom; profiles are written like p1g_10gb."""
    entries = [{"profile": p[1:].replace("_", "."), "free": n} for p, n in free.items()]
    return policy().set("spec.headroom", entries)


def machine(name: str, config: str = "all-7g.80gb") -> Any:
    return node(name).gpus(1).config(config)


def cut(plan: Plan) -> dict[str, list[tuple[tuple[str, int], ...] | None]]:
    """The new layouts of each node that changes."""
    return {reshape.node: [gpu.after for gpu in reshape.gpus] for reshape in plan.reshapes}


def kept(plan: Plan) -> int:
    return {level.name: level.value for level in plan.levels}["headroom"]


def test_slices_are_cut_for_pods_to_come() -> None:
    """Without a pod, for headroom alone; no more nodes than it takes, and none where it is there already."""
    plan = planned(machine("a"), machine("b"), wanting(p1g_10gb=4))
    assert list(cut(plan)) == ["a"]
    [reshape] = plan.reshapes
    assert (reshape.cause, reshape.serves, kept(plan)) == (Cause.HEADROOM, (), 4)
    assert document(plan)["reshapes"][0]["cause"] == "Headroom"
    assert summary(plan) == "no pod waits for a MIG slice; headroom asks for reshaping 1 node"
    there = planned(machine("a"), machine("b", "all-1g.10gb"), wanting(p1g_10gb=4))
    assert (there.reshapes, kept(there)) == ((), 4)
    assert planned(machine("a"), machine("b"), policy()).reshapes == ()


def test_pods_come_first() -> None:
    """A pod that waits gets the last idle GPU, and one change may do for both."""
    large = pod("ns/x").wants({"7g.80gb": 1})
    plan = planned(machine("a", "all-1g.10gb"), large, wanting(p1g_10gb=4))
    assert (cut(plan), kept(plan)) == ({"a": [(("7g.80gb", 1),)]}, 0)
    small = pod("ns/x").wants({"1g.10gb": 1})
    both = planned(machine("a"), machine("b"), small, wanting(p1g_10gb=4))
    assert [(r.cause, r.serves) for r in both.reshapes] == [(Cause.DEMAND, ("ns/x",))]
    assert kept(both) == 4
    assert summary(both) == "1 of 1 pending pod can be served by reshaping 1 node"
    two = planned(machine("a"), machine("b"), small, wanting(p1g_10gb=9))
    assert [reshape.cause for reshape in two.reshapes] == [Cause.DEMAND, Cause.HEADROOM]
    assert summary(two).endswith("; headroom asks for reshaping 1 node")


def test_slices_in_use_are_no_headroom() -> None:
    """What running pods hold is not free; their node is left alone."""
    busy = [pod(f"ns/{n}").wants({"1g.10gb": 1}).on("a") for n in range(5)]
    plan = planned(machine("a", "all-1g.10gb"), machine("b"), *busy, wanting(p1g_10gb=4))
    assert (list(cut(plan)), kept(plan)) == (["b"], 4)
    alone = planned(machine("a", "all-1g.10gb"), *busy, wanting(p1g_10gb=4))
    assert (alone.reshapes, kept(alone)) == ((), 2)


def test_each_policy_wants_its_own_on_its_own_nodes() -> None:
    """Free slices on another policy's nodes do not count."""
    mine = wanting(p1g_10gb=1).set("spec.nodeSelector", {"matchLabels": {"pool": "mine"}})
    others = policy("others", {"pool": "others"})
    nodes = machine("a").labels({"pool": "mine"}), machine("b", "all-1g.10gb").labels({"pool": "others"})
    assert list(cut(planned(*nodes, mine, others))) == ["a"]


def test_a_profile_that_may_not_be_cut_is_not_cut() -> None:
    """Neither one that the policy denies nor one that the GPU does not have."""
    denied = wanting(p1g_10gb=4).set("spec.layouts.deniedProfiles", ["1g.10gb"])
    for wanted in (denied, wanting(p1g_5gb=1)):
        plan = planned(machine("a"), wanted)
        assert (plan.reshapes, kept(plan)) == ((), 0)


def test_a_change_under_way_counts_as_done() -> None:
    """Headroom that is being cut is not cut again."""
    running = change("a", [SEVEN], [ONES], phase="Labelled", cause="Headroom")
    plan = planned(machine("a"), machine("b"), running, wanting(p1g_10gb=4))
    assert (plan.reshapes, kept(plan)) == ((), 4)


def test_a_change_for_headroom_says_so() -> None:
    """The object that the controller creates serves nobody, and passes the same gates."""
    objects = (config_map(configs.DEFAULTS), machine("a"), mig_manager("a"))

    def created(wanted: Builder) -> list[tuple[Cause, tuple[str, ...]]]:
        found = snapshot(*objects, wanted)
        actions = decide(found, found.policies, NOON, Prepared())[0].actions
        return [(a.change.cause, a.change.serves) for a in actions if isinstance(a, CreateChange)]

    wanted = wanting(p1g_10gb=4)
    assert created(wanted) == [(Cause.HEADROOM, ())]
    assert created(wanted.set("spec.disruption.budgets", [{"nodes": "0"}])) == []
    assert created(wanted.set("spec.suspend", True)) == []


@pytest.mark.parametrize("phase", [Phase.WAITING, *UNLABELLED])
def test_headroom_that_nobody_wants_any_more_is_not_cut(phase: Phase) -> None:
    """A policy that was edited meanwhile ends the change before the label."""
    here = stage(phase).vary("change", lambda c: c.set("spec.serves", []).set("spec.cause", "Headroom"))
    assert ending(here.look()[0]) == ("Cancelled", "False", Reason.Superseded)
    still = here.put(policy=wanting(p1g_10gb=4))
    assert still.look()[0].phase == stage(phase).look()[0].phase


def test_headroom_counts_for_the_least_benefit() -> None:
    """A change that was planned for one pod and slices beside it is not called off for serving only one."""
    here = stage(Phase.VALIDATED).drop("a")
    demanding = here.put(policy=policy().set("spec.disruption.minBenefit", 3))
    assert ending(demanding.look()[0])[2] == Reason.BelowMinBenefit
    headroom = here.put(policy=wanting(p1g_10gb=4).set("spec.disruption.minBenefit", 3))
    assert headroom.look()[0].phase == Phase.VALIDATED
    assert ending(headroom.drop("b").look()[0])[2] == Reason.ServedElsewhere


def test_headroom_is_read() -> None:
    """One number for each profile; a profile twice is a mistake."""
    assert reading.policy(wanting(p3g_40gb=1, p1g_10gb=4).raw).headroom == (("1g.10gb", 4), ("3g.40gb", 1))
    assert reading.policy(policy().raw).headroom == ()
    twice = policy().set("spec.headroom", [{"profile": "1g.10gb", "free": 1}] * 2)
    with pytest.raises(ValueError, match=r"spec.headroom names '1g.10gb' twice"):
        reading.policy(twice.raw)


def test_budgets_may_hold_headroom_back_alone() -> None:
    """One that counts for the cause Headroom; one that counts for Demand holds back nothing of it."""
    closed = wanting(p1g_10gb=4).set("spec.disruption.budgets", [{"nodes": "0", "reasons": ["Headroom"]}])
    objects = (config_map(configs.DEFAULTS), machine("a"), mig_manager("a"))

    def starts(wanted: Builder, *pods: Builder) -> bool:
        found = snapshot(*objects, wanted, *pods)
        actions = decide(found, found.policies, NOON, Prepared())[0].actions
        return any(isinstance(action, CreateChange) for action in actions)

    assert not starts(closed)
    assert starts(closed, pod("ns/x").wants({"1g.10gb": 1}))
    assert starts(closed.set("spec.disruption.budgets", [{"nodes": "0", "reasons": ["Demand"]}]))
