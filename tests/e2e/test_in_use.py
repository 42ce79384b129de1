"""What is in use is not touched."""

from __future__ import annotations

import time

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.agent import Agent
from tests.e2e.controller import Controller, changes, configure, phases, policy


def test_a_node_with_a_running_pod_is_left_alone(cluster: Cluster, controller: Controller) -> None:
    """Without an agent one running GPU pod makes its whole node in use; an idle node changes instead."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    running = cluster.pod("train", {"7g.80gb": 1})
    cluster.wait_running([running])
    policy(cluster)
    controller.start()
    waiting = cluster.pod("infer", {"1g.10gb": 1})
    cluster.wait_unschedulable([waiting])
    before = cluster.labels("gpu-a")
    cluster.watch_for(lambda: not changes(cluster) and cluster.labels("gpu-a") == before, 5)
    cluster.gpu_node("gpu-b")
    cluster.wait_running([waiting])
    assert cluster.node_of(waiting) == "gpu-b"
    assert cluster.nvml_log("gpu-a") == []
    assert {change["spec"]["node"]["name"] for change in changes(cluster)} == {"gpu-b"}


def test_only_the_idle_gpu_of_a_busy_node_changes(cluster: Cluster, controller: Controller) -> None:
    """Where the agent shows one GPU busy and one idle, no instance of the busy one is ever destroyed."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    running = cluster.pod("train", {"7g.80gb": 1})
    cluster.wait_running([running])
    cluster.set_busy("gpu-a", 0)
    time.sleep(2)  # the time of binding is kept in whole seconds; the agent has to look after that
    with Agent(cluster, "gpu-a", {(0, 1): [running]}):
        policy(cluster)
        controller.start()
        waiting = cluster.pod("infer", {"1g.10gb": 1})
        cluster.wait_running([waiting])
        until(lambda: phases(changes(cluster)[0])[-1:] == ["Done"], 20, cluster.describe)
    [change] = changes(cluster)
    assert [(gpu["index"], gpu["changed"]) for gpu in change["spec"]["gpus"]] == [(0, False), (1, True)]
    log = cluster.nvml_log("gpu-a")
    assert {line.gpu for line in log} == {1}
    assert not [line for line in log if line.busy]
    assert cluster.layout("gpu-a")[0] == {"7g.80gb": 1}
    assert cluster.get_pod(running)["status"]["phase"] == "Running"


def test_a_pod_that_walks_in_undoes_the_change(cluster: Cluster, controller: Controller) -> None:
    """A pod that is bound before the label is set, taint or not, makes the controller lift its taint."""
    controller.process.environment["AUTOSLICER_PUBLISH_SETTLE_SECONDS"] = "4"
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    controller.start()
    waiting = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: "autoslicer.dev/reshaping" in cluster.taints("gpu-a"), 20, cluster.describe)
    walker = cluster.pod("walker", {"7g.80gb": 1}, tolerations=[{"operator": "Exists"}])
    cluster.wait_running([walker])
    until(lambda: phases(changes(cluster)[0])[-1:] == ["Cancelled"], 20, cluster.describe)
    assert cluster.taints("gpu-a") == []
    assert cluster.nvml_log("gpu-a") == []
    assert changes(cluster)[0]["status"]["conditions"][-1]["reason"] == "NodeBusy"
    assert cluster.node_of(waiting) == ""
