"""The played device plugin and GPU feature discovery live and die with the pods of their real DaemonSets."""

from __future__ import annotations

import time

import pytest

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until

PLUGIN = "nvidia.com/gpu.deploy.device-plugin"
DISCOVERY = "nvidia.com/gpu.deploy.gpu-feature-discovery"
PAUSED = "paused-for-mig-change"
OURS = {"key": "autoslicer.dev/reshaping", "effect": "NoSchedule"}
OPERATORS = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}


@pytest.fixture
def gpu(cluster: Cluster) -> str:
    """A node in service whose layouts are changed by hand, without mig-manager."""
    cluster.played.knobs.mig_manager = False
    cluster.gpu_node("gpu", {"3g.40gb": 2}, config="all-3g.40gb")
    return "gpu"


def has_plugin(cluster: Cluster, node: str) -> bool:
    return any(
        pod["metadata"]["labels"]["app"] == "nvidia-device-plugin-daemonset" for pod in cluster.operands(node)
    )


def advertised(cluster: Cluster, node: str) -> dict[str, str]:
    have = cluster.node(node)["status"]["allocatable"]
    return {name: amount for name, amount in have.items() if name.startswith("nvidia.com/")}


def pause(cluster: Cluster, node: str) -> None:
    """What mig-manager does before it cuts."""
    cluster.label(node, {PLUGIN: PAUSED, DISCOVERY: PAUSED})
    until(lambda: not has_plugin(cluster, node), 20, cluster.describe)
    until(lambda: cluster.slices(node) == {}, 20, cluster.describe)


def resume(cluster: Cluster, node: str) -> None:
    """What mig-manager does after it cut."""
    cluster.label(node, {PLUGIN: "true", DISCOVERY: "true"})


def taint(cluster: Cluster, node: str, *taints: dict[str, str]) -> None:
    cluster.api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": list(taints)}})


def test_it_follows_nvml(cluster: Cluster, gpu: str) -> None:
    """Nothing is advertised while the pod is away; then what NVML shows, with zeros for what vanished."""
    pause(cluster, gpu)
    assert advertised(cluster, gpu) == {"nvidia.com/mig-3g.40gb": "0"}
    cluster.played.nodes[gpu].gpus.cut({"1g.10gb": 6, "1g.10gb+me": 1})
    resume(cluster, gpu)
    until(lambda: cluster.in_service(gpu), 20, cluster.describe)
    assert advertised(cluster, gpu) == {
        "nvidia.com/mig-1g.10gb": "6",
        "nvidia.com/mig-1g.10gb.me": "1",
        "nvidia.com/mig-3g.40gb": "0",
    }


def test_it_looks_once(cluster: Cluster, gpu: str) -> None:
    """A layout that changes under a running plugin is not advertised before the plugin is restarted."""
    cluster.played.nodes[gpu].gpus.cut({"1g.10gb": 7})
    cluster.watch_for(lambda: cluster.slices(gpu) == {"3g.40gb": 2}, 1)
    pause(cluster, gpu)
    resume(cluster, gpu)
    until(lambda: cluster.slices(gpu) == {"1g.10gb": 7}, 20, cluster.describe)


def test_discovery_labels(cluster: Cluster, gpu: str) -> None:
    """The labels tell the counts of the present profiles, and nothing of those that vanished."""
    pause(cluster, gpu)
    cluster.played.nodes[gpu].gpus.cut({"1g.10gb": 7})
    assert cluster.labels(gpu)["nvidia.com/mig-3g.40gb.count"] == "2"
    resume(cluster, gpu)
    until(lambda: cluster.labels(gpu).get("nvidia.com/mig-1g.10gb.count") == "7", 20, cluster.describe)
    assert not [name for name in cluster.labels(gpu) if name.startswith("nvidia.com/mig-3g.40gb")]


def test_our_taint_keeps_a_paused_plugin_away(cluster: Cluster, gpu: str) -> None:
    """Under our taint a running plugin stays, but a paused one comes back only when the taint is lifted."""
    taint(cluster, gpu, OURS)
    cluster.watch_for(lambda: has_plugin(cluster, gpu) and cluster.in_service(gpu), 0.5)
    pause(cluster, gpu)
    resume(cluster, gpu)
    cluster.watch_for(lambda: not has_plugin(cluster, gpu) and cluster.slices(gpu) == {}, 2)
    taint(cluster, gpu)
    until(lambda: cluster.in_service(gpu), 20, cluster.describe)


def test_the_operators_taint_does_not(cluster: Cluster, gpu: str) -> None:
    """The taint that the Operator's DaemonSets tolerate keeps no plugin away."""
    taint(cluster, gpu, OPERATORS)
    pause(cluster, gpu)
    resume(cluster, gpu)
    until(lambda: cluster.in_service(gpu), 20, cluster.describe)
    assert cluster.taints(gpu) == ["nvidia.com/gpu"]


def test_knobs(cluster: Cluster, gpu: str) -> None:
    """A plugin that never returns advertises nothing, and a slow one only after its delay."""
    cluster.played.knobs.plugin_returns = False
    pause(cluster, gpu)
    resume(cluster, gpu)
    until(lambda: has_plugin(cluster, gpu), 20, cluster.describe)
    cluster.watch_for(lambda: cluster.slices(gpu) == {}, 1)
    cluster.played.knobs.plugin_seconds = 1.5
    began = time.monotonic()
    cluster.played.knobs.plugin_returns = True
    until(lambda: cluster.in_service(gpu), 20, cluster.describe)
    assert time.monotonic() - began >= 1.4


def test_discovery_may_be_late(cluster: Cluster, gpu: str) -> None:
    """The labels tell of the old layout until GPU feature discovery has looked."""
    cluster.played.knobs.discovery_seconds = 2.5
    pause(cluster, gpu)
    cluster.played.nodes[gpu].gpus.cut({"1g.10gb": 7})
    resume(cluster, gpu)
    until(lambda: cluster.slices(gpu) == {"1g.10gb": 7}, 20, cluster.describe)
    cluster.watch_for(lambda: cluster.labels(gpu).get("nvidia.com/mig-3g.40gb.count") == "2", 1)
    until(lambda: cluster.labels(gpu).get("nvidia.com/mig-1g.10gb.count") == "7", 20, cluster.describe)
