"""The played kubelet does what the API server would see of a real one."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.kubelet import Projection
from tests.cluster.waiting import until


def test_a_bound_pod_runs_and_goes(cluster: Cluster) -> None:
    """A bound pod becomes Running and Ready, and its deletion finishes before its grace period ends."""
    cluster.plain_node("plain")
    key = cluster.pod("app", terminationGracePeriodSeconds=600)
    cluster.wait_running([key])
    status = cluster.get_pod(key)["status"]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    assert status["containerStatuses"][0]["state"]["running"]
    namespace, name = key.split("/")
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/{name}")
    until(lambda: cluster.pods() == [], 10, cluster.describe)


def test_pods_of_a_removed_node_go(cluster: Cluster) -> None:
    """Nothing holds a pod whose node is gone; a pod of another node stays."""
    for name in ("gone", "stays"):
        cluster.plain_node(name)
        cluster.wait_running([cluster.pod(f"on-{name}", nodeName=name)])
    cluster.remove_node("gone")
    until(lambda: len(cluster.pods()) == 1, 30, cluster.describe)
    assert [pod["metadata"]["name"] for pod in cluster.pods()] == ["on-stays"]


def test_a_pod_bound_while_its_slices_are_away(cluster: Cluster) -> None:
    """It fails admission for good, though the slices come back; a pod bound after that runs."""
    cluster.gpu_node("gpu", {"3g.40gb": 2}, config="all-3g.40gb")
    cluster.played.knobs.plugin_returns = False
    until(lambda: cluster.slices("gpu") == {}, 10, cluster.describe)
    early = cluster.pod("early", {"3g.40gb": 1}, nodeName="gpu")
    until(lambda: cluster.get_pod(early)["status"]["phase"] == "Failed", 10, cluster.describe)
    assert cluster.get_pod(early)["status"]["reason"] == "UnexpectedAdmissionError"
    cluster.played.knobs.plugin_returns = True
    until(lambda: cluster.in_service("gpu"), 20, cluster.describe)
    late = cluster.pod("late", {"3g.40gb": 1}, nodeName="gpu")
    cluster.wait_running([late])
    assert cluster.get_pod(early)["status"]["phase"] == "Failed"


def test_no_more_pods_than_devices(cluster: Cluster) -> None:
    """Of three pods bound past the scheduler to a node with two slices, two run and one fails."""
    cluster.gpu_node("gpu", {"3g.40gb": 2}, config="all-3g.40gb")
    keys = [cluster.pod(f"app-{n}", {"3g.40gb": 1}, nodeName="gpu") for n in range(3)]

    def phases() -> list[str]:
        return sorted(cluster.get_pod(key)["status"]["phase"] for key in keys)

    until(lambda: phases() == ["Failed", "Running", "Running"], 10, cluster.describe)


def test_projection_lags(tmp_path: Path) -> None:
    """A changed ConfigMap reaches the file after the kubelet's lag, or soon after the pod is touched."""
    lag, touch = 30.0, 0.05
    projection = Projection(tmp_path)
    pod: Object = {"metadata": {"annotations": {}}}
    assert projection.play(pod, None, lag, touch) is None
    file = projection.play(pod, _config_map("1"), lag, touch)
    assert file is not None
    assert file.read_text() == "text 1"
    projection.play(pod, _config_map("2"), lag, touch)
    assert file.read_text() == "text 1"
    touched = {"metadata": {"annotations": {"touched": "now"}}}

    def arrived() -> bool:
        projection.play(touched, _config_map("2"), lag, touch)
        return file.read_text() == "text 2"

    until(arrived, 10, file.read_text)

    def arrived_by_itself() -> bool:
        projection.play(touched, _config_map("3"), 0.1, touch)
        return file.read_text() == "text 3"

    assert not arrived_by_itself()
    until(arrived_by_itself, 10, file.read_text)
    projection.play(touched, None, lag, touch)
    assert file.read_text() == "text 3"


def _config_map(version: str) -> Object:
    return {"metadata": {"resourceVersion": version}, "data": {"config.yaml": f"text {version}"}}
