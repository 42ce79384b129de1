"""The whole loop meets the traps of the virtual mig-manager, and leaves every node in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoslicer.core.nodes import evidence
from autoslicer.core.phases import SUCCEEDED, condition, live
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import ReconfigurationRow
from simulations.cluster import START, Cluster
from simulations.executor import Executor
from simulations.mig_manager import Trap
from tests.simulations.worlds import H100, auto

NODE, POD = "node-0", "gpu-operator/nvidia-mig-manager-node-0"
HOURS = 6 * 3600.0


def lived(
    recovery: Recovery, disturb: Callable[[Cluster, float], None], *, pods: int = 1, agent: bool = False
) -> Cluster:
    """A node with two whole GPUs and pods that wait, some hours later; disturbed at every moment."""
    cluster = Cluster(auto(recovery=recovery))
    cluster.add_node(NODE, H100, 2, "all-7g.80gb", agent=agent)
    for number in range(pods):
        cluster.submit(f"team/{number}", {"1g.10gb": 1})
    for now in Executor(cluster.world).moments():
        disturb(cluster, now - START)
        busy = any(live(change) for change in cluster.world.changes.values())
        if now - START > HOURS or (cluster.world.changes and not busy and now - START > 60):
            break
    cluster.world.clock.jump(cluster.world.clock.now + 60)
    return cluster


def only(cluster: Cluster) -> ReconfigurationRow:
    """The one change that there was."""
    [change] = cluster.world.changes.values()
    return change


def end(change: ReconfigurationRow) -> tuple[str, str]:
    """How it ended."""
    found = condition(change.status, SUCCEEDED)
    assert found is not None
    return change.status.phase, found.reason


def in_order(cluster: Cluster) -> bool:
    """No taint, nothing paused, and the node offers what its GPUs hold."""
    node = cluster.world.nodes[NODE]
    offered = evidence.promised(gpu.layout for gpu in cluster.gpus[NODE])
    return not node.taints and not evidence.paused(node) and evidence.advertised(node) == offered


def until_attempt(attempt: int, trap: Trap) -> Callable[[Cluster, float], None]:
    """Every run falls into the trap, until the change makes that attempt."""

    def disturb(cluster: Cluster, now: float) -> None:
        reached = max((change.status.attempt for change in cluster.world.changes.values()), default=1)
        cluster.managers[NODE].trap = trap if reached < attempt else None

    return disturb


@pytest.mark.parametrize("trap", list(Trap))
def test_a_trap_that_opens_again_costs_an_attempt(trap: Trap) -> None:
    """The second name serves the pods, and nobody sees a difference afterwards."""
    cluster = lived(Recovery(pending_deadline=300), until_attempt(2, trap))
    assert end(only(cluster)) == ("Done", "Done")
    assert only(cluster).status.attempt == 2
    assert in_order(cluster)


def test_a_trap_that_stays_is_left_with_the_old_layout() -> None:
    """Nothing was cut, so that the old label is found in place; the clients are given back by hand."""
    cluster = lived(Recovery(pending_deadline=300), until_attempt(9, Trap.BEFORE))
    assert end(only(cluster)) == ("RolledBack", "ApplyStuck")
    assert in_order(cluster)
    assert evidence.config(cluster.world.nodes[NODE]) == "all-7g.80gb"


def test_a_trap_after_the_cut_costs_an_attempt_although_it_stays() -> None:
    """The second name finds the layout in place; the clients are given back by hand, the pods served."""
    cluster = lived(Recovery(pending_deadline=300), until_attempt(9, Trap.AFTER))
    assert end(only(cluster)) == ("Done", "Done")
    assert in_order(cluster)


@pytest.mark.parametrize("allowed", [False, True])
def test_where_the_old_layout_cannot_be_made_either_the_pod_is_the_last_resort(allowed: bool) -> None:
    """GPUs are empty and every run is stuck: only another process of mig-manager, where allowed, gets out."""

    def disturb(cluster: Cluster, now: float) -> None:
        fresh = POD in cluster.world.pods and cluster.world.pods[POD].created > START
        cluster.managers[NODE].trap = None if fresh else Trap.BEFORE
        if evidence.config(cluster.world.nodes[NODE]) != "all-7g.80gb":
            cluster.gpus[NODE][0].instances = []

    cluster = lived(Recovery(pending_deadline=300, delete_operator_pods=allowed), disturb)
    assert end(only(cluster)) == ("RolledBack" if allowed else "Quarantined", "ApplyStuck")
    assert in_order(cluster)
    whole = (("7g.80gb", 1),)
    assert [gpu.layout for gpu in cluster.gpus[NODE]] == [whole if allowed else (), whole]


def test_a_mig_manager_that_is_restarted_in_the_middle_goes_on() -> None:
    """Its pod cannot come back under our taint: after two minutes the node is set back, the taint lifted."""
    deleted: list[float] = []

    def disturb(cluster: Cluster, now: float) -> None:
        labelled = evidence.config(cluster.world.nodes[NODE]) != "all-7g.80gb"
        if labelled and not deleted:
            deleted.append(now)
            cluster.world.clock.after(2.0, lambda: cluster.world.delete(cluster.world.pods[POD]))

    cluster = lived(Recovery(), disturb)
    assert end(only(cluster)) == ("RolledBack", "ApplyPathMissing")
    assert in_order(cluster)
    assert only(cluster).status.steps[-1].at - START < 300
