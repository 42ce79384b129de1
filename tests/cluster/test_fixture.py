"""The `Cluster` object: what one test leaves is gone for the next, and failed waits say what was seen."""

from __future__ import annotations

import time

import pytest

from tests.cluster.fixture import Cluster
from tests.cluster.operator import DEFAULT_CONFIG_MAP, NAMESPACE
from tests.cluster.played import Knobs
from tests.cluster.waiting import until


def test_a_reset_leaves_an_empty_cluster(cluster: Cluster) -> None:
    """After a reset there are no nodes, no pods anywhere, no knobs turned, and the next test's pods run."""
    cluster.gpu_node("gpu-a")
    cluster.plain_node("cpu-a")
    spec = {"selector": {"matchLabels": {"app": "web"}}, "replicas": 2}
    pod = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    }
    cluster.api.create(
        f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments",
        {"metadata": {"name": "web"}, "spec": {**spec, "template": pod}},
    )
    pods = [cluster.pod("used", {"7g.80gb": 1}), cluster.pod("elsewhere", namespace="default")]
    waiting = cluster.pod("waiting", {"1g.10gb": 1}, namespace="default")
    cluster.wait_running(pods)
    cluster.wait_unschedulable([waiting])
    cluster.played.knobs.plugin_returns = False
    old = cluster.namespace
    cluster.reset()
    assert cluster.api.list("/api/v1/nodes") == []
    until(lambda: cluster.api.list("/api/v1/pods") == [], 10, cluster.describe)
    assert cluster.played.knobs == Knobs()
    assert cluster.namespace != old
    cluster.gpu_node("gpu-a")
    cluster.wait_running([cluster.pod("used", {"7g.80gb": 1})])


def test_a_reset_brings_the_operators_own_config_back(cluster: Cluster) -> None:
    """A test that let ClusterPolicy name another ConfigMap does not change the next test's mig-manager."""
    cluster.gpu_node("gpu-a")
    maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    data = cluster.api.get(f"{maps}/{DEFAULT_CONFIG_MAP}")["data"]
    cluster.api.create(maps, {"metadata": {"name": "autoslicer-mig-parted-config"}, "data": data})
    assert mounted(cluster) == {DEFAULT_CONFIG_MAP}
    cluster.configure_operator()
    assert mounted(cluster) == {"autoslicer-mig-parted-config"}
    cluster.reset()
    assert [m["metadata"]["name"] for m in cluster.api.list(maps)] in (
        [DEFAULT_CONFIG_MAP],
        [DEFAULT_CONFIG_MAP, "kube-root-ca.crt"],
    )
    cluster.gpu_node("gpu-a")
    assert mounted(cluster) == {DEFAULT_CONFIG_MAP}


def mounted(cluster: Cluster) -> set[str]:
    """The ConfigMaps in the mig-manager pods of `gpu-a`."""
    return {
        volume["configMap"]["name"]
        for pod in cluster.operands("gpu-a")
        if pod["metadata"]["labels"]["app"] == "nvidia-mig-manager"
        and "deletionTimestamp" not in pod["metadata"]
        for volume in pod["spec"]["volumes"]
        if "configMap" in volume
    }


def test_a_failed_wait_says_what_was_seen(cluster: Cluster) -> None:
    """The message has the nodes' slices and labels, why a pod waits, and the ends of the servers' logs."""
    cluster.gpu_node("gpu-a", {"3g.40gb": 2}, config="all-3g.40gb")
    pod = cluster.pod("infer", {"1g.10gb": 1})
    cluster.wait_unschedulable([pod])
    with pytest.raises(AssertionError) as error:
        cluster.wait_running([pod], seconds=0.2)
    text = str(error.value)
    assert text.startswith("not within 0.2 s: ")
    for seen in (
        "node gpu-a: {'3g.40gb': 2} taints []",
        "'nvidia.com/mig.config.state': 'success'",
        f"pod {pod}: Pending",
        "Insufficient nvidia.com/mig-1g.10gb",
        "NVML of gpu-a: [{'3g.40gb': 2}]",
        "kube-scheduler.log",
    ):
        assert seen in text


def test_a_failed_wait_speaks_also_without_the_api_server(cluster: Cluster) -> None:
    """What can be known during an outage is said; the outage itself does not hide it."""
    cluster.control_plane.kill_apiserver()
    try:
        text = cluster.describe()
    finally:
        cluster.control_plane.start_apiserver()
    assert "the API server does not answer: " in text
    assert "kube-apiserver.log" in text


def test_a_pod_of_higher_priority_preempts(cluster: Cluster) -> None:
    """Priorities are real: the scheduler takes the slice from the lesser pod, and not from an equal one."""
    cluster.gpu_node("gpu-a", {"7g.80gb": 1})
    low = cluster.pod("low", {"7g.80gb": 1})
    cluster.wait_running([low])
    equal = cluster.pod("equal", {"7g.80gb": 1})
    cluster.wait_unschedulable([equal])
    assert cluster.node_of(low) == "gpu-a"
    high = cluster.pod("high", {"7g.80gb": 1}, priority=1000)
    cluster.wait_running([high], seconds=20)
    assert {pod["metadata"]["name"] for pod in cluster.pods()} == {"equal", "high"}


def test_watching_for_something_fails_as_soon_as_it_ends(cluster: Cluster) -> None:
    """A check that something stays as it is lasts its time, and ends early when it does not stay."""
    began = time.monotonic()
    cluster.watch_for(lambda: True, 0.5)
    assert time.monotonic() - began >= 0.5
    seen = iter([True, True, False])
    with pytest.raises(AssertionError, match="directory"):
        cluster.watch_for(lambda: next(seen), 60)
    assert time.monotonic() - began < 10


def test_an_error_of_a_played_part_fails_one_test(cluster: Cluster) -> None:
    """An error in the thread that plays nodes fails the test after which it is found, and no later one."""
    cluster.played.errors.append("Traceback: the kubelet broke")
    with pytest.raises(AssertionError, match="the kubelet broke"):
        cluster.reset()
    cluster.reset()
