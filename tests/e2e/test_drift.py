"""A node that lost its layout gets it back, and one in use is only told of."""

from __future__ import annotations

from tests.cluster import operator
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import POLICIES, Controller, changes, configure, phases, policy

DEADLINE = 20
"""seconds that mig-manager has for itself first, and then for the repair"""
PLUGIN = operator.OPERANDS["device-plugin"]


def wipe(cluster: Cluster, node: str) -> None:
    """As a reboot does: no instance is left, and the device plugin looks anew; mig-manager does nothing."""
    played = cluster.played.nodes[node]
    until(lambda: any(map(played.mig_manager.rests, cluster.operands(node))), 30, cluster.describe)
    played.gpus.cut({}, {})
    for pod in cluster.operands(node):
        if pod["metadata"]["labels"]["app"] == PLUGIN:
            cluster.api.delete(f"/api/v1/namespaces/{operator.NAMESPACE}/pods/{pod['metadata']['name']}")
    until(lambda: cluster.slices(node) == {}, 20, cluster.describe)
    until(lambda: played.plugin.enumerated, 30, cluster.describe)


def drifted(cluster: Cluster) -> int:
    status = cluster.api.get(f"{POLICIES}/default").get("status", {})
    return int(status.get("nodes", {}).get("drifted", 0))


def told(cluster: Cluster) -> set[str]:
    """The nodes of which an event tells what differs."""
    events = cluster.api.list("/apis/events.k8s.io/v1/namespaces/default/events")
    sentence = "asks for 2 x 7g.80gb, but allocatable says nothing"
    found = [event for event in events if event.get("reason") == "LayoutDrift"]
    return {event["regarding"]["name"] for event in found if sentence in event["note"]}


def test_a_wiped_node_gets_its_layout_back_once_it_is_idle(cluster: Cluster, steady: Controller) -> None:
    """The idle one after mig-manager's deadline, the other one when its last pod has gone."""
    for node in ("gpu-a", "gpu-b"):
        cluster.gpu_node(node, {"7g.80gb": 1}, {"7g.80gb": 1})
    configure(cluster)
    policy(cluster, recovery={"pendingDeadlineSeconds": DEADLINE})
    holder = cluster.pod("train", {"7g.80gb": 1}, nodeSelector={"kubernetes.io/hostname": "gpu-b"})
    cluster.wait_running([holder])
    steady.start()
    until(lambda: cluster.api.get(f"{POLICIES}/default").get("status"), 20, cluster.describe)
    assert drifted(cluster) == 0
    for node in ("gpu-a", "gpu-b"):
        wipe(cluster, node)
    until(lambda: drifted(cluster) == 2, 20, cluster.describe)
    until(lambda: told(cluster) == {"gpu-a", "gpu-b"}, 20, cluster.describe)
    until(lambda: [phases(change)[-1:] for change in changes(cluster)] == [["Done"]], 90, cluster.describe)
    [change] = changes(cluster)
    assert (change["spec"]["cause"], change["spec"]["node"]["name"]) == ("Drift", "gpu-a")
    assert cluster.layout("gpu-a") == [{"7g.80gb": 1}, {"7g.80gb": 1}]
    assert cluster.layout("gpu-b") == [{}, {}]
    until(lambda: drifted(cluster) == 1, 20, cluster.describe)
    assert steady.metric("nodes", state="drifted") == 1
    cluster.delete_pod(holder)
    until(lambda: cluster.layout("gpu-b") == [{"7g.80gb": 1}, {"7g.80gb": 1}], 60, cluster.describe)
    until(lambda: drifted(cluster) == 0, 60, cluster.describe)


def test_a_plugin_that_tells_an_old_story_is_restarted(cluster: Cluster, steady: Controller) -> None:
    """Where the GPUs are as they ought to be, nothing of them is touched; only with the policy's word."""
    cluster.gpu_node("gpu-a", {"7g.80gb": 1}, {"7g.80gb": 1})
    configure(cluster)
    wipe(cluster, "gpu-a")
    cluster.played.nodes["gpu-a"].gpus.cut({"7g.80gb": 1}, {"7g.80gb": 1})
    made = len(cluster.nvml_log("gpu-a"))
    recovery = {"pendingDeadlineSeconds": 5, "deleteOperatorPods": False}
    policy(cluster, recovery=recovery)
    steady.start()
    until(lambda: drifted(cluster) == 1, 60, cluster.describe)
    cluster.watch_for(lambda: cluster.slices("gpu-a") == {}, 8)
    cluster.api.patch(f"{POLICIES}/default", {"spec": {"recovery": {**recovery, "deleteOperatorPods": True}}})
    until(lambda: cluster.slices("gpu-a") == {"7g.80gb": 2}, 60, cluster.describe)
    until(lambda: drifted(cluster) == 0, 30, cluster.describe)
    assert (changes(cluster), len(cluster.nvml_log("gpu-a"))) == ([], made)
