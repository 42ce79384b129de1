"""What cannot be helped causes no work."""

from __future__ import annotations

from tests.cluster.fixture import Cluster
from tests.e2e.controller import Controller
from tests.e2e.hopeless import QUIET, events, idle_writes, settled

QUIET_SECONDS = 20


def test_hopeless_pods_cause_no_writes(cluster: Cluster, controller: Controller) -> None:
    """For twenty seconds nothing is written but the Lease, after one event a pod; then a pod is helped."""
    settled(cluster, controller, hopeless=True)
    gated = cluster.pod("gated", {"1g.10gb": 1}, schedulingGates=[{"name": "example.com/wait"}])
    writes = idle_writes(cluster, QUIET_SECONDS)
    print(f"writes in {QUIET_SECONDS} s: {writes}")
    assert set(writes) == QUIET
    assert max(events(cluster).values()) == 1
    served = cluster.pod("servable", {"1g.10gb": 1})
    cluster.wait_running([served])
    assert cluster.node_of(gated) == ""
