"""The controller as a process: how it starts, how it ends, and what it leaves."""

from __future__ import annotations

import signal
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster.waiting import until
from tests.e2e.controller import POLICIES, Controller, changes, configure, install, phases, policy

NOISE = ("Task was destroyed", "never retrieved", "never awaited", "Traceback", "Unclosed")
TABLE_OF_WRITES = {
    ("patch", "nodes", ""),
    ("patch", "pods", ""),
    ("patch", "pods", "status"),
    ("create", "pods", "eviction"),
    ("update", "configmaps", ""),
    ("create", "migreconfigurations", ""),
    ("patch", "migreconfigurations", "status"),
    ("delete", "migreconfigurations", ""),
    ("patch", "migautoscalingpolicies", "status"),
    ("create", "events", ""),
    ("create", "leases", ""),
    ("update", "leases", ""),
}
"""everything that the controller may write; docs and RBAC say the same"""


@pytest.fixture
def started(cluster: Cluster, account: Path) -> Iterator[list[Controller]]:
    """Controllers that are killed before the cluster is emptied."""
    found: list[Controller] = []
    yield found
    for controller in found:
        controller.kill()


def _ends(controller: Controller, status: int, seconds: float = 2.0) -> None:
    """SIGTERM ends it in time, with that exit status and nothing untidy in its log."""
    began = time.monotonic()
    controller.process.signal(signal.SIGTERM)
    assert controller.process.wait(30) == status, controller.process.tail()
    assert time.monotonic() - began < seconds, controller.process.tail()
    _tidy(controller)


def _tidy(controller: Controller) -> None:
    assert [word for word in NOISE if word in controller.said()] == [], controller.process.tail()


def _ready(controller: Controller) -> bool:
    try:
        return controller.get("/readyz") == "ok\n"
    except urllib.error.HTTPError:
        return False


def test_a_change_under_way_is_parked_and_resumed(cluster: Cluster, started: list[Controller]) -> None:
    """SIGTERM in the middle of a change leaves it where it stands; the next controller ends it.

    All that either of them wrote is in the table of writes, and of a policy they touched the status alone.
    """
    started.append(controller := Controller(cluster, {"AUTOSLICER_PUBLISH_SETTLE_SECONDS": "2"}))
    before = len(cluster.control_plane.audit())
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    controller.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: "Drained" in _phases(cluster), 30, cluster.describe)
    _ends(controller, 0)
    assert _phases(cluster)[-1] == "Drained"
    assert cluster.taints("gpu-a") == ["autoslicer.dev/reshaping"]
    controller.start()
    cluster.wait_running([pod])
    until(lambda: _phases(cluster)[-1] == "Done", 10, cluster.describe)
    _ends(controller, 0)
    found = cluster.api.get(f"{POLICIES}/default")
    assert found["metadata"].keys().isdisjoint({"annotations", "finalizers"})
    until(lambda: ("patch", "migautoscalingpolicies", "status") in _writes(cluster, before), 10, str)
    assert _writes(cluster, before) <= TABLE_OF_WRITES


def _phases(cluster: Cluster) -> list[str]:
    found = changes(cluster)
    return phases(found[0]) if found else []


def _writes(cluster: Cluster, before: int) -> set[tuple[str, str, str]]:
    """Verb, resource and subresource of what our ServiceAccount wrote since then."""
    lines: list[Any] = [line for line in cluster.control_plane.audit()[before:] if line.get("objectRef")]
    return {
        (line["verb"], line["objectRef"]["resource"], line["objectRef"].get("subresource", ""))
        for line in lines
        if line["verb"] not in ("get", "list", "watch")
    }


def test_a_search_holds_no_end_up(cluster: Cluster, started: list[Controller]) -> None:
    """SIGTERM ends the process in the middle of a search that cannot be interrupted."""
    program = [str(Path(__file__).with_name("slow_search.py"))]
    started.append(controller := Controller(cluster, program=program))
    controller.start()
    until(lambda: "searching" in controller.said(), 30, controller.process.tail)
    _ends(controller, 0)


def test_an_unreachable_cluster_is_waited_for(
    cluster: Cluster, account: Path, started: list[Controller], proxy: Proxy
) -> None:
    """Without the API server it is alive but not ready; it outlives a short outage and ends in a long one."""
    proxy.cut()
    patient = {"AUTOSLICER_LEASE_DURATION_SECONDS": "6", "AUTOSLICER_RENEW_DEADLINE_SECONDS": "5"}
    started.append(controller := Controller(cluster, patient, kubeconfig=proxy.kubeconfig(account)))
    controller.launch()
    assert controller.get("/healthz") == "ok\n"
    assert not _ready(controller)
    assert "leading" not in controller.said()
    _ends(controller, 0)
    controller.launch()
    proxy.mend()
    until(lambda: "leading" in controller.said() and _ready(controller), 30, controller.process.tail)
    proxy.cut()
    time.sleep(0.5)
    proxy.mend()
    policy(cluster)
    until(lambda: "status" in cluster.api.get(f"{POLICIES}/default"), 30, controller.process.tail)
    assert controller.process.alive
    proxy.freeze()
    began = time.monotonic()
    assert controller.process.wait(30) == 1
    assert time.monotonic() - began < 10
    assert "error: leadership is lost" in controller.said()
    _tidy(controller)


def test_custom_resources_may_come_later(cluster: Cluster, account: Path, started: list[Controller]) -> None:
    """A controller that was started before the CRDs were applied serves the first policy at once."""
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/migautoscalingpolicies.autoslicer.dev"
    cluster.api.delete(crd)
    try:
        until(lambda: not cluster.serves(POLICIES), 30, lambda: "the resource stays")
        started.append(controller := Controller(cluster))
        controller.launch()
        time.sleep(1)
        assert not _ready(controller)
    finally:
        install(cluster)
    until(lambda: _ready(controller), 30, controller.process.tail)
    until(lambda: "leading" in controller.said(), 30, controller.process.tail)
    policy(cluster)
    until(lambda: "status" in cluster.api.get(f"{POLICIES}/default"), 20, controller.process.tail)
    _ends(controller, 0)
