"""A step fails: the change ends with a reason, and the taint is gone."""

from __future__ import annotations

from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy


def test_a_run_that_fails_again_is_rolled_back(cluster: Cluster, controller: Controller) -> None:
    """A process that holds a GPU unseen makes mig-manager fail under two names; then all is as it was before.

    mig-manager finds the old layout in place and leaves its clients paused: they are given back by hand.
    """
    cluster.gpu_node("gpu-a")
    cluster.set_busy("gpu-a", 0)
    cluster.set_busy("gpu-a", 1)
    configure(cluster)
    policy(cluster)
    controller.start()
    cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _ended(cluster), 120, cluster.describe)
    [change] = changes(cluster)
    assert (phases(change)[-2:], _reason(change)) == (["RollingBack", "RolledBack"], "ApplyFailed")
    assert change["status"]["attempt"] == 2
    assert cluster.taints("gpu-a") == []
    until(lambda: cluster.in_service("gpu-a"), 30, cluster.describe)
    assert not [line for line in cluster.nvml_log("gpu-a") if line.what == "destroy" and line.busy]
    cluster.watch_for(lambda: len(changes(cluster)) == 1, 3)
    assert controller.metric("reshapes_total", result="RolledBack") == 1


def test_a_file_that_comes_too_late_is_rolled_back(cluster: Cluster, controller: Controller) -> None:
    """Where mig-manager's file came too late, the old label is set again; a later restart cuts nothing."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    cluster.played.knobs.touch_seconds = 600
    controller.start()
    cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _ended(cluster), 40, cluster.describe)
    [change] = changes(cluster)
    assert (phases(change)[-2:], _reason(change)) == (["RollingBack", "RolledBack"], "ConfigLag")
    assert change["status"]["attempt"] == 2
    assert cluster.taints("gpu-a") == []
    until(lambda: cluster.labels("gpu-a")["nvidia.com/mig.config.state"] == "success", 20, cluster.describe)
    victim = cluster.pod("train", {"7g.80gb": 1})
    cluster.wait_running([victim])
    [manager] = [pod for pod in cluster.operands("gpu-a") if "mig-manager" in pod["metadata"]["name"]]
    cluster.played.knobs.touch_seconds = 0.2
    cluster.delete_pod(f"gpu-operator/{manager['metadata']['name']}")
    until(lambda: cluster.in_service("gpu-a"), 30, cluster.describe)
    cluster.watch_for(lambda: cluster.nvml_log("gpu-a") == [], 4)
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == "all-7g.80gb"


def test_slices_that_do_not_come_back_quarantine_the_node(cluster: Cluster, controller: Controller) -> None:
    """Where the device plugin stays away, the deadline ends the change and says what is missing."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster, recovery={"pendingDeadlineSeconds": 8})
    controller.start()
    cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: "Labelled" in [p for c in changes(cluster) for p in phases(c)], 30, cluster.describe)
    cluster.played.knobs.plugin_returns = False
    until(lambda: _ended(cluster), 60, cluster.describe)
    [change] = changes(cluster)
    assert (phases(change)[-1], _reason(change)) == ("Quarantined", "PluginMissing")
    [quarantined] = [c for c in _conditions(change) if c["type"] == "Quarantined"]
    assert "allocatable shows nothing" in quarantined["message"]
    assert cluster.taints("gpu-a") == []


def test_without_the_right_to_touch_a_pod_the_kubelet_is_waited_for(
    cluster: Cluster, controller: Controller
) -> None:
    """Where an administrator took that right away, the config is published and no label set in a hurry."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    role = "/apis/rbac.authorization.k8s.io/v1/namespaces/gpu-operator/roles/autoslicer"
    rules = cluster.api.get(role)["rules"]
    cluster.api.patch(role, {"rules": [rule for rule in rules if rule["resources"] != ["pods"]]})
    policy(cluster)
    controller.start()
    cluster.pod("infer", {"1g.10gb": 1})
    until(
        lambda: "Published" in [c["type"] for m in changes(cluster) for c in _conditions(m)],
        30,
        cluster.describe,
    )
    cluster.watch_for(lambda: phases(changes(cluster)[0])[-1] == "Drained", 8)
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == "all-7g.80gb"
    cluster.api.patch(role, {"rules": rules})


def test_a_stray_taint_is_swept(cluster: Cluster, controller: Controller) -> None:
    """A taint of ours with no live change behind it goes, whatever else the node is tainted with."""
    taint = {"key": "autoslicer.dev/reshaping", "value": "7", "effect": "NoSchedule"}
    other = {"key": "example.com/keep", "value": "x", "effect": "PreferNoSchedule"}
    cluster.gpu_node("gpu-a")
    configure(cluster)
    cluster.api.patch("/api/v1/nodes/gpu-a", {"spec": {"taints": [other, taint]}})
    policy(cluster)
    controller.start()
    until(lambda: cluster.taints("gpu-a") == ["example.com/keep"], 10, cluster.describe)


def test_a_human_s_label_is_respected(cluster: Cluster, controller: Controller) -> None:
    """After a human set another config on a node that we had changed, it is refused until it is adopted."""
    from autoslicer.cli.main import main

    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    controller.start()
    first = cluster.pod("first", {"1g.10gb": 1})
    cluster.wait_running([first])
    until(lambda: _ended(cluster), 20, cluster.describe)
    cluster.delete_pod(first)
    cluster.label("gpu-a", {"nvidia.com/mig.config": "all-7g.80gb"})
    until(lambda: cluster.slices("gpu-a") == {"7g.80gb": 2}, 30, cluster.describe)
    second = cluster.pod("second", {"1g.10gb": 1})
    cluster.wait_unschedulable([second])
    cluster.watch_for(lambda: len(changes(cluster)) == 1, 4)
    assert main(["adopt", "node/gpu-a", f"--kubeconfig={cluster.kubeconfig}"]) == 0
    cluster.wait_running([second])


def _ended(cluster: Cluster) -> bool:
    found = changes(cluster)
    return bool(found) and phases(found[0])[-1:] in (["Quarantined"], ["RolledBack"], ["Cancelled"], ["Done"])


def _conditions(change: Object) -> list[Object]:
    found: list[Object] = change.get("status", {}).get("conditions", [])
    return found


def _reason(change: Object) -> str:
    by_type = {condition["type"]: condition for condition in change["status"]["conditions"]}
    assert by_type["Succeeded"]["status"] == "False"
    return str(by_type["Succeeded"]["reason"])
