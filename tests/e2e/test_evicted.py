"""Pods of lower priority make room, by the rules of disruption budgets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.agent import Agent
from tests.e2e.controller import Controller, changes, configure, phases, policy

HALVES = {"3g.40gb": 2}


class _Holders(dict[tuple[int, int], Sequence[str]]):
    """A pod holds the first of two instances as long as it is there."""

    def __init__(self, cluster: Cluster, pod: str) -> None:
        super().__init__({(0, 1): [pod]})
        self._cluster, self._path = cluster, f"/api/v1/namespaces/{'/pods/'.join(pod.split('/'))}"

    def get(self, key: tuple[int, int], default: Any = None) -> Any:
        return super().get(key, default) if self._cluster.exists(self._path) else default


def _deployment(cluster: Cluster) -> str:
    """A Deployment with one pod that holds half a GPU; gives the pod's key once it runs."""
    limits = {"cpu": "1", "nvidia.com/mig-3g.40gb": "1"}
    container = {"name": "main", "image": "busybox", "resources": {"limits": limits}}
    template = {"metadata": {"labels": {"app": "tenant"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "tenant"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments"
    cluster.api.create(path, {"metadata": {"name": "tenant"}, "spec": spec})
    until(lambda: _tenants(cluster), 20, cluster.describe)
    key = f"{cluster.namespace}/{_tenants(cluster)[0]['metadata']['name']}"
    cluster.wait_running([key])
    return key


def _tenants(cluster: Cluster) -> list[Object]:
    return [pod for pod in cluster.pods() if pod["metadata"].get("labels", {}).get("app") == "tenant"]


def _budget(cluster: Cluster, **spec: object) -> None:
    """A disruption budget for the Deployment, once the API server counts by it."""
    path = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets"
    body = {"metadata": {"name": "tenant"}, "spec": {"selector": {"matchLabels": {"app": "tenant"}}, **spec}}
    cluster.api.create(path, body)
    until(
        lambda: cluster.api.get(f"{path}/tenant")["status"].get("currentHealthy") == 1, 20, cluster.describe
    )


@contextmanager
def scene(cluster: Cluster, controller: Controller, drain: int) -> Iterator[tuple[str, str]]:
    """A tenant holds half of gpu-a, gpu-b has room for it, and a large pod of higher priority waits."""
    cluster.gpu_node("gpu-a", HALVES, config="all-3g.40gb")
    configure(cluster)
    tenant = _deployment(cluster)
    cluster.gpu_node("gpu-b", HALVES, config="all-3g.40gb")
    bare = cluster.pod("bare", {"3g.40gb": 1}, nodeSelector={"kubernetes.io/hostname": "gpu-b"})
    cluster.wait_running([bare])
    time.sleep(2)  # the time of binding is kept in whole seconds; the agent has to look after that
    with Agent(cluster, "gpu-a", _Holders(cluster, tenant)):
        disruption = {"eviction": "WhenServed", "drainTimeoutSeconds": drain, "canary": False}
        budgets = [{"nodes": "100%"}]
        policy(cluster, disruption={**disruption, "budgets": budgets, "cooldownSeconds": 0})
        controller.start()
        yield tenant, cluster.pod("large", {"7g.80gb": 1}, priority=10)


def test_a_pod_of_lower_priority_makes_room(cluster: Cluster, controller: Controller) -> None:
    """The tenant is evicted, its replacement runs where the plan saw it, and the large pod gets the GPU."""
    with scene(cluster, controller, 60) as (tenant, large):
        _budget(cluster, maxUnavailable=1)
        cluster.wait_running([large])
        until(lambda: phases(changes(cluster)[0])[-1:] == ["Done"], 30, cluster.describe)
    [change] = changes(cluster)
    assert (change["spec"]["serves"], change["spec"]["evicts"]) == ([large], [tenant])
    assert cluster.node_of(large) == "gpu-a"
    until(
        lambda: [pod["spec"].get("nodeName") for pod in _tenants(cluster)] == ["gpu-b"], 20, cluster.describe
    )
    assert _tenants(cluster)[0]["metadata"]["name"] != tenant.split("/")[1]
    assert not [line for line in cluster.nvml_log("gpu-a") if line.busy]
    assert cluster.nvml_log("gpu-b") == []


def test_a_disruption_budget_keeps_its_pods(cluster: Cluster, controller: Controller) -> None:
    """Where the budget allows nothing the pod stays, and after the policy's time the node is as it was."""
    with scene(cluster, controller, 5) as (tenant, large):
        uid = cluster.get_pod(tenant)["metadata"]["uid"]
        _budget(cluster, minAvailable=1)
        until(lambda: any(phases(c)[-1:] == ["Cancelled"] for c in changes(cluster)), 60, cluster.describe)
        first = changes(cluster)[0]
        assert first["spec"]["evicts"] == [tenant]
        assert first["status"]["conditions"][-1]["reason"] == "DrainBlocked"
        until(lambda: cluster.taints("gpu-a") == [], 10, cluster.describe)
        assert cluster.get_pod(tenant)["metadata"]["uid"] == uid
    assert cluster.nvml_log("gpu-a") == []
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == "all-3g.40gb"
    assert cluster.node_of(large) == ""
