"""A node is kept for a pod that starves until the pods on its GPU have ended, where a policy asks for it."""

from __future__ import annotations

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy

HALF, WHOLE = {"3g.40gb": 1}, {"7g.80gb": 1}
TAINT = "autoslicer.dev/reshaping"


def _jobs(cluster: Cluster, *names: str) -> list[str]:
    """Pods that ask for half a GPU and come to an end, in the order in which they were created."""
    return [cluster.pod(name, HALF, restartPolicy="Never") for name in names]


def _scene(cluster: Cluster, controller: Controller, **disruption: object) -> tuple[list[str], str]:
    """Two jobs hold the only GPU, and a pod that needs all of it waits; gives the jobs and that pod."""
    cluster.gpu_node("gpu-a", {"3g.40gb": 2}, config="all-3g.40gb")
    configure(cluster)
    budgets = [{"nodes": "100%"}]
    policy(cluster, disruption={"budgets": budgets, "canary": False, "cooldownSeconds": 0, **disruption})
    running = _jobs(cluster, "first", "second")
    cluster.wait_running(running)
    controller.start()
    large = cluster.pod("large", WHOLE)
    cluster.wait_unschedulable([large])
    return running, large


def _closed(cluster: Cluster) -> bool:
    return TAINT in cluster.taints("gpu-a")


def _reserve(timeout: int, after: int = 2) -> dict[str, int]:
    return {"afterSeconds": after, "timeoutSeconds": timeout}


def test_a_node_is_kept_for_a_pod_that_starves(cluster: Cluster, controller: Controller) -> None:
    """Jobs that come later get no slice that is freed; after the last one has ended the large pod runs."""
    (first, second), large = _scene(cluster, controller, reserve=_reserve(120))
    until(lambda: _closed(cluster), 20, cluster.describe)
    [change] = changes(cluster)
    assert (change["spec"]["serves"], change["spec"]["reserve"]) == ([large], True)
    [late] = _jobs(cluster, "late")
    cluster.end_pod(first)
    cluster.watch_for(lambda: cluster.node_of(late) == "" and _closed(cluster), 4)
    assert cluster.nvml_log("gpu-a") == []
    cluster.end_pod(second)
    cluster.wait_running([large])
    until(lambda: phases(changes(cluster)[0])[-1:] == ["Done"], 30, cluster.describe)
    assert cluster.layout("gpu-a") == [WHOLE]
    assert (cluster.node_of(late), len(changes(cluster))) == ("", 1)
    assert not [line for line in cluster.nvml_log("gpu-a") if line.busy]


def test_without_a_reservation_the_next_job_is_first(cluster: Cluster, controller: Controller) -> None:
    """The twin: job after job takes the slice that is freed, and the large pod goes on waiting."""
    (first, second), large = _scene(cluster, controller)
    late, later = _jobs(cluster, "late", "later")
    cluster.watch_for(lambda: not _closed(cluster), 4)
    cluster.end_pod(first)
    until(lambda: cluster.node_of(late) + cluster.node_of(later) == "gpu-a", 20, cluster.describe)
    cluster.end_pod(second)
    cluster.wait_running([late, later])
    assert (changes(cluster), cluster.node_of(large)) == ([], "")


def test_jobs_that_do_not_end_in_time_keep_their_gpu(cluster: Cluster, controller: Controller) -> None:
    """After the policy's time the node is open again as it was, and nothing is reserved for a while."""
    _, large = _scene(cluster, controller, reserve=_reserve(3, after=8))
    until(lambda: _closed(cluster), 20, cluster.describe)
    until(lambda: phases(changes(cluster)[0])[-1:] == ["Cancelled"], 20, cluster.describe)
    [change] = changes(cluster)
    assert change["status"]["conditions"][-1]["reason"] == "DrainBlocked"
    cluster.watch_for(lambda: not _closed(cluster), 5)
    assert (len(changes(cluster)), cluster.nvml_log("gpu-a")) == (1, [])
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == "all-3g.40gb"
    assert cluster.node_of(large) == ""


def test_a_kill_does_not_end_the_wait(cluster: Cluster, controller: Controller) -> None:
    """The next controller goes on waiting for the same pods, behind the same taint."""
    (first, second), large = _scene(cluster, controller, reserve=_reserve(120))
    until(lambda: _closed(cluster), 20, cluster.describe)
    cluster.end_pod(first)
    controller.kill()
    [late] = _jobs(cluster, "late")
    controller.start()
    cluster.watch_for(lambda: cluster.node_of(late) == "" and _closed(cluster), 3)
    cluster.end_pod(second)
    cluster.wait_running([large])
    until(lambda: [phases(change)[-1:] for change in changes(cluster)] == [["Done"]], 30, cluster.describe)
