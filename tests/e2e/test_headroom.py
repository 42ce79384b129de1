"""Slices that are free before the pods come."""

from __future__ import annotations

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy


def test_slices_are_free_before_pods_come(cluster: Cluster, steady: Controller) -> None:
    """One GPU is cut although no pod waits; a pod that comes then runs at once, and nothing more changes."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster, headroom=[{"profile": "1g.10gb", "free": 4}])
    steady.start()
    until(lambda: [phases(change)[-1:] for change in changes(cluster)] == [["Done"]], 60, cluster.describe)
    [change] = changes(cluster)
    assert (change["spec"]["cause"], change["spec"]["serves"]) == ("Headroom", [])
    until(lambda: cluster.slices("gpu-a").get("1g.10gb", 0) >= 4, 20, cluster.describe)
    assert cluster.slices("gpu-a")["7g.80gb"] == 1
    cluster.wait_running([cluster.pod("infer", {"1g.10gb": 1})])
    cluster.watch_for(lambda: len(changes(cluster)) == 1, 4)
