"""Humans and limits hold changes back, end to end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autoslicer.cli.main import main
from autoslicer.core.times import seconds
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import NAMESPACE, POLICIES, Controller, changes, configure, phases, policy

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/autoslicer"


@pytest.fixture
def paused(cluster: Cluster, controller: Controller) -> Iterator[Controller]:
    """A controller that somebody has paused while it leads; nobody is left paused by it."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    controller.start()
    assert main(["pause", "--reason", "a test", f"--kubeconfig={cluster.kubeconfig}"]) == 0
    yield controller
    cluster.api.patch(LEASE, {"metadata": {"annotations": {"autoslicer.dev/paused": None}}})


def ready(cluster: Cluster) -> tuple[str, str]:
    """Status and reason of the policy's Ready."""
    conditions = cluster.api.get(f"{POLICIES}/default").get("status", {}).get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == "Ready"), ("", ""))


def test_nothing_starts_while_autoslicer_is_paused(cluster: Cluster, paused: Controller) -> None:
    """Every policy says so, a restart changes nothing, and after resume the pod is served."""
    until(lambda: ready(cluster) == ("False", "Paused"), 15, cluster.describe)
    pod = cluster.pod("infer", {"1g.10gb": 1})
    cluster.wait_unschedulable([pod])
    assert paused.stop() == 0
    paused.start()
    cluster.watch_for(lambda: changes(cluster) == [] and cluster.taints("gpu-a") == [], 5)
    assert paused.metric("requests_unfulfilled", reason="Paused") == 1
    assert main(["resume", f"--kubeconfig={cluster.kubeconfig}"]) == 0
    cluster.wait_running([pod])
    until(lambda: ready(cluster) == ("True", "Ready"), 15, cluster.describe)


def test_the_first_change_of_a_kind_goes_alone(cluster: Cluster, controller: Controller) -> None:
    """Of two equal nodes the second starts when the first is Done, and not before."""
    for node in ("gpu-a", "gpu-b"):
        cluster.gpu_node(node, {"7g.80gb": 1})
    configure(cluster)
    policy(cluster, disruption={"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0})
    controller.start()
    pods = [cluster.pod(f"train-{n}", {"3g.40gb": 1}) for n in range(4)]
    # one after the other takes twice as long
    cluster.wait_running(pods, 180)
    until(lambda: all(phases(change)[-1:] == ["Done"] for change in changes(cluster)), 60, cluster.describe)
    first, second = sorted(changes(cluster), key=lambda change: str(change["status"]["startedAt"]))
    assert seconds(second["status"]["startedAt"]) >= seconds(first["status"]["steps"][-1]["at"])
