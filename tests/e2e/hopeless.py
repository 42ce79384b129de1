"""A cluster in which nothing can be helped, and what is written in it all the same."""

from __future__ import annotations

import time
from collections import Counter

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, configure, policy

READS = ("get", "list", "watch")
QUIET = {"update leases"}
"""what may be written where nothing can be helped"""


def settled(cluster: Cluster, controller: Controller, *, hopeless: bool) -> list[str]:
    """Bring the cluster to rest: two nodes, a controller, and where asked for pods that nothing can serve.

    Returns:
        The keys of these pods; each was told why once.
    """
    if not controller.process.alive:
        cluster.gpu_node("gpu-a", cpu="8")
        cluster.gpu_node("gpu-b")
        configure(cluster)
        dedicated = {"key": "example.com/dedicated", "effect": "NoSchedule"}
        cluster.api.patch("/api/v1/nodes/gpu-b", {"spec": {"taints": [dedicated]}})
        policy(cluster)
        controller.start()
    pods = _hopeless(cluster) if hopeless else []
    cluster.wait_unschedulable(pods)
    until(lambda: len(events(cluster)) == len(pods), 20, lambda: str(events(cluster)))
    time.sleep(2)
    return pods


def idle_writes(cluster: Cluster, seconds: float) -> dict[str, int]:
    """What the controller writes in so long while the nodes' labels stay, counted by verb and resource."""
    before = len(cluster.control_plane.audit())
    labels = cluster.labels("gpu-a"), cluster.labels("gpu-b")
    cluster.watch_for(lambda: (cluster.labels("gpu-a"), cluster.labels("gpu-b")) == labels, seconds)
    return dict(
        Counter(
            f"{line['verb']} {line['objectRef']['resource']}"
            for line in cluster.control_plane.audit()[before:]
            if line["verb"] not in READS
        )
    )


def events(cluster: Cluster) -> Counter[tuple[str, str]]:
    """The controller's events in the test's namespace, by object and reason."""
    path = f"/apis/events.k8s.io/v1/namespaces/{cluster.namespace}/events"
    return Counter(
        (event["regarding"]["name"], event["reason"])
        for event in cluster.api.list(path)
        if event.get("reportingController") == "autoslicer.dev/controller"
    )


def _hopeless(cluster: Cluster) -> list[str]:
    return [
        cluster.pod("too-large", {"7g.80gb": 3}),
        cluster.pod("no-such-profile", {"1g.5gb": 1}),
        cluster.pod("much-cpu", {"1g.10gb": 1}, cpu="32"),
        cluster.pod("kept-out", {"1g.10gb": 1}, nodeSelector={"kubernetes.io/hostname": "gpu-b"}),
        cluster.pod("elsewhere", {"1g.10gb": 1}, nodeSelector={"zone": "moon"}),
    ]
