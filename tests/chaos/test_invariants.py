"""Each invariant is seen to fire, and to hold beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from autoslicer.core.phases import Phase
from autoslicer.core.times import rfc3339
from tests.chaos import invariants
from tests.chaos.history import ChangeLife, History, NodeSight, PodLife
from tests.chaos.invariants import Invariant, NodeState, Violation
from tests.cluster.api import Object
from tests.cluster.gpus import LogLine

POD = PodLife("team/train", {"7g.80gb": 1}, node="gpu-a", bound=100.0, ended=200.0)
CUT = LogLine(150.0, "destroy", 0, 1, "7g.80gb", 0, False)
IN_ORDER = NodeState("gpu-a", "all-7g.80gb", "success", (), {"7g.80gb": 2}, {"7g.80gb": 2}, None, None)


def change(name: str, began: float, ended: float | None, phase: Phase = Phase.DONE) -> ChangeLife:
    steps = [("Validated", began), *([] if ended is None else [(str(phase), ended)])]
    return ChangeLife(name, name, "gpu-a", Phase.LABELLED if ended is None else phase, steps=tuple(steps))


def history(*changes: ChangeLife, pods: Iterable[PodLife] = ()) -> History:
    return History({pod.key: pod for pod in pods}, {found.uid: found for found in changes})


def fired(found: Iterable[Violation]) -> list[Invariant]:
    return [violation.invariant for violation in found]


def test_an_instance_that_a_bound_pod_may_hold() -> None:
    """It may be destroyed before the pod is bound and after it has ended, but not between."""
    seen = history(pods=[POD])
    for at, expected in ((99.0, []), (100.0, [Invariant.IN_USE]), (199.9, [Invariant.IN_USE]), (200.0, [])):
        assert fired(invariants.destroyed_in_use(seen, [("gpu-a", replace(CUT, at=at))])) == expected
    assert fired(invariants.destroyed_in_use(seen, [("gpu-b", CUT)])) == []
    assert fired(invariants.destroyed_in_use(seen, [("gpu-a", replace(CUT, what="create"))])) == []
    walked_in = frozenset({POD.key})
    assert fired(invariants.destroyed_in_use(seen, [("gpu-a", CUT)], walked_in=walked_in)) == []


def test_an_instance_that_an_agent_gives_to_a_pod() -> None:
    """Where an agent tells what the pod holds, the other instances of its node may be destroyed."""
    seen = history(pods=[POD])
    mine, other = {POD.key: {("gpu-a", 0, 1)}}, {POD.key: {("gpu-a", 1, 1)}}
    assert fired(invariants.destroyed_in_use(seen, [("gpu-a", CUT)], held=mine)) == [Invariant.IN_USE]
    assert fired(invariants.destroyed_in_use(seen, [("gpu-a", CUT)], held=other)) == []


def test_an_instance_that_a_process_holds() -> None:
    """Its destruction is told of, whoever is bound."""
    busy = replace(CUT, busy=True)
    assert fired(invariants.destroyed_in_use(history(), [("gpu-a", busy)])) == [Invariant.IN_USE]


def test_changes_of_one_node_follow_each_other() -> None:
    """The next may begin when the last has ended, not before; another node's do not matter."""
    first = change("gpu-a-1", 10.0, 20.0)
    assert fired(invariants.overlaps(history(first, change("gpu-a-2", 20.0, 30.0)))) == []
    assert fired(invariants.overlaps(history(first, change("gpu-a-2", 19.0, 30.0)))) == [Invariant.OVERLAP]
    open_end = change("gpu-a-1", 10.0, None)
    assert fired(invariants.overlaps(history(open_end, change("gpu-a-2", 20.0, None)))) == [Invariant.OVERLAP]
    elsewhere = replace(change("gpu-b-1", 15.0, 30.0), node="gpu-b")
    assert fired(invariants.overlaps(history(first, elsewhere))) == []


def test_a_waiting_change_overlaps_nothing() -> None:
    """Nothing is done for it yet, and one that is cancelled out of Waiting never began."""
    first = change("gpu-a-1", 10.0, 20.0)
    waiting = ChangeLife("gpu-a-2", "gpu-a-2", "gpu-a")
    cancelled = replace(waiting, phase=Phase.CANCELLED, steps=(("Cancelled", 15.0),))
    assert fired(invariants.overlaps(history(first, waiting))) == []
    assert fired(invariants.overlaps(history(first, cancelled))) == []


def audited(labels: Object) -> Object:
    return {
        "verb": "patch",
        "objectRef": {"resource": "nodes", "name": "gpu-a"},
        "requestObject": {"metadata": {"labels": labels}},
    }


def test_the_config_label_is_never_taken_away() -> None:
    """A write that removes or blanks it is told of, and so is a node seen without it."""
    key = "nvidia.com/mig.config"
    assert fired(invariants.blank_labels(history(), [audited({key: "all-7g.80gb"})])) == []
    assert fired(invariants.blank_labels(history(), [audited({"nvidia.com/mig.config.state": None})])) == []
    for value in (None, ""):
        assert fired(invariants.blank_labels(history(), [audited({key: value})])) == [Invariant.LABEL]
    seen = History(nodes={"gpu-a": [NodeSight(1.0, "x", "success", None)]})
    assert fired(invariants.blank_labels(seen, [])) == []
    seen.nodes["gpu-a"].append(NodeSight(2.0, None, "success", None))
    assert fired(invariants.blank_labels(seen, [])) == [Invariant.LABEL]


def test_a_node_at_rest_is_in_order_or_quarantined() -> None:
    """It offers what is cut, mig-manager has succeeded, nothing is paused; else it is quarantined."""
    assert fired(invariants.inconsistent([IN_ORDER])) == []
    for wrong in (
        replace(IN_ORDER, offered={}),
        replace(IN_ORDER, state="failed"),
        replace(IN_ORDER, paused=("nvidia.com/gpu.deploy.device-plugin",)),
        replace(IN_ORDER, config=None),
    ):
        assert fired(invariants.inconsistent([wrong])) == [Invariant.NODES]
        done, ended = change("gpu-a-1", 1.0, 2.0), change("gpu-a-1", 1.0, 2.0, Phase.QUARANTINED)
        assert fired(invariants.inconsistent([replace(wrong, newest=done)])) == [Invariant.NODES]
        assert fired(invariants.inconsistent([replace(wrong, newest=ended)])) == []


def test_a_taint_at_rest_belongs_to_a_live_change() -> None:
    """To one of that number on that node."""
    tainted, live = replace(IN_ORDER, taint="2"), change("gpu-a-2", 1.0, None)
    assert fired(invariants.stray_taints([tainted], [live])) == []
    assert fired(invariants.stray_taints([tainted], [])) == [Invariant.TAINT]
    assert fired(invariants.stray_taints([replace(tainted, taint="1")], [live])) == [Invariant.TAINT]


def test_a_mark_at_rest_belongs_to_a_live_change() -> None:
    """Else other autoscalers are kept off a node for nothing."""
    marked, live = replace(IN_ORDER, marked=True), change("gpu-a-2", 1.0, None)
    assert fired(invariants.stray_marks([marked, IN_ORDER], [live])) == []
    assert fired(invariants.stray_marks([marked, IN_ORDER], [])) == [Invariant.MARKS]


def test_a_taint_goes_with_its_change() -> None:
    """One that stays longer than a restart takes is told of."""
    for gone, expected in ((22.0, []), (60.0, [Invariant.TAINT])):
        seen = history(change("gpu-a-1", 10.0, 20.0))
        seen.nodes["gpu-a"] = [NodeSight(11.0, "x", "", "1"), NodeSight(gone, "x", "", None)]
        assert fired(invariants.outlived_taints(seen, 100.0)) == expected
    seen = history(change("gpu-a-1", 10.0, 20.0))
    seen.nodes["gpu-a"] = [NodeSight(11.0, "x", "", "1")]
    assert fired(invariants.outlived_taints(seen, 100.0)) == [Invariant.TAINT]
    assert fired(invariants.outlived_taints(history(change("gpu-a-1", 10.0, None)), 100.0)) == []


def test_every_servable_pod_was_bound() -> None:
    """One that still waits, or was never seen, is told of."""
    waiting = replace(POD, key="team/infer", node="", bound=None, ended=None)
    seen = history(pods=[POD, waiting])
    assert fired(invariants.unbound(seen, [POD.key])) == []
    assert fired(invariants.unbound(seen, [POD.key, waiting.key])) == [Invariant.BOUND]
    assert fired(invariants.unbound(seen, ["team/lost"])) == [Invariant.BOUND]


def test_pods_are_not_bound_to_slices_that_are_away() -> None:
    """A refusal of the kubelet is told of, unless the pod named its node, or that was just swapped."""
    refused = replace(POD, failed="UnexpectedAdmissionError")
    assert fired(invariants.refused_admission(history(pods=[POD]))) == []
    assert fired(invariants.refused_admission(history(pods=[refused]))) == [Invariant.ADMITTED]
    assert fired(invariants.refused_admission(history(pods=[replace(refused, named=True)]))) == []
    for at, expected in ((101.0, []), (103.0, [Invariant.ADMITTED])):
        swapped = history(pods=[refused])
        for uid, when in (("old", 50.0), ("new", at)):
            swapped.see_node({"metadata": {"name": "gpu-a", "uid": uid}, "spec": {}}, when)
        assert fired(invariants.refused_admission(swapped)) == expected


def test_a_history_is_written_from_objects() -> None:
    """Pods, changes and nodes as the API server shows them; what did not change is noted once."""
    seen = History()
    limits = {"cpu": "1", "nvidia.com/mig-1g.10gb": "2"}
    pod: Object = {
        "metadata": {"namespace": "team", "name": "infer", "uid": "p"},
        "spec": {"containers": [{"resources": {"limits": limits}}]},
        "status": {"phase": "Pending"},
    }
    seen.see_pod(pod, 1.0)
    assert seen.pods["p"] == PodLife("team/infer", {"1g.10gb": 2})
    pod["spec"]["nodeName"] = "gpu-a"
    seen.see_pod(pod, 2.0)
    seen.see_pod(pod, 3.0)
    assert seen.pods["p"].holds("gpu-a", 2.0)
    assert not seen.pods["p"].holds("gpu-a", 1.9)
    seen.see_pod(pod, 4.0, gone=True)
    assert not seen.pods["p"].holds("gpu-a", 4.0)
    steps = [{"phase": "Validated", "at": rfc3339(5.0)}, {"phase": "Cancelled", "at": rfc3339(6.0)}]
    conditions = [{"type": "Succeeded", "status": "False", "reason": "NodeBusy"}]
    seen.see_change(
        {
            "metadata": {"name": "gpu-a-3", "uid": "c"},
            "spec": {"node": {"name": "gpu-a"}},
            "status": {"phase": "Cancelled", "steps": steps, "conditions": conditions},
        },
        7.0,
    )
    [made] = seen.of_node("gpu-a")
    assert (made.began, made.ended, made.live, made.reason, made.number) == (5.0, 6.0, False, "NodeBusy", "3")
    node: Object = {
        "metadata": {"name": "gpu-a", "uid": "n", "labels": {"nvidia.com/mig.config": "x"}},
        "spec": {"taints": [{"key": "autoslicer.dev/reshaping", "value": "3"}]},
    }
    seen.see_node(node, 8.0)
    seen.see_node(node, 9.0)
    assert seen.nodes["gpu-a"] == [NodeSight(8.0, "x", "", "3")]
