"""The virtual API server, scheduler and kubelet keep the rules that the real ones keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core import names
from autoslicer.core.rows import PodRow, Taint
from simulations.arrivals import Arrivals
from simulations.clock import Clock
from simulations.cluster import Cluster
from simulations.successor import evict
from simulations.workload.job import Job
from simulations.world import Conflict, Row
from tests.simulations.worlds import H100, amend, auto, pods, run


@pytest.fixture
def cluster() -> Cluster:
    """One node with one GPU of seven slices, and no controller."""
    made = Cluster(auto())
    made.add_node("node-0", H100, 1, "all-1g.10gb")
    return made


def where(cluster: Cluster) -> dict[str, tuple[str, str]]:
    return {pod.name: (pod.node, pod.phase) for pod in pods(cluster)}


def test_time_does_not_run_back() -> None:
    """Neither a plan for the past nor a jump into it is possible."""
    clock = Clock(10.0)
    with pytest.raises(ValueError, match="run back"):
        clock.after(-1, lambda: None)
    with pytest.raises(ValueError, match="run back"):
        clock.jump(9.0)


def test_what_is_planned_for_one_moment_happens_in_order_of_planning() -> None:
    """Ties are broken by the order of planning, whatever it is that happens."""
    clock, seen = Clock(0.0), list[str]()
    clock.after(2, lambda: seen.append("c"))
    clock.after(1, lambda: seen.append("a"))
    clock.after(1, lambda: seen.append("b"))
    clock.jump(5.0)
    assert (seen, clock.now) == (["a", "b", "c"], 5.0)


def test_a_write_with_an_old_version_conflicts(cluster: Cluster) -> None:
    """The first writer wins, the second one with the same version is refused and changes nothing."""
    node = cluster.world.nodes["node-0"]
    first = replace(node, unschedulable=True)
    cluster.world.write(first, expect=node.resource_version)
    with pytest.raises(Conflict):
        cluster.world.write(replace(node, labels={}), expect=node.resource_version)
    assert cluster.world.nodes["node-0"].labels == node.labels


def test_a_write_that_changes_nothing_wakes_nobody(cluster: Cluster) -> None:
    """As with the API server, an equal object keeps its version and causes no watch event."""
    seen: list[Row | None] = []
    cluster.world.watch(lambda old, new: seen.append(new))
    cluster.world.write(cluster.world.nodes["node-0"])
    assert not seen
    amend(cluster, "node-0", unschedulable=True)
    assert len(seen) == 1


def test_the_scheduler_takes_priority_then_age(cluster: Cluster) -> None:
    """Of nine pods for seven slices the urgent one is bound although it came last, and the youngest wait."""
    amend(cluster, "node-0", unschedulable=True)
    for number in range(8):
        cluster.submit(f"team/{number}", {"1g.10gb": 1})
        run(cluster, 1)
    cluster.submit("team/urgent", {"1g.10gb": 1}, priority=1)
    run(cluster, 3)
    amend(cluster, "node-0", unschedulable=False)
    run(cluster, 5)
    assert {name for name, (node, _) in where(cluster).items() if not node} == {"6", "7"}


@pytest.mark.parametrize("tainted", [True, False])
def test_our_taint_keeps_pods_off(cluster: Cluster, tainted: bool) -> None:
    """A pod that fits is bound, but not under our taint, and it says why."""
    if tainted:
        amend(cluster, "node-0", taints=(Taint(names.TAINT, "1", "NoSchedule"),))
    cluster.submit("team/0", {"1g.10gb": 1})
    run(cluster, 5)
    assert where(cluster)["0"] == (("", "Pending") if tainted else ("node-0", "Running"))
    assert [event.message for event in cluster.world.events] == (
        ["0/1 nodes are available: 1 node(s) had untolerated taint {autoslicer.dev/reshaping: 1}."] * tainted
    )


@pytest.mark.parametrize("away", [True, False])
def test_a_pod_bound_while_the_plugin_is_away_fails_for_good(cluster: Cluster, away: bool) -> None:
    """The kubelet refuses it with UnexpectedAdmissionError, and nobody tries it again."""
    if away:
        amend(cluster, "node-0", labels={f"{names.GPU_DEPLOY_PREFIX}device-plugin": names.PAUSED})
    run(cluster, 2)
    amend(cluster, "node-0", unschedulable=True)
    cluster.submit("team/0", {"1g.10gb": 1})
    run(cluster, 1)
    pod = cluster.world.pods["team/0"]
    cluster.world.write(replace(pod, node="node-0", bound_at=cluster.world.stamp()))
    run(cluster, 60)
    assert where(cluster)["0"] == ("node-0", "Failed" if away else "Running")
    reasons = [event.reason for event in cluster.world.events]
    assert ("UnexpectedAdmissionError" in reasons) is away


def test_a_pod_that_ends_gives_its_slices_back(cluster: Cluster) -> None:
    """Seven slices serve fourteen pods, one after the other; deleted pods give theirs back as well."""
    for number in range(14):
        cluster.submit(f"team/{number:02}", {"1g.10gb": 1}, duration=10 if number < 6 else None)
    run(cluster, 5)
    cluster.world.delete(cluster.world.pods["team/06"])
    run(cluster, 60)
    phases = {name: phase for name, (_, phase) in where(cluster).items()}
    assert [phases[f"{number:02}"] for number in range(6)] == ["Succeeded"] * 6
    assert [phases[f"{number:02}"] for number in range(7, 14)] == ["Running"] * 7


@pytest.mark.parametrize("refused", [True, False])
def test_a_pod_that_comes_again_runs_its_whole_duration(cluster: Cluster, refused: bool) -> None:
    """Evicted, and perhaps refused by the kubelet after that: it ends so long after its last start."""
    told: list[tuple[float, str, str]] = []

    def tell(old: Row | None, new: Row | None) -> None:
        if isinstance(new, PodRow) and isinstance(old, PodRow) and new.phase != old.phase:
            told.append((cluster.world.clock.now, new.phase, new.uid))

    key = "team/0"
    Arrivals(cluster.world, iter([Job(key, 0.0, 100.0, {"nvidia.com/mig-1g.10gb": 1})]), cluster.admit)
    cluster.world.watch(tell)
    run(cluster, 10)
    if refused:
        amend(cluster, "node-0", labels={f"{names.GPU_DEPLOY_PREFIX}device-plugin": names.PAUSED})
        run(cluster, 5)
    evict(cluster.world, cluster.world.pods[key])
    if refused:
        pod = cluster.world.pods[key]
        cluster.world.write(replace(pod, node="node-0", bound_at=cluster.world.stamp()))
        run(cluster, 5)
        amend(cluster, "node-0", labels={f"{names.GPU_DEPLOY_PREFIX}device-plugin": "true"})
    run(cluster, 200)
    phases = ["Running", *["Failed"] * refused, "Running", "Succeeded"]
    assert [phase for _, phase, _ in told] == phases
    assert told[-1][0] == told[-2][0] + 100
    assert len({uid for _, _, uid in told}) == len(phases) - 1
