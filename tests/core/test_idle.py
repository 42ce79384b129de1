"""Nodes that nobody has used for long, and the layout that they get then."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core import configs, names, reading
from autoslicer.core.actions import Action, CreateChange, NoteOnNode, PolicyStatus, Report
from autoslicer.core.causes import Cause
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.phases import Phase
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, Node, change, config_map, mig_manager, mignode, node, pod, policy
from tests.core.scenes import snapshot
from tests.core.stages import UNLABELLED, Stage, ending, stage

AFTER = 600
LONG_AGO = rfc3339(NOON - AFTER)
SEVEN = {"7g.80gb": 1}
ONES = {"1g.10gb": 7}


def asking(config: str = "all-7g.80gb", after: int = AFTER) -> Builder:
    return policy().set("spec.idle", {"afterSeconds": after, "config": config})


def machine(name: str = "a", config: str = "all-1g.10gb", since: str = "") -> Node:
    made = node(name).gpus(1).config(config)
    return made.annotations({names.IDLE_SINCE: since}) if since else made


IDLE = machine(since=LONG_AGO)


def decided(*objects: Builder, now: float = NOON) -> Decision:
    policies = () if any(o.get("kind") == "MigAutoscalingPolicy" for o in objects) else (asking(),)
    managers = [mig_manager(o.get("metadata.name")) for o in objects if isinstance(o, Node)]
    found = snapshot(config_map(configs.DEFAULTS), *policies, *managers, *objects)
    return decide(found, found.policies, now, Prepared())[0]


def only(decision: Decision, kind: type[Action]) -> list[Any]:
    return [action for action in decision.actions if isinstance(action, kind)]


def given(*objects: Builder) -> list[ReconfigurationRow]:
    return [action.change for action in only(decided(*objects), CreateChange)]


def test_an_idle_node_is_noted_and_changed_later() -> None:
    """From the first cycle that finds it idle; what was before is not known and does not count."""
    fresh = decided(machine())
    assert only(fresh, NoteOnNode) == [NoteOnNode("a", "1", names.IDLE_SINCE, rfc3339(NOON))]
    assert (only(fresh, CreateChange), fresh.wake) == ([], NOON + AFTER)
    waiting = decided(machine(since=rfc3339(NOON - 10)))
    assert (only(waiting, NoteOnNode), only(waiting, CreateChange)) == ([], [])
    assert waiting.wake == NOON - 10 + AFTER
    [made] = given(IDLE)
    assert (made.cause, made.serves, made.source) == (Cause.IDLE, (), "all-1g.10gb")
    assert made.target == configs.config_name(configs.entries_of(made.gpus))
    assert [(gpu.before, gpu.after) for gpu in made.gpus] == [((("1g.10gb", 7),), (("7g.80gb", 1),))]


def test_a_node_that_has_its_idle_layout_is_left_alone() -> None:
    """Nothing is noted of it, by whatever name it has that layout."""
    there = decided(machine(config="all-7g.80gb"))
    assert (only(there, NoteOnNode), only(there, CreateChange)) == ([], [])
    same = configs.DEFAULTS["all-7g.80gb"]
    renamed = machine().layout(SEVEN, name=configs.config_name(same))
    known = config_map({**configs.DEFAULTS, configs.config_name(same): same})
    found = snapshot(known, asking(), mig_manager("a"), renamed)
    actions = decide(found, found.policies, NOON, Prepared())[0].actions
    assert not [action for action in actions if isinstance(action, NoteOnNode | CreateChange)]


def test_without_a_wish_nothing_is_noted() -> None:
    """A note that is left goes."""
    assert only(decided(machine(), policy()), NoteOnNode) == []
    assert only(decided(IDLE, policy()), NoteOnNode) == [NoteOnNode("a", "1", names.IDLE_SINCE, "")]
    assert given(IDLE, policy()) == []


@pytest.mark.parametrize(
    "use",
    [
        [pod("ns/x").wants({"1g.10gb": 1}).on("a")],
        [pod("ns/x").wants({"1g.10gb": 1}).on("a").phase("Pending")],
        [pod("ns/x").wants({"1g.10gb": 1}).on("a").deleting()],
        [mignode("a").observed(NOON - 10).gpu(ONES, processes=1)],
        [change("a", [SEVEN], [ONES], phase="Labelled")],
    ],
)
def test_use_takes_the_note_away(use: list[Builder]) -> None:
    """Then its time begins anew."""
    decision = decided(IDLE, *use)
    assert only(decision, NoteOnNode) == [NoteOnNode("a", "1", names.IDLE_SINCE, "")]
    assert only(decision, CreateChange) == []


def test_pods_that_have_ended_are_no_use() -> None:
    """Their objects may stay for long."""
    assert len(given(IDLE, pod("ns/x").wants({"1g.10gb": 1}).on("a").phase("Succeeded"))) == 1


def test_what_the_plan_needs_is_not_given_back() -> None:
    """Slices that a pod takes, headroom, and a node that is cut for somebody."""
    waits = pod("ns/x").wants({"1g.10gb": 1})
    assert given(IDLE, waits) == []
    [cut] = given(IDLE, pod("ns/x").wants({"3g.40gb": 1}))
    assert cut.cause is Cause.DEMAND
    headroom = asking().set("spec.headroom", [{"profile": "1g.10gb", "free": 4}])
    assert given(IDLE, headroom) == []
    both = IDLE, machine("b", since=LONG_AGO)
    assert [made.node for made in given(*both, headroom)] == ["b"]
    assert [made.node for made in given(*both)] == ["a", "b"]


@pytest.mark.parametrize(
    ("waits", "kept"),
    [
        (pod("team/c").wants({"1g.10gb": 1}).set("spec.schedulerName", "volcano"), True),
        (pod("team/c").wants({"1g.10gb": 1}).annotations({names.IGNORE: "true"}), True),
        (pod("team/c").wants({"1g.10gb": 1}).untried(), True),
        (pod("team/c").wants({"3g.40gb": 1}).set("spec.schedulerName", "volcano"), False),
        (pod("team/c").wants({"1g.10gb": 1}).selector({"zone": "none"}), False),
    ],
)
def test_what_would_do_for_a_pod_of_anybody_is_not_given_back(waits: Builder, kept: bool) -> None:
    """Whoever binds it: the change would end at once, and be made again and again."""
    assert [made.cause for made in given(IDLE, waits, asking())] == ([] if kept else [Cause.IDLE])


def test_headroom_and_idleness_come_to_rest() -> None:
    """Where headroom has taken a node, idleness does not give it back."""
    headroom = asking().set("spec.headroom", [{"profile": "1g.10gb", "free": 4}])
    [made] = given(machine(config="all-7g.80gb"), headroom)
    assert made.cause is Cause.HEADROOM
    assert given(IDLE, headroom) == []


def test_it_passes_the_same_gates() -> None:
    """Suspension, budgets for that cause, cooldown and approval."""
    assert given(IDLE, asking().set("spec.suspend", True)) == []
    closed = asking().set("spec.disruption.budgets", [{"nodes": "0", "reasons": ["Idle"]}])
    assert given(IDLE, closed) == []
    done = change("a", [SEVEN], [ONES], phase="Done").set("status.steps", [])
    done = done.set("status.steps", [{"phase": "Done", "at": rfc3339(NOON - 60), "message": ""}])
    assert given(IDLE, done, asking().set("spec.disruption.cooldownSeconds", 100)) == []
    assert len(given(IDLE, done, asking().set("spec.disruption.cooldownSeconds", 50))) == 1
    [asked] = given(IDLE, asking().set("spec.mode", "Recommend"))
    assert (asked.cause, asked.approved) == (Cause.IDLE, False)


def test_a_layout_that_may_not_be_made_is_not_made() -> None:
    """One with a profile that the policy denies, without MIG, or that nobody knows; the last one is told."""
    assert given(IDLE, asking().set("spec.layouts", {"deniedProfiles": ["7g.80gb"]})) == []
    assert given(IDLE, asking("all-disabled")) == []
    unknown = decided(IDLE, asking("all-9g"))
    assert only(unknown, CreateChange) == []
    [told] = [report for report in only(unknown, Report) if report.kind == "MigAutoscalingPolicy"]
    assert (told.name, told.reason) == ("default", Reason.LayoutUnknown)
    assert told.message == "spec.idle.config all-9g says nothing of the GPUs of node a"
    assert len(only(decided(IDLE), PolicyStatus)) == 1


@pytest.mark.parametrize("phase", [Phase.WAITING, *UNLABELLED])
def test_a_pod_that_the_old_slices_would_do_for_ends_it(phase: Phase) -> None:
    """Before the label nothing is lost, and nobody asked for the change."""

    def idle(here: Stage) -> Stage:
        made = here.vary("change", lambda c: c.set("spec.serves", []).set("spec.cause", "Idle"))
        return made.put(policy=asking())

    here = idle(stage(phase))
    assert ending(here.put(policy=policy()).look()[0]) == ("Cancelled", "False", "Superseded")
    assert here.look()[0].phase == stage(phase).look()[0].phase
    wanted = here.put(c=pod("team/c").wants({"7g.80gb": 1}))
    assert ending(wanted.look()[0]) == ("Cancelled", "False", "Superseded")
    for other in (
        pod("team/c").wants({"3g.40gb": 1}),
        pod("team/c").wants({"7g.80gb": 1}).selector({"kubernetes.io/hostname": "b"}),
        pod("team/c").wants({"7g.80gb": 1}).on("far"),
    ):
        assert here.put(c=other).look()[0].phase == stage(phase).look()[0].phase


def test_the_wish_is_read() -> None:
    """A time without a config is a mistake."""
    assert reading.policy(asking().raw).idle.after_seconds == AFTER
    assert reading.policy(policy().raw).idle.after_seconds == 0
    with pytest.raises(ValueError, match=r"spec.idle.config must name a config where afterSeconds is not 0"):
        reading.policy(policy().set("spec.idle", {"afterSeconds": 5}).raw)
