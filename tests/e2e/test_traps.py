"""Traps of the real mig-manager, and how a change gets out of them."""

from __future__ import annotations

from tests.cluster import operator
from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.agent import Agent
from tests.e2e.controller import Controller, changes, configure, phases, policy

PATIENCE = 150
"""seconds for a change that takes several runs of mig-manager, on a machine that has much else to do"""


def test_a_stuck_mig_manager_gets_another_name(cluster: Cluster, controller: Controller) -> None:
    """A run that may not list pods ends at pending for good; once it may, the second name serves the pods."""
    _stuck(cluster, controller)
    until(lambda: _attempt(cluster) == 2, PATIENCE, cluster.describe)
    operator.allow(cluster.api, operator.MIG_MANAGER_RULES)
    until(lambda: _final(cluster, 0) == "Done", PATIENCE, cluster.describe)
    [change] = changes(cluster)
    assert phases(change).count("Labelled") == 2
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] != change["spec"]["to"]
    assert _reason(change, "LastAttempt") == "ApplyStuck"
    assert cluster.in_service("gpu-a")


def test_a_mig_manager_that_stays_stuck_is_left_with_its_old_layout(
    cluster: Cluster, controller: Controller
) -> None:
    """The old layout is found in place; its clients, which nobody else gives back, are given back by hand."""
    _stuck(cluster, controller)
    until(lambda: _final(cluster, 0) in ("RolledBack", "Quarantined"), PATIENCE, cluster.describe)
    [change] = changes(cluster)
    assert (_final(cluster, 0), _reason(change, "Succeeded")) == ("RolledBack", "ApplyStuck")
    assert cluster.nvml_log("gpu-a") == []
    assert cluster.taints("gpu-a") == []
    until(lambda: cluster.in_service("gpu-a"), 30, cluster.describe)
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == "all-7g.80gb"
    assert change["status"]["quarantinedUntil"]


def test_an_api_server_that_is_away_for_a_moment(cluster: Cluster, controller: Controller) -> None:
    """One failed poll ends mig-manager's run at pending for good; the next name serves the pods."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster, recovery={"pendingDeadlineSeconds": 20})
    controller.start_calmly()
    cluster.pod("infer", {"1g.10gb": 1})
    plugin = "nvidia.com/gpu.deploy.device-plugin"
    until(
        lambda: cluster.labels("gpu-a")[plugin].startswith("paused"), PATIENCE, cluster.describe, every=0.05
    )
    cluster.restart_apiserver()

    def ended() -> bool:
        if not controller.process.alive:
            # it could not renew its Lease; a kubelet would start it again
            controller.start_calmly()
        return _final(cluster, 0) in ("Done", "RolledBack", "Quarantined")

    until(ended, 2 * PATIENCE, cluster.describe)
    [change] = changes(cluster)
    print(f"attempts: {change['status']['attempt']}")
    assert _final(cluster, 0) == "Done"
    assert cluster.in_service("gpu-a")


def test_a_failure_after_a_success_gives_the_clients_back(cluster: Cluster, controller: Controller) -> None:
    """mig-manager then leaves them paused, and so does its rollback to the layout that is still there."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    controller.start_calmly()
    first = cluster.pod("first", {"1g.10gb": 1})
    until(lambda: _final(cluster, 0) == "Done", PATIENCE, cluster.describe)
    for gpu in (0, 1):
        cluster.set_busy("gpu-a", gpu)
    cluster.delete_pod(first)
    cluster.pod("second", {"3g.40gb": 2})
    until(lambda: _final(cluster, 1) in ("RolledBack", "Quarantined"), PATIENCE, cluster.describe)
    assert (_final(cluster, 1), _reason(changes(cluster)[1], "LastAttempt")) == ("RolledBack", "ApplyFailed")
    until(lambda: cluster.in_service("gpu-a"), 30, cluster.describe)
    labels = cluster.labels("gpu-a")
    assert not [key for key, value in labels.items() if value.startswith("paused")]
    assert not [line for line in cluster.nvml_log("gpu-a") if line.what == "destroy" and line.busy]


def test_what_the_driver_refuses_is_set_back_and_not_planned_again(
    cluster: Cluster, controller: Controller
) -> None:
    """mig-manager tries every order and leaves the GPU empty; the node gets its layout back, then another."""
    cluster.gpu_node("gpu-a", {"7g.80gb": 1})
    cluster.played.nodes["gpu-a"].gpus.limit({"1g.10gb": 6})
    configure(cluster)
    with Agent(cluster, "gpu-a", {}):
        policy(cluster, recovery={"quarantineSeconds": 0})
        controller.start_calmly()
        waiting = [cluster.pod(f"infer-{number}", {"1g.10gb": 1}) for number in range(7)]
        until(lambda: _final(cluster, 1) == "Done", 2 * PATIENCE, cluster.describe)
    refused, made = changes(cluster)[:2]
    assert (_final(cluster, 0), _reason(refused, "Succeeded")) == ("RolledBack", "LayoutRefused")
    assert refused["spec"]["gpus"][0]["to"] == {"1g.10gb": 7}
    assert made["spec"]["gpus"][0]["to"]["1g.10gb"] == 6
    until(lambda: sum(cluster.node_of(pod) == "gpu-a" for pod in waiting) == 6, 30, cluster.describe)


def test_a_layout_that_is_cleared_is_set_back(cluster: Cluster, controller: Controller) -> None:
    """mig-manager says success and the GPUs are empty: the deadline tells, and the old layout comes back."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    with Agent(cluster, "gpu-a", {}):
        policy(cluster, recovery={"pendingDeadlineSeconds": 12})
        controller.start_calmly()
        cluster.pod("infer", {"1g.10gb": 1})
        until(lambda: "Labelled" in [p for c in changes(cluster) for p in phases(c)], 40, cluster.describe)
        state = "nvidia.com/mig.config.state"
        until(lambda: cluster.labels("gpu-a")[state] == "success", 60, cluster.describe, every=0.002)
        cluster.played.nodes["gpu-a"].gpus.cut({}, {"7g.80gb": 1})
        until(lambda: _final(cluster, 0) in ("RolledBack", "Quarantined"), PATIENCE, cluster.describe)
    [change] = changes(cluster)[:1]
    assert (_final(cluster, 0), _reason(change, "Succeeded")) == ("RolledBack", "LayoutCleared")
    assert cluster.layout("gpu-a") == [{"7g.80gb": 1}, {"7g.80gb": 1}]
    assert cluster.taints("gpu-a") == []


def _stuck(cluster: Cluster, controller: Controller) -> None:
    """A change whose mig-manager may not look at pods."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    operator.allow(cluster.api, [])
    policy(cluster, recovery={"pendingDeadlineSeconds": 15})
    controller.start_calmly()
    cluster.pod("infer", {"1g.10gb": 1})


def _attempt(cluster: Cluster) -> int:
    return max((change.get("status", {}).get("attempt", 1) for change in changes(cluster)), default=0)


def _final(cluster: Cluster, number: int) -> str:
    """The last phase of the node's change with that place in the row."""
    found = changes(cluster)
    return (phases(found[number]) or [""])[-1] if len(found) > number else ""


def _reason(change: Object, kind: str) -> str:
    return next(str(c["reason"]) for c in change["status"]["conditions"] if c["type"] == kind)
