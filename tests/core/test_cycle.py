"""One cycle: what is created, held, swept, forgotten, told, and when to look again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core import configs, names
from autoslicer.core.actions import Action, CreateChange, DeleteChange, PolicyStatus, RemoveTaint, Report
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from tests.build import NOON, Builder, Node, change, config_map, mig_manager, node, pod, policy
from tests.core.pacing.test_gates import ended
from tests.core.scenes import snapshot

SEVEN = {"7g.80gb": 1}
ONES = {"1g.10gb": 7}


def machine(name: str) -> tuple[Node, Builder]:
    """An idle node with one GPU, and its mig-manager."""
    return node(name).gpus(1).config("all-7g.80gb"), mig_manager(name)


def wants(key: str, profile: str = "1g.10gb") -> Builder:
    return pod(key).wants({profile: 1})


def known(*others: str) -> Builder:
    return config_map({name: configs.DEFAULTS[name] for name in ("all-disabled", "all-7g.80gb", *others)})


def decided(*objects: Builder, now: float = NOON) -> Decision:
    """The decision for these objects and our ConfigMap, under the default policy unless there is one."""
    policies = () if any(o.get("kind") == "MigAutoscalingPolicy" for o in objects) else (policy(),)
    found = snapshot(known(), *policies, *objects)
    return decide(found, found.policies, now, Prepared())[0]


def created(decision: Decision) -> list[ReconfigurationRow]:
    return [action.change for action in decision.actions if isinstance(action, CreateChange)]


def only(decision: Decision, kind: type[Action]) -> list[Action]:
    return [action for action in decision.actions if isinstance(action, kind)]


def told(decision: Decision) -> list[tuple[str, str, str]]:
    return [(a.type, f"{a.namespace}/{a.name}", a.reason) for a in decision.actions if isinstance(a, Report)]


def budget(*nodes: str) -> Builder:
    return policy().set("spec.disruption.budgets", [{"nodes": n} for n in nodes])


RECOMMEND = policy().set("spec.mode", "Recommend")


# what is created


def test_a_change_says_everything_that_its_carrying_out_needs() -> None:
    """Whatever becomes of the policy and the plan."""
    rules = policy().set("spec.recovery.pendingDeadlineSeconds", 77)
    decision = decided(*machine("a"), wants("t/x"), wants("t/y"), rules)
    [made] = created(decision)
    [reshape] = decision.plan.reshapes
    assert (made.name, made.node, made.node_uid, made.policy) == ("a-1", "a", "node-a", "default")
    assert (made.source, made.target, made.gpus) == ("all-7g.80gb", reshape.target, reshape.gpus)
    assert (made.serves, made.evicts, made.plan_digest) == (("t/x", "t/y"), (), decision.plan.digest)
    assert (made.recovery.pending_deadline, made.approved, made.created) == (77, True, NOON)
    assert (made.uid, made.resource_version, made.status.phase) == ("", "", "")


@pytest.mark.parametrize(
    ("numbers", "name"), [([], "a-1"), ([1], "a-2"), ([2], "a-3"), ([9, 10], "a-11"), ([3, 1], "a-4")]
)
def test_changes_of_a_node_are_numbered_on(numbers: list[int], name: str) -> None:
    """After the highest that is there; other nodes' changes do not count."""
    past = [ended("a", number, "Done", NOON - 9) for number in numbers]
    other = ended("a-1", 50, "Done", NOON - 9)
    [made] = created(decided(*machine("a"), wants("t/x"), *past, other))
    assert made.name == name


def test_a_recommendation_waits_for_approval_and_asks_no_budget() -> None:
    """In mode Recommend every reshape of the plan is proposed; a human is the budget."""
    closed = RECOMMEND.set("spec.disruption.budgets", [{"nodes": "0"}])
    pods = [wants(f"t/{n}", "3g.40gb") for n in range(4)]
    made = created(decided(*machine("a"), *machine("b"), *pods, closed))
    assert [(found.name, found.approved) for found in made] == [("a-1", False), ("b-1", False)]


def test_in_mode_auto_only_what_may_start_is_created() -> None:
    """In the plan's order; the pods of the others are told why they wait."""
    pods = [wants(f"t/{n}", "3g.40gb") for n in range(4)]
    decision = decided(*machine("a"), *machine("b"), *pods, budget("50%"))
    assert [found.name for found in created(decision)] == ["a-1"]
    waiting = set(decision.plan.reshapes[1].serves)
    assert {(kind, key) for kind, key, reason in told(decision) if reason == "BudgetExhausted"} == {
        ("Normal", key) for key in waiting
    }
    assert len(created(decided(*machine("a"), *machine("b"), *pods))) == 2


@pytest.mark.parametrize("mode", ["Auto", "Recommend"])
def test_nothing_is_created_while_a_policy_is_suspended_or_a_node_rests(mode: str) -> None:
    """Plans go on; and both modes create without these."""
    rules = policy().set("spec.mode", mode)
    world = (*machine("a"), wants("t/x"))
    suspended = decided(*world, rules.set("spec.suspend", True))
    assert (created(suspended), len(suspended.plan.reshapes)) == ([], 1)
    assert told(suspended) == [("Normal", "t/x", "Suspended")]
    resting = decided(*world, rules, ended("a", 1, "Cancelled", NOON - 29))
    assert (created(resting), told(resting)) == ([], [("Normal", "t/x", "Cooldown")])
    assert len(created(decided(*world, rules, ended("a", 1, "Cancelled", NOON - 30)))) == 1
    assert len(created(decided(*world, rules))) == 1


def test_a_broken_apply_path_keeps_auto_from_creating() -> None:
    """A change that could not be carried out promises nothing; a recommendation is shown all the same."""
    world = (node("a").gpus(1).config("all-7g.80gb"), wants("t/x"))
    auto = decided(*world)
    assert (created(auto), told(auto)) == ([], [("Normal", "t/x", "ApplyPathMissing")])
    assert len(created(decided(*world, RECOMMEND))) == 1


def test_each_policy_has_a_budget_of_its_own() -> None:
    """A closed one closes no other."""
    first = policy("first", {"team": "a"}).set("spec.disruption.budgets", [{"nodes": "0"}])
    second = policy("second", {"team": "b"})
    nodes = [
        made.labels({"team": name}) if isinstance(made, Node) else made
        for name in ("a", "b")
        for made in machine(name)
    ]
    pods = [wants(f"t/{n}", "3g.40gb") for n in range(4)]
    assert [made.policy for made in created(decided(*nodes, *pods, first, second))] == ["second"]


# what waits already


def waiting(name: str, *serves: str, approved: bool = True, at: float = NOON - 30) -> Builder:
    made = change(name, [SEVEN], [ONES], serves=serves).set("spec.approved", approved)
    return made.created(at)


def test_a_live_change_is_not_planned_again() -> None:
    """Neither its node nor its pods."""
    decision = decided(*machine("a"), *machine("b"), wants("t/x"), waiting("a", "t/x"))
    assert (created(decision), decision.plan.reshapes, decision.holds) == ([], (), {})
    assert decision.demand == {"t/x"}


def test_changes_that_wait_go_first() -> None:
    """The oldest first, then by name, then what is planned now."""
    world = [made for name in ("a", "b", "c") for made in machine(name)]
    pods = [wants(key) for key in ("t/b", "t/c")] + [wants("t/new", "7g.80gb")]
    queue = [waiting("b", "t/b", at=NOON - 20), waiting("c", "t/c")]
    used = pod("t/used").wants({"1g.10gb": 1})
    decision = decided(*world, *pods, used, *queue, budget("1"))
    assert list(decision.holds) == ["b-1"]
    assert decision.holds["b-1"].reason is Reason.BudgetExhausted
    assert created(decision) == []
    same = [queue[0], queue[1].created(NOON - 20)]
    assert list(decided(*world, *pods, used, *same, budget("1")).holds) == ["c-1"]
    assert decided(*world, *pods, used, *queue, budget("2")).holds == {}


def test_an_unapproved_change_is_held_and_takes_no_budget() -> None:
    """Its pods are told how to approve it, and another change may start."""
    whole = pod("t/x").wants(ONES), pod("t/y").wants(ONES)
    queue = waiting("a", "t/x", approved=False), waiting("b", "t/y")
    decision = decided(*machine("a"), *machine("b"), *whole, *queue, budget("1"))
    assert {name: held.reason for name, held in decision.holds.items()} == {"a-1": Reason.AwaitingApproval}
    assert decision.holds["a-1"].message == "approve it with: autoslicer approve a-1"
    assert told(decision) == [("Normal", "t/x", "AwaitingApproval")]


def test_a_change_that_has_started_is_held_by_nothing() -> None:
    """Not even by the suspension of its policy."""
    running = change("a", [SEVEN], [ONES], phase="Tainted", serves=("t/x",))
    assert decided(*machine("a"), wants("t/x"), running, policy().set("spec.suspend", True)).holds == {}


def test_a_change_whose_policy_is_gone_is_held() -> None:
    """Until it ends itself."""
    decision = decided(*machine("a"), wants("t/x"), waiting("a", "t/x"), policy("other"))
    assert decision.holds["a-1"].reason is Reason.NotGoverned


# what is cleared away


def tainted(name: str, value: str) -> Builder:
    return machine(name)[0].taint("example.com/other").taint(names.TAINT, value=value)


def test_a_taint_of_no_live_change_is_swept() -> None:
    """One without any change, of an ended one, or with another number; never that of a live one."""
    sweep = [RemoveTaint("a", "1")]
    assert only(decided(tainted("a", "1")), RemoveTaint) == sweep
    assert only(decided(tainted("a", "1"), ended("a", 1, "Done", NOON)), RemoveTaint) == sweep
    assert only(decided(tainted("a", "1"), waiting("a").set("metadata.name", "a-2")), RemoveTaint) == sweep
    for phase in ("Validated", "Tainted", "Labelled", "Verified", "RollingBack"):
        running = change("a", [SEVEN], [ONES], phase=phase)
        assert only(decided(tainted("a", "1"), running), RemoveTaint) == []
    assert only(decided(machine("a")[0].taint("example.com/other")), RemoveTaint) == []


def test_marks_of_no_started_change_are_swept() -> None:
    """With the taint or alone, and only those that the node notes as ours."""
    down, disrupt = names.DO_NOT_DISRUPT
    left = machine("a")[0].annotations({down: "true", disrupt: "true", names.MARKS: disrupt})
    sweep = [RemoveTaint("a", "1", (disrupt,))]
    assert only(decided(left), RemoveTaint) == sweep
    assert only(decided(left.taint(names.TAINT, value="1")), RemoveTaint) == sweep
    assert only(decided(left, ended("a", 1, "Done", NOON)), RemoveTaint) == sweep
    assert only(decided(left, waiting("a")), RemoveTaint) == sweep
    for phase in ("Validated", "Tainted", "Labelled", "Verified", "RollingBack"):
        assert only(decided(left, change("a", [SEVEN], [ONES], phase=phase)), RemoveTaint) == []
    others = machine("a")[0].annotations({down: "true", disrupt: "true"})
    assert only(decided(others), RemoveTaint) == []


def test_the_newest_five_ended_changes_of_a_node_are_kept() -> None:
    """By number, whatever their names' order; live ones are not counted and never deleted."""
    past = [ended("a", number, "Done", NOON - number) for number in range(6, 13)]
    live = change("a", [SEVEN], [ONES], number=13, phase="Tainted")
    other = [ended("b", number, "Done", NOON) for number in range(1, 6)]
    found = only(decided(*machine("a"), *past, live, *other), DeleteChange)
    assert found == [DeleteChange("a-6", "change-a-6"), DeleteChange("a-7", "change-a-7")]
    assert only(decided(*machine("a"), *past[2:], live, *other), DeleteChange) == []


# what is told


def test_a_pod_that_nothing_can_serve_is_told_why() -> None:
    """As a warning; a pod that is served hears nothing."""
    assert told(decided(*machine("a"), wants("t/x", "4g.20gb"))) == [("Warning", "t/x", "NoFeasibleLayout")]
    assert told(decided(*machine("a"), wants("t/x"))) == []


def test_policies_are_told_how_they_stand() -> None:
    """One status each."""
    found = only(decided(*machine("a"), policy("p"), policy("q", {"x": "y"})), PolicyStatus)
    assert [status.name for status in found if isinstance(status, PolicyStatus)] == ["p", "q"]


# when to look again


def test_the_next_cycle_is_when_something_comes_due() -> None:
    """The first of the pods' windows and the nodes' rests that lie ahead; never where nothing does."""
    patient = policy().set(
        "spec.trigger", {"pendingSeconds": 30, "batchIdleSeconds": 0, "batchMaxSeconds": 0}
    )
    patient = patient.set("spec.disruption.cooldownSeconds", 20)
    pods = wants("t/x").unschedulable(NOON - 10)
    world = (*machine("a"), *machine("b"), patient)
    assert decided(*world).wake is None
    assert decided(*world, pods).wake == NOON + 20
    assert decided(*world, pods, ended("b", 1, "Done", NOON - 5)).wake == NOON + 15
    assert decided(*world, pods, ended("b", 1, "Done", NOON - 20)).wake == NOON + 20
    assert decided(*world, ended("b", 1, "Done", NOON - 5)).wake == NOON + 15
    assert decided(*world, ended("b", 1, "Done", NOON - 20)).wake is None


def test_the_end_of_a_quarantine_wakes() -> None:
    """A node that is left alone is looked at again when that is over."""
    failed = ended("a", 1, "Quarantined", NOON - 10).set("spec.recovery", {"quarantineSeconds": 15})
    world = (*machine("a"), wants("t/x"), failed)
    assert decided(*world).wake == NOON + 5
    assert created(decided(*world)) == []
    assert len(created(decided(*world, now=NOON + 5))) == 1


def test_the_decision_at_the_wake_is_another_one() -> None:
    """What was waited for happens then, and nothing happens a moment before."""
    world = (*machine("a"), wants("t/x"), ended("a", 1, "Cancelled", NOON - 5))
    wake = decided(*world).wake
    assert wake == NOON + 25
    assert created(decided(*world, now=wake - 0.001)) == []
    assert len(created(decided(*world, now=wake))) == 1


# as a function


def test_what_was_prepared_changes_nothing() -> None:
    """Neither its own answer nor that of another question."""
    objects = (known(), policy(), *machine("a"), wants("t/x"))
    found, other = snapshot(*objects), snapshot(*objects, wants("t/y"), *machine("b"))
    alone, prepared = decide(found, found.policies, NOON, Prepared())
    assert decide(found, found.policies, NOON, prepared)[0] == alone
    assert (
        decide(other, other.policies, NOON, prepared)[0] == decide(other, other.policies, NOON, Prepared())[0]
    )


def test_policies_that_are_given_stand_in_for_those_of_the_snapshot() -> None:
    """As `plan --policy` does it."""
    found = snapshot(known(), policy(), *machine("a"), wants("t/x"))
    given = {"default": replace(found.policies["default"], suspend=True)}
    assert created(decide(found, given, NOON, Prepared())[0]) == []
    assert len(created(decide(found, found.policies, NOON, Prepared())[0])) == 1
