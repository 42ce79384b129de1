"""Nodes on which no change may start now: others are taken, and they have their turn when that is over."""

from __future__ import annotations

import pytest

from autoslicer.core import configs
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.pacing.reversal import REVERSAL_SECONDS
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, Node, change, config_map, mig_manager, mignode, node, pod, policy
from tests.core.pacing.test_gates import ended
from tests.core.scenes import planned, snapshot
from tests.core.test_cycle import RECOMMEND, created, told

SEVEN, ONES = {"7g.80gb": 1}, {"1g.10gb": 7}
NAMES = ("all-disabled", "all-7g.80gb", "all-1g.10gb")
KNOWN = config_map({name: configs.DEFAULTS[name] for name in NAMES})
DONE = NOON - 600
WAITS = pod("t/large").wants(SEVEN).created(NOON - 3600)
ELSEWHERE = pod("t/small").wants({"1g.10gb": 1}).selector({"zone": "none"}).created(NOON - 3600)
"""a pod that its node was cut for, and that its new selector keeps away"""


def machine(name: str, config: str = "all-1g.10gb") -> Node:
    return node(name).gpus(1).layout(ONES, name=config)


def cut(phase: str = "Done") -> Builder:
    """The change that has just made seven slices of node a."""
    steps = [{"phase": phase, "at": rfc3339(DONE)}]
    made = change("a", [SEVEN], [ONES], serves=("t/small",)).created(DONE - 60)
    return made.set("status", {"phase": phase, "steps": steps})


HELD: dict[Reason, dict[str, Builder | None]] = {
    Reason.Cooldown: {"past": ended("a", 1, "Cancelled", NOON - 5)},
    Reason.ApplyPathMissing: {"manager": None},
    Reason.ApplyPathNotConfigured: {"manager": mig_manager("a", "default-mig-parted-config")},
    Reason.ConfigMapIncomplete: {"node": machine("a", "site-special"), "agent": mignode("a").gpu(ONES)},
    Reason.Reversal: {"past": cut(), "small": ELSEWHERE},
}
"""what holds node a, by the reason that is told"""


def decided(*others: Builder, now: float = NOON, **a: Builder | None) -> Decision:
    """The decision where a pod waits for all of a GPU, of which node a has one."""
    return decided_from(Prepared(), *others, now=now, **a)[0]


def decided_from(
    prepared: Prepared, *others: Builder, now: float = NOON, **a: Builder | None
) -> tuple[Decision, Prepared]:
    world: dict[str, Builder | None] = {"node": machine("a"), "manager": mig_manager("a"), **a}
    rules = () if any(o.get("kind") == "MigAutoscalingPolicy" for o in others) else (policy(),)
    rules = tuple(rule.set("spec.disruption.cooldownSeconds", 0) for rule in rules)
    objects = (KNOWN, WAITS, *rules, *others, *(made for made in world.values() if made is not None))
    found = snapshot(*objects)
    return decide(found, found.policies, now, prepared)


B = (machine("b"), mig_manager("b"))


@pytest.mark.parametrize("why", HELD)
def test_a_node_that_is_held_is_left_for_one_that_is_free(why: Reason) -> None:
    """In the same cycle; without the hold it would be the one to change."""
    assert [made.node for made in created(decided(*B))] == ["a"]
    decision = decided(*B, **HELD[why])
    assert [made.node for made in created(decision)] == ["b"]
    assert [(v.name, v.reason) for v in decision.plan.refusals] == [("a", why)]


@pytest.mark.parametrize("why", HELD)
def test_where_no_other_would_do_the_pod_is_told_what_holds_the_node(why: Reason) -> None:
    """It is nothing about the pod; without the hold it is served."""
    decision = decided(**HELD[why])
    assert created(decision) == []
    assert ("Normal", "t/large", why) in told(decision)
    assert [made.serves for made in created(decided())] == [("t/large",)]


def test_a_pod_is_told_of_the_node_that_would_do_for_it_later() -> None:
    """Whatever else is in use; a held node that is too full for it is no hope."""
    rests, used = HELD[Reason.Cooldown], pod("t/full").wants({"1g.10gb": 7}).on("b")
    assert ("Normal", "t/large", Reason.Cooldown) in told(decided(*B, used, **rests))
    two = node("a").gpus(2).layout(ONES, ONES, name="all-1g.10gb")
    both = pod("t/two").wants({"7g.80gb": 2})
    assert ("Normal", "t/two", Reason.Cooldown) in told(decided(both, node=two, **rests))
    agent = mignode("a").gpu(ONES, pods={"1g.10gb": ["t/a"]}).gpu(ONES)
    tight = decided(both, pod("t/a").wants({"1g.10gb": 1}).on("a"), node=two, agent=agent, **rests)
    assert ("Normal", "t/large", Reason.Cooldown) in told(tight)
    assert ("Warning", "t/two", Reason.OutOfCapacity) in told(tight)


@pytest.mark.parametrize(
    ("why", "until"), [(Reason.Cooldown, NOON + 25), (Reason.Reversal, DONE + REVERSAL_SECONDS)]
)
def test_a_node_that_was_held_for_a_time_has_its_turn_after_it(why: Reason, until: float) -> None:
    """The loop wakes at that moment, and what was prepared while the node was held changes nothing."""
    first, prepared = decided_from(Prepared(), **HELD[why])
    assert (first.wake, created(first)) == (until, [])
    before, prepared = decided_from(prepared, now=until - 1, **HELD[why])
    assert (before, created(before)) == (decided(now=until - 1, **HELD[why]), [])
    then, _ = decided_from(prepared, now=until, **HELD[why])
    assert then == decided(now=until, **HELD[why])
    assert [made.node for made in created(then)] == ["a"]


def test_what_no_config_reaches_is_recommended_all_the_same() -> None:
    """It shows what could be; nor do holds stop a plan that is only looked at."""
    missing = HELD[Reason.ApplyPathMissing]
    assert [made.node for made in created(decided(*B, RECOMMEND, **missing))] == ["a"]
    resting = planned(KNOWN, WAITS, machine("a"), *B, policy(), ended("a", 1, "Cancelled", NOON - 5))
    assert [reshape.node for reshape in resting.reshapes] == ["a"]


def test_a_recommendation_that_nobody_took_up_holds_no_node() -> None:
    """Its node is planned for, and rests a little before it is recommended again."""
    over = ended("a", 1, "Cancelled", NOON - 5, "Superseded").set("spec.approved", False)
    decision = decided(*B, RECOMMEND, past=over)
    assert ([reshape.node for reshape in decision.plan.reshapes], created(decision)) == (["a"], [])
    refused = ended("a", 1, "Cancelled", NOON - 5, "GpuBusy").set("spec.approved", False)
    assert [made.node for made in created(decided(*B, RECOMMEND, past=refused))] == ["b"]


def test_a_label_that_the_config_map_does_not_know_refuses_no_other_node() -> None:
    """Only its own node could not go back to it."""
    strange = (machine("c", "site-special"), mignode("c").gpu(ONES), mig_manager("c"))
    assert [made.node for made in created(decided(*strange))] == ["a"]
