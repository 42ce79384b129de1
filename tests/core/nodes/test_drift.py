"""Different stories of a node's layout: which of them is true, what is told, and what is done about it."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core import configs, names
from autoslicer.core.actions import (
    Action,
    CreateChange,
    DeletePod,
    NoteOnNode,
    PolicyStatus,
    Report,
    SetConfig,
)
from autoslicer.core.causes import Cause
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.nodes import drift
from autoslicer.core.nodes.drift import Drift, Way
from autoslicer.core.phases import Phase
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from tests.build import (
    NOON,
    Builder,
    Layout,
    Node,
    Pod,
    change,
    config_map,
    mig_manager,
    mignode,
    node,
    pod,
    policy,
)
from tests.core.scenes import snapshot
from tests.core.stages import Stage, discovered, ending

ONES: Layout = {"1g.10gb": 7}
SEVEN: Layout = {"7g.80gb": 1}
WANTED = "all-1g.10gb"
DEADLINE = 1800
"""seconds that mig-manager has for itself"""
LONG_AGO = rfc3339(NOON - DEADLINE)
ALLOWED = policy().set("spec.recovery", {"deleteOperatorPods": True})


def operand(app: str, *, ready: bool = True, created: float = NOON - 86400) -> Pod:
    """A pod of one of the GPU Operator's DaemonSets on the node."""
    made = pod(f"gpu-operator/{app}-a").labels({"app": app}).daemon().created(created)
    return made.on("a", at=created).condition("Ready", "True" if ready else "False")


PLUGIN, DISCOVERY = operand(names.PLUGIN_APP), operand(names.DISCOVERY_APP)


def machine(*offered: Layout, found: list[Layout] | None = None, state: str = "success") -> Node:
    """Two GPUs whose label asks for seven small slices each, with what the plugin and discovery show."""
    made = node("a").gpus(2).layout(*offered, name=WANTED, state=state)
    return discovered(made, *(offered if found is None else found))


def seen(*layouts: Layout, at: float = NOON - 10) -> Builder:
    made = mignode("a").observed(at)
    for layout in layouts:
        made = made.gpu(layout)
    return made


def told(*objects: Builder) -> Drift | None:
    mine = () if any(o.get("metadata.name") == PLUGIN.get("metadata.name") for o in objects) else (PLUGIN,)
    found = snapshot(config_map(configs.DEFAULTS), policy(), mig_manager("a"), DISCOVERY, *mine, *objects)
    return drift.drift(found, found.nodes["a"], NOON)


def way(*objects: Builder) -> tuple[Way, tuple[str, ...]] | None:
    found = told(*objects)
    return None if found is None else (found.way, found.apps)


LAYOUT, UNCLEAR = (Way.LAYOUT, ()), (Way.UNCLEAR, ())
STALE_PLUGIN, STALE_DISCOVERY = (Way.STALE, (names.PLUGIN_APP,)), (Way.STALE, (names.DISCOVERY_APP,))
BOTH: list[Layout] = [ONES, ONES]

STORIES: dict[str, tuple[list[Builder], tuple[Way, tuple[str, ...]] | None]] = {
    # without an agent
    "all agree": ([machine(*BOTH)], None),
    "discovery tells nothing": ([machine(*BOTH, found=[{}, {}])], None),
    "all gone": ([machine({}, {})], LAYOUT),
    "MIG mode gone": ([machine(None, None)], LAYOUT),
    "one GPU empty": ([machine(ONES, {})], LAYOUT),
    "some instances gone": ([machine(ONES, {"1g.10gb": 3})], LAYOUT),
    "instances nobody asked for": ([machine(ONES, SEVEN)], UNCLEAR),
    "the plugin is behind": ([machine({}, {}, found=BOTH)], STALE_PLUGIN),
    "discovery is behind": ([machine(*BOTH, found=[SEVEN, SEVEN])], STALE_DISCOVERY),
    "three stories": ([machine({}, {}, found=[SEVEN, SEVEN])], UNCLEAR),
    "failed": ([machine({}, {}, state="failed")], LAYOUT),
    "failed, though it is there": ([machine(*BOTH, state="failed")], LAYOUT),
    "mig-manager works": ([machine({}, {}, state="pending")], None),
    "clients are paused": (
        [machine({}, {}).labels({f"{names.GPU_DEPLOY_PREFIX}device-plugin": names.PAUSED})],
        None,
    ),
    "a config nobody knows": ([machine({}, {}).labels({names.MIG_CONFIG: "nowhere"})], None),
    "no plugin to tell": ([machine({}, {}), operand(names.PLUGIN_APP, ready=False)], None),
    "no plugin, but an agent": ([machine({}, {}), seen(*BOTH), operand(names.PLUGIN_APP, ready=False)], None),
    # with an agent
    "all agree, agent too": ([machine(*BOTH), seen(*BOTH)], None),
    "wiped": ([machine({}, {}), seen({}, {})], LAYOUT),
    "wiped, the plugin is behind": ([machine(*BOTH), seen({}, {})], LAYOUT),
    "half wiped": ([machine(ONES, {}), seen(ONES, {})], LAYOUT),
    "mode wiped": ([machine(None, None), seen(None, None)], LAYOUT),
    "MIG mode switched on by hand": (
        [machine({}, {}).labels({names.MIG_CONFIG: "all-disabled"}), seen({}, {})],
        None,
    ),
    "cut by hand": ([machine(SEVEN, SEVEN), seen(SEVEN, SEVEN)], None),
    "cut by hand behind the plugin": ([machine(*BOTH), seen(SEVEN, SEVEN)], STALE_PLUGIN),
    "the agent says the plugin is behind": ([machine({}, {}), seen(*BOTH)], STALE_PLUGIN),
    "the agent says discovery is behind": (
        [machine(*BOTH, found=[SEVEN, SEVEN]), seen(*BOTH)],
        STALE_DISCOVERY,
    ),
    "an agent that fell silent": ([machine({}, {}, found=BOTH), seen({}, {}, at=NOON - 901)], STALE_PLUGIN),
}


@pytest.mark.parametrize("story", STORIES)
def test_which_way_it_goes(story: str) -> None:
    """Every case of the manual runbook, and those that look like one."""
    objects, expected = STORIES[story]
    assert way(*objects) == expected


def test_what_differs_is_told_in_a_sentence() -> None:
    """With the numbers of both sides."""
    found = told(machine(ONES, {"1g.10gb": 3}))
    assert found is not None
    assert found.message == (
        "nvidia.com/mig.config=all-1g.10gb asks for 14 x 1g.10gb, but allocatable says 10 x 1g.10gb"
    )
    assert [(gpu.before, gpu.after, gpu.changed) for gpu in found.gpus] == [
        ((("1g.10gb", 7),), (("1g.10gb", 7),), False),
        ((("1g.10gb", 3),), (("1g.10gb", 7),), True),
    ]
    stale = told(machine({}, {}), seen(*BOTH))
    assert stale is not None
    assert stale.message == "the GPUs hold 14 x 1g.10gb, but allocatable says nothing"


# what is done


def decided(*objects: Builder) -> Decision:
    policies = () if any(o.get("kind") == "MigAutoscalingPolicy" for o in objects) else (policy(),)
    operands = () if any(o.get("metadata.labels", {}).get("app") for o in objects) else (PLUGIN, DISCOVERY)
    common = config_map(configs.DEFAULTS), mig_manager("a")
    found = snapshot(*common, *policies, *operands, *objects)
    return decide(found, found.policies, NOON, Prepared())[0]


def only(decision: Decision, kind: type[Action]) -> list[Any]:
    return [action for action in decision.actions if isinstance(action, kind)]


def repaired(decision: Decision) -> list[ReconfigurationRow]:
    return [action.change for action in only(decision, CreateChange)]


def noted(made: Node, since: str = LONG_AGO) -> Node:
    return made.annotations({names.DRIFT: since})


def test_drift_is_noted_and_told_at_once_and_repaired_later() -> None:
    """mig-manager's own restart gets one deadline first; the note keeps since when."""
    fresh = decided(machine({}, {}))
    assert only(fresh, NoteOnNode) == [NoteOnNode("a", "1", names.DRIFT, rfc3339(NOON))]
    [event] = [report for report in only(fresh, Report) if report.kind == "Node"]
    assert (event.name, event.reason, event.type) == ("a", Reason.LayoutDrift, "Warning")
    assert (repaired(fresh), fresh.wake) == ([], NOON + DEADLINE)
    waiting = decided(noted(machine({}, {}), rfc3339(NOON - 10)))
    assert (only(waiting, NoteOnNode), repaired(waiting)) == ([], [])
    assert waiting.wake == NOON - 10 + DEADLINE
    [made] = repaired(decided(noted(machine({}, {}))))
    assert (made.cause, made.serves, made.source) == (Cause.DRIFT, (), WANTED)
    assert made.target == configs.config_name(configs.entries_of(made.gpus))
    assert [(gpu.before, gpu.after) for gpu in made.gpus] == [((), (("1g.10gb", 7),))] * 2


def test_what_is_in_order_again_is_noted_no_more() -> None:
    """Whoever mended it; the same holds while mig-manager works, so that its next rest starts anew."""
    for made in (machine(*BOTH), machine({}, {}, state="pending"), machine({}, {}).not_ready()):
        decision = decided(noted(made))
        assert only(decision, NoteOnNode) == [NoteOnNode("a", "1", names.DRIFT, "")]
        assert repaired(decision) == []
    assert only(decided(machine(*BOTH)), NoteOnNode) == []


@pytest.mark.parametrize("holder", ["bound", "agent"])
def test_a_node_in_use_is_only_reported(holder: str) -> None:
    """Nothing of it is made anew before all of it is idle."""
    half = noted(machine(ONES, {}))
    busy = {"bound": pod("ns/x").wants({"1g.10gb": 1}).on("a"), "agent": mignode("a").observed(NOON - 10)}
    if holder == "agent":
        busy["agent"] = mignode("a").observed(NOON - 10).gpu(ONES, processes=1).gpu({})
    decision = decided(half, busy[holder])
    assert repaired(decision) == []
    assert [report.reason for report in only(decision, Report) if report.kind == "Node"] == ["LayoutDrift"]
    assert len(repaired(decided(half))) == 1


def test_repairs_may_be_forbidden() -> None:
    """Then drift is told and nothing else."""
    forbidden = decided(noted(machine({}, {})), policy().set("spec.recovery", {"repairDrift": False}))
    assert repaired(forbidden) == []
    assert [report.reason for report in only(forbidden, Report) if report.kind == "Node"] == ["LayoutDrift"]


@pytest.mark.parametrize("reason", ["ApplyFailed", "LayoutRefused"])
def test_what_a_repair_failed_with_is_not_asked_for_again(reason: str) -> None:
    """Else one bad GPU would be driven for ever, and stop the fleet; another layout is asked for."""
    wiped = noted(machine({}, {}))
    found = [{"type": "Succeeded", "status": "False", "reason": reason, "message": "x"}]
    for after, made in ((BOTH, 0), ([{"7g.80gb": 1}] * 2, 1)):
        failed = change("a", [{}, {}], list(after), phase="Quarantined", cause="Drift")
        failed = failed.set("status.conditions", found).set("status.quarantinedUntil", LONG_AGO)
        decision = decided(wiped, failed)
        assert len(repaired(decision)) == made
        assert [report.reason for report in only(decision, Report) if report.kind == "Node"] == [
            "LayoutDrift"
        ]


def test_repairs_pass_the_same_gates() -> None:
    """Suspension, budgets for that cause, and approval."""
    wiped = noted(machine({}, {}))
    closed = policy().set("spec.disruption.budgets", [{"nodes": "0", "reasons": ["Drift"]}])
    assert repaired(decided(wiped, closed)) == []
    assert repaired(decided(wiped, policy().set("spec.suspend", True))) == []
    [asked] = repaired(decided(wiped, policy().set("spec.mode", "Recommend")))
    assert (asked.cause, asked.approved) == (Cause.DRIFT, False)


@pytest.mark.parametrize("mark", ["hami.io/node-handshake", names.IGNORE])
def test_what_is_somebody_elses_is_not_repaired(mark: str) -> None:
    """Nor reported as drift: its layout is not ours to judge."""
    theirs = noted(machine({}, {}).annotations({mark: "true"}))
    assert repaired(decided(theirs)) == []
    assert decided(theirs).drifted == frozenset()


def test_a_stale_plugin_is_restarted_once() -> None:
    """Only where the policy lets us delete the operator's pods, and never one younger than the drift."""
    behind = noted(machine({}, {}, found=BOTH))
    [gone] = only(decided(behind, ALLOWED), DeletePod)
    assert gone == DeletePod("gpu-operator", f"{names.PLUGIN_APP}-a", PLUGIN.get("metadata.uid"))
    assert repaired(decided(behind, ALLOWED)) == []
    assert only(decided(behind), DeletePod) == []
    assert only(decided(noted(behind, rfc3339(NOON - 10)), ALLOWED), DeletePod) == []
    assert only(decided(behind, ALLOWED.set("spec.suspend", True)), DeletePod) == []
    young = operand(names.PLUGIN_APP, created=NOON - 60)
    assert only(decided(behind, ALLOWED, young), DeletePod) == []


def test_a_stale_discovery_is_restarted() -> None:
    """It is reported, and the node is planned for all the same."""
    behind = noted(machine(*BOTH, found=[SEVEN, SEVEN]))
    decision = decided(behind, ALLOWED, pod("ns/x").wants({"7g.80gb": 1}))
    assert [gone.name for gone in only(decision, DeletePod)] == [f"{names.DISCOVERY_APP}-a"]
    assert [made.cause for made in repaired(decision)] == [Cause.DEMAND]


def test_a_tenants_pod_is_never_restarted() -> None:
    """A label is anybody's; only pods of the operator's DaemonSets are deleted."""
    behind = noted(machine({}, {}, found=BOTH))
    impostor = operand(names.PLUGIN_APP).set("metadata.namespace", "ns")
    assert only(decided(behind, ALLOWED, impostor), DeletePod) == []


def test_a_demand_goes_before_a_repair() -> None:
    """A wiped node whose agent tells so may be cut for pods that wait; it is changed once."""
    wiped = noted(machine({}, {})), seen({}, {})
    [for_pod] = repaired(decided(*wiped, pod("ns/x").wants({"3g.40gb": 1})))
    assert for_pod.cause is Cause.DEMAND
    assert [made.cause for made in repaired(decided(*wiped))] == [Cause.DRIFT]


def test_drift_is_counted() -> None:
    """In the status of the policy, and for the metrics."""

    def counted(*objects: Builder) -> tuple[int, int]:
        decision = decided(*objects)
        [status] = only(decision, PolicyStatus)
        assert status.drifted == len(decision.drifted)
        return status.drifted, status.quarantined

    assert counted(machine(*BOTH)) == (0, 0)
    assert counted(machine({}, {})) == (1, 0)
    assert counted(machine(*BOTH), change("a", BOTH, [SEVEN, SEVEN], phase="Quarantined")) == (0, 1)


# the change


def drifting(phase: Phase, **others: Builder) -> Stage:
    """A change that gives a wiped node its layout back, before it starts."""
    made = change("a", [{}, {}], BOTH, phase=phase if phase is not Phase.WAITING else "", cause="Drift")
    made = made.set("spec.from", WANTED)
    if phase is not Phase.WAITING:
        made = made.set("status.deadline", rfc3339(NOON + 60))
    objects = {
        "node": machine({}, {}) if phase in (Phase.WAITING, Phase.VALIDATED) else _tainted(machine({}, {})),
        "change": made,
        "policy": policy(),
        "config_map": config_map(configs.DEFAULTS),
        "mig_manager": mig_manager("a"),
        "plugin": PLUGIN,
    }
    return Stage({**objects, **others}, sightings=(NOON - 1, NOON))


def _tainted(made: Node) -> Node:
    return made.taint(names.TAINT, value="1")


@pytest.mark.parametrize(
    ("phase", "following"),
    [
        (Phase.WAITING, Phase.VALIDATED),
        (Phase.VALIDATED, Phase.VALIDATED),
        (Phase.TAINTED, Phase.DRAINED),
    ],
)
def test_a_repair_takes_the_same_steps(phase: Phase, following: Phase) -> None:
    """As long as the node is found as it was; else it ends, and the node is left as it is."""
    assert drifting(phase).look()[0].phase == following
    node_of = machine if phase is not Phase.TAINTED else lambda *a, **k: _tainted(machine(*a, **k))
    mended = drifting(phase, node=node_of(*BOTH))
    assert ending(mended.look()[0]) == ("Cancelled", "False", "Superseded")
    partly = drifting(phase, node=node_of(ONES, {}))
    assert ending(partly.look()[0]) == ("Cancelled", "False", "Superseded")
    busy = drifting(phase, holder=pod("ns/x").wants({"1g.10gb": 1}).on("a"))
    assert ending(busy.look()[0]) == ("Cancelled", "False", "NodeBusy")
    cordoned = drifting(phase, node=node_of({}, {}).cordoned())
    assert ending(cordoned.look()[0]) == ("Cancelled", "False", "Cordoned")


def test_a_repair_that_waits_promises_nothing() -> None:
    """Its slices count once it has started; the node is left alone meanwhile."""
    waits = pod("ns/x").wants({"1g.10gb": 1})
    for phase, free in (("", False), ("Labelled", True)):
        under_way = change("a", [{}, {}], BOTH, phase=phase, cause="Drift")
        plan = decided(noted(machine({}, {})), under_way, waits).plan
        assert [served.pod for served in plan.served] == (["ns/x"] if free else [])
        assert plan.refusals[0].reason is Reason.ChangeInProgress


def test_a_repair_that_fails_is_not_set_back() -> None:
    """It is tried again like any other; then the node is left alone, labelled with what it ought to have."""
    here = drifting(Phase.LABELLED)
    target = here.change.target
    broken = _tainted(machine({}, {}, state="failed").labels({names.MIG_CONFIG: target}))
    failed = here.put(node=broken.annotations({names.APPLIED_CONFIG: target}))
    again = failed.look()[0]
    assert (again.phase, again.attempt) == (Phase.TAINTED, 2)
    once = failed.vary("change", lambda made: made.set("spec.recovery", {"maxAttempts": 1}))
    status, actions = once.look()
    assert ending(status)[:2] == ("Quarantined", "False")
    assert not [action for action in actions if isinstance(action, SetConfig)]
