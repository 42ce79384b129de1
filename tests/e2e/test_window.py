"""How long a pod that the taint does not keep away could still walk in, measured."""

from __future__ import annotations

import re

from autoslicer.core.times import seconds
from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, configure, policy

NODES = 3


def test_the_window_between_the_last_look_and_the_cut_is_short(
    cluster: Cluster, controller: Controller
) -> None:
    """The pods of the node are listed moments before its label is patched; mig-manager cuts seconds later."""
    names = [f"gpu-{number}" for number in range(NODES)]
    for name in names:
        cluster.gpu_node(name, {"7g.80gb": 1})
    configure(cluster)
    policy(cluster, disruption={"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0, "canary": False})
    controller.start_calmly()
    for number in range(7 * NODES):
        cluster.pod(f"infer-{number}", {"1g.10gb": 1})
    until(lambda: all(cluster.nvml_log(name) for name in names), 180, cluster.describe)
    events = cluster.control_plane.audit()
    print("from the last look at the pods to the label, and from there to the first cut, in seconds:")
    for name in names:
        looked, labelled = _window(events, name)
        cut = cluster.nvml_log(name)[0].at
        print(f"{name}: {labelled - looked:.3f} {cut - labelled:.3f}")
        assert 0 < labelled - looked < 3
        assert cut > labelled


def _window(events: list[Object], node: str) -> tuple[float, float]:
    """When the pods of the node were listed last before its label was patched, and when that was done."""
    done = [event for event in events if event["stage"] == "ResponseComplete"]
    [patched] = [event for event in done if _labels(event, node)]
    sent, labelled = seconds(patched["requestReceivedTimestamp"]), seconds(patched["stageTimestamp"])
    looks = [
        seconds(event["requestReceivedTimestamp"])
        for event in done
        if re.search(rf"/pods\?fieldSelector=spec\.nodeName(=|%3D){node}$", event["requestURI"])
    ]
    return max(at for at in looks if at < sent), labelled


def _labels(event: Object, node: str) -> bool:
    """The request set the node's config."""
    body = event.get("requestObject") or {}
    labels = body.get("metadata", {}).get("labels") or {} if isinstance(body, dict) else {}
    return event["requestURI"].split("?")[0] == f"/api/v1/nodes/{node}" and "nvidia.com/mig.config" in labels
