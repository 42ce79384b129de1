"""The audit log tells who wrote what."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cluster.audit import READS, Write
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until

NAMESPACE, NAME = "autoslicer-system", "writer"
USER = f"system:serviceaccount:{NAMESPACE}:{NAME}"


@pytest.fixture
def writer(cluster: Cluster) -> Iterator[Path]:
    """The kubeconfig of a service account of our namespace that may edit the test's namespace only."""
    if not cluster.exists(f"/api/v1/namespaces/{NAMESPACE}"):
        cluster.api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    cluster.api.create(accounts, {"metadata": {"name": NAME}})
    role = ("create", "rolebinding", NAME, "--clusterrole=edit", f"--serviceaccount={NAMESPACE}:{NAME}")
    cluster.kubectl(*role, f"--namespace={cluster.namespace}")
    yield cluster.control_plane.service_account(NAMESPACE, NAME)
    cluster.api.delete(f"{accounts}/{NAME}")


def test_writes_are_listed(cluster: Cluster, writer: Path) -> None:
    """What our service account writes is listed, also when refused; its reads and others' writes are not."""
    cluster.plain_node("plain")
    cluster.pod("app")

    def kubectl(*arguments: str) -> None:
        cluster.control_plane.kubectl(*arguments, f"--namespace={cluster.namespace}", kubeconfig=writer)

    began = datetime.now(UTC)
    kubectl("create", "configmap", "made")
    kubectl("get", "configmaps")
    kubectl("patch", "configmap", "made", "--type=merge", '--patch={"data": {"key": "value"}}')
    cluster.kubectl("create", "configmap", "by-admin", f"--namespace={cluster.namespace}")
    evict = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "app"}})
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/app/eviction"
    cluster.control_plane.kubectl("create", "--raw", path, "-f", "-", stdin=evict, kubeconfig=writer)
    with pytest.raises(subprocess.CalledProcessError):
        kubectl("delete", "--raw", "/api/v1/nodes/plain")
    kubectl("delete", "configmap", "made")
    where = cluster.namespace
    expected = [
        Write("create", "configmaps", f"{where}/made", 201),
        Write("patch", "configmaps", f"{where}/made", 200),
        Write("create", "pods/eviction", f"{where}/app", 201),
        Write("delete", "nodes", "plain", 403),
        Write("delete", "configmaps", f"{where}/made", 200),
    ]
    until(lambda: len(cluster.writes_of(USER)) >= 5, 10, lambda: str(cluster.writes_of(USER)))
    assert cluster.writes_of(USER) == expected
    events = [event for event in cluster.control_plane.audit() if event["user"]["username"] == USER]
    assert {event["verb"] for event in events} & set(READS)
    first = datetime.fromisoformat(events[0]["requestReceivedTimestamp"])
    assert began - timedelta(seconds=1) < first < datetime.now(UTC)
    assert cluster.writes_of(f"system:serviceaccount:{NAMESPACE}:nobody") == []
