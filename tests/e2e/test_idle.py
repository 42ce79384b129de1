"""What nobody uses is given back."""

from __future__ import annotations

from autoslicer.core import names
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy

AFTER = 8
"""seconds without use after which a node gets the layout of before again"""


def test_a_node_that_nobody_uses_gets_its_idle_layout(cluster: Cluster, steady: Controller) -> None:
    """It is cut for a pod and stays so while the pod runs; long after that it is whole again, and rests."""
    cluster.gpu_node("gpu-a", {"7g.80gb": 1})
    configure(cluster)
    policy(cluster, idle={"afterSeconds": AFTER, "config": "all-7g.80gb"})
    steady.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    cluster.wait_running([pod])
    until(lambda: [phases(change)[-1:] for change in changes(cluster)] == [["Done"]], 60, cluster.describe)
    cluster.watch_for(lambda: len(changes(cluster)) == 1, AFTER + 2)
    cluster.delete_pod(pod)
    until(lambda: names.IDLE_SINCE in cluster.node("gpu-a")["metadata"]["annotations"], 30, cluster.describe)
    assert len(changes(cluster)) == 1
    until(lambda: cluster.slices("gpu-a") == {"7g.80gb": 1}, 90, cluster.describe)
    until(lambda: phases(changes(cluster)[-1])[-1] == "Done", 60, cluster.describe)
    assert [change["spec"]["cause"] for change in changes(cluster)] == ["Demand", "Idle"]
    until(
        lambda: names.IDLE_SINCE not in cluster.node("gpu-a")["metadata"]["annotations"], 30, cluster.describe
    )
    cluster.watch_for(lambda: len(changes(cluster)) == 2, AFTER + 4)
