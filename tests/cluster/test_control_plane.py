"""The control plane is the real one, and stays usable through the faults that tests put it to."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.fixture import Cluster
from tests.cluster.tools import KUBERNETES
from tests.cluster.waiting import until

READER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reads-nodes}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reads-nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reads-nodes}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
"""


def test_both_sides_say_their_version(cluster: Cluster) -> None:
    """Servers and kubectl carry the version that they were built from, which charts ask for."""
    versions = json.loads(cluster.kubectl("version", "-o", "json"))
    assert versions["clientVersion"]["gitVersion"] == versions["serverVersion"]["gitVersion"] == KUBERNETES


def test_a_service_account_may_do_what_its_role_says(cluster: Cluster, tmp_path: Path) -> None:
    """A kubeconfig made by TokenRequest reads what RBAC allows and is forbidden the rest."""
    (tmp_path / "reader.yaml").write_text(READER)
    cluster.control_plane.apply(tmp_path / "reader.yaml")
    cluster.plain_node("cpu-a")
    reader = cluster.control_plane.service_account("default", "reader")

    def kubectl(*words: str) -> str:
        return cluster.control_plane.kubectl(*words, kubeconfig=reader)

    # the authorizer learns of a new binding a moment later
    until(lambda: kubectl("auth", "can-i", "list", "nodes").strip() == "yes", 5, cluster.describe)
    assert kubectl("get", "nodes", "-o", "name").split() == ["node/cpu-a"]
    for forbidden in (("get", "pods", "-A"), ("delete", "node", "cpu-a")):
        with pytest.raises(subprocess.CalledProcessError) as error:
            kubectl(*forbidden)
        assert "Forbidden" in error.value.stderr


def test_unknown_fields_are_refused(cluster: Cluster) -> None:
    """A strict server-side dry run names the field that the API does not have."""
    manifest = json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dta": {"a": "b"}}
    )
    with pytest.raises(subprocess.CalledProcessError) as error:
        cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest)
    assert 'unknown field "dta"' in error.value.stderr


def test_everything_goes_on_after_an_outage(cluster: Cluster) -> None:
    """After a SIGKILL and restart of the API server pods are bound and run, and slices come and go."""
    cluster.gpu_node("gpu-a")
    before = cluster.pod("before", {"7g.80gb": 1})
    cluster.wait_running([before])
    cluster.restart_apiserver(away=1)
    after = cluster.pod("after", {"7g.80gb": 1})
    cluster.wait_running([after])
    assert cluster.get_pod(before)["status"]["phase"] == "Running"
    cluster.label("gpu-a", {"nvidia.com/gpu.deploy.device-plugin": "paused-for-mig-change"})
    until(lambda: not cluster.slices("gpu-a"), 20, cluster.describe)


def test_a_budget_holds_an_eviction_back(cluster: Cluster) -> None:
    """The Eviction API refuses what a PodDisruptionBudget protects, and ends a pod that nothing protects."""
    cluster.plain_node("cpu-a")
    guarded = cluster.pod("guarded")
    free = cluster.pod("free")
    cluster.wait_running([guarded, free])
    cluster.kubectl("label", "pod", "-n", cluster.namespace, "guarded", "app=guarded")
    budgets = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets"
    body = {
        "metadata": {"name": "one"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    cluster.api.create(budgets, body)
    until(
        lambda: cluster.api.get(f"{budgets}/one").get("status", {}).get("currentHealthy"),
        10,
        cluster.describe,
    )
    with pytest.raises(ApiError, match="violate the pod's disruption budget") as error:
        evict(cluster, guarded)
    assert error.value.status == 429
    evict(cluster, free)
    until(lambda: len(cluster.pods()) == 1, 10, cluster.describe)
    assert cluster.get_pod(guarded)["status"]["phase"] == "Running"


def evict(cluster: Cluster, key: str) -> None:
    """What `kubectl drain` asks for."""
    namespace, name = key.split("/")
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    cluster.api.create(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """A start that fails ends at once with the end of that server's log."""
    plane = ControlPlane(tmp_path)
    began = time.monotonic()
    with (
        socket.create_server(("127.0.0.1", plane._ports[1])),
        pytest.raises(AssertionError, match=r"etcd ended:\n(.|\n)*address already in use"),
    ):
        plane.start()
    assert time.monotonic() - began < 10
    plane.stop()


def test_two_clusters_run_side_by_side(cluster: Cluster, tmp_path: Path) -> None:
    """A second control plane has its own ports and its own data, and stops in a moment."""
    second = ControlPlane(tmp_path)
    try:
        second.start()
        cluster.plain_node("cpu-a")
        assert second.kubectl("get", "nodes", "-o", "name") == ""
        assert cluster.kubectl("get", "nodes", "-o", "name") == "node/cpu-a\n"
    finally:
        began = time.monotonic()
        second.stop()
    assert time.monotonic() - began < 2
