"""What cannot be helped causes no work."""

from __future__ import annotations

import time
from collections import Counter

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, configure, policy

QUIET_SECONDS = 20
READS = ("get", "list", "watch")


def test_hopeless_pods_cause_no_writes(cluster: Cluster, controller: Controller) -> None:
    """For twenty seconds nothing is written but the Lease, after one event a pod; then a pod is helped."""
    cluster.gpu_node("gpu-a", cpu="8")
    cluster.gpu_node("gpu-b")
    configure(cluster)
    dedicated = {"key": "example.com/dedicated", "effect": "NoSchedule"}
    cluster.api.patch("/api/v1/nodes/gpu-b", {"spec": {"taints": [dedicated]}})
    policy(cluster)
    controller.start()
    hopeless = [
        cluster.pod("too-large", {"7g.80gb": 3}),
        cluster.pod("no-such-profile", {"1g.5gb": 1}),
        cluster.pod("much-cpu", {"1g.10gb": 1}, cpu="32"),
        cluster.pod("kept-out", {"1g.10gb": 1}, nodeSelector={"kubernetes.io/hostname": "gpu-b"}),
        cluster.pod("elsewhere", {"1g.10gb": 1}, nodeSelector={"zone": "moon"}),
    ]
    gated = cluster.pod("gated", {"1g.10gb": 1}, schedulingGates=[{"name": "example.com/wait"}])
    cluster.wait_unschedulable(hopeless)
    until(lambda: len(_events(cluster)) == len(hopeless), 20, lambda: str(_events(cluster)))
    time.sleep(2)
    before = len(cluster.control_plane.audit())
    began = time.monotonic()
    labels = cluster.labels("gpu-a"), cluster.labels("gpu-b")
    cluster.watch_for(lambda: (cluster.labels("gpu-a"), cluster.labels("gpu-b")) == labels, QUIET_SECONDS)
    writes = Counter(
        (line["verb"], line["objectRef"]["resource"])
        for line in cluster.control_plane.audit()[before:]
        if line["verb"] not in READS
    )
    print(f"writes in {time.monotonic() - began:.0f} s: {dict(writes)}")
    assert set(writes) == {("update", "leases")}
    assert max(_events(cluster).values()) == 1
    served = cluster.pod("servable", {"1g.10gb": 1})
    cluster.wait_running([served])
    assert cluster.node_of(gated) == ""


def _events(cluster: Cluster) -> Counter[tuple[str, str]]:
    path = f"/apis/events.k8s.io/v1/namespaces/{cluster.namespace}/events"
    return Counter(
        (event["regarding"]["name"], event["reason"])
        for event in cluster.api.list(path)
        if event.get("reportingController") == "autoslicer.dev/controller"
    )
