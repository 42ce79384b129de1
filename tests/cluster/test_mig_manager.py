"""The real mig-manager on played nodes behaves as the controller has to expect of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from autoslicer.core import configs
from autoslicer.core.rows import ConfigEntry
from tests.cluster import operator
from tests.cluster.fixture import OURS, Cluster
from tests.cluster.waiting import until

CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
CONFIG_MAPS = f"/api/v1/namespaces/{operator.NAMESPACE}/configmaps"
OPERANDS = ("device-plugin", "gpu-feature-discovery", "dcgm-exporter", "dcgm", "nvsm")
SEVEN = ConfigEntry(None, (), True, (("7g.80gb", 1),))
HALVES = ConfigEntry(None, (), True, (("3g.40gb", 2),))


@pytest.fixture
def gpu(cluster: Cluster) -> str:
    """A node with one GPU, in service; its mig-manager has applied its config and waits for another name."""
    cluster.gpu_node("gpu", {"7g.80gb": 1})
    until(lambda: successes(cluster) == 1, 20, cluster.describe)
    return "gpu"


def successes(cluster: Cluster) -> int:
    """How often a mig-manager of the node, the present or an earlier one, ended well."""
    log = cluster.played.nodes["gpu"].mig_manager.log
    return log.read_text().count("Successfully updated to MIG config") if log.exists() else 0


def state(cluster: Cluster) -> str | None:
    return cluster.labels("gpu").get(STATE)


def paused(cluster: Cluster) -> list[str]:
    """The operands that mig-manager has sent away."""
    labels = cluster.labels("gpu")
    return [
        name for name in OPERANDS if labels.get(f"nvidia.com/gpu.deploy.{name}") == "paused-for-mig-change"
    ]


def seconds(cluster: Cluster, since: float, look: Callable[[], object]) -> float:
    until(look, 30, cluster.describe, every=0.01)
    return time.monotonic() - since


def our_config_map(**more: ConfigEntry) -> dict[str, object]:
    """With the present config of the node, and more."""
    text = configs.render({name: [entry] for name, entry in {"all-7g.80gb": SEVEN, **more}.items()})
    return {"metadata": {"name": OURS}, "data": {"config.yaml": text}}


def switch(cluster: Cluster, **more: ConfigEntry) -> None:
    """Let the Operator mount our ConfigMap with these configs, and wait for the new mig-manager."""
    before = successes(cluster)
    cluster.api.create(CONFIG_MAPS, our_config_map(**more))
    cluster.configure_operator()
    until(lambda: successes(cluster) > before, 20, cluster.describe)


def test_a_run(cluster: Cluster, gpu: str) -> None:
    """A new name pauses the clients under `pending`, ends with `success`, and then the slices come."""
    began = time.monotonic()
    cluster.label(gpu, {CONFIG: "all-3g.40gb"})
    assert state(cluster) == "success"
    times = {"pending": seconds(cluster, began, lambda: state(cluster) == "pending")}
    times["paused"] = seconds(cluster, began, lambda: len(paused(cluster)) == len(OPERANDS))
    times["away"] = seconds(cluster, began, lambda: cluster.slices(gpu) == {})
    assert state(cluster) == "pending"
    times["success"] = seconds(cluster, began, lambda: state(cluster) == "success")
    assert cluster.layout(gpu) == [{"3g.40gb": 2}]
    times["slices"] = seconds(cluster, began, lambda: cluster.slices(gpu) == {"3g.40gb": 2})
    assert paused(cluster) == []
    print("seconds after the label:", {name: round(value, 2) for name, value in times.items()})
    print("facts: pending 0.24-0.85, success 4.8-5.5 (four polls of a second are the floor)")
    assert times["success"] > 4


def test_the_state_may_be_patched_with_the_label(cluster: Cluster, gpu: str) -> None:
    """With `pending` in the patch that changes the name no old success is ever seen, and the run ends it."""
    began = time.monotonic()
    cluster.label(gpu, {CONFIG: "all-3g.40gb", STATE: "pending"})
    took = seconds(cluster, began, lambda: state(cluster) != "pending")
    assert state(cluster) == "success"
    assert took > 4
    assert cluster.layout(gpu) == [{"3g.40gb": 2}]


def test_the_same_value_starts_no_run(cluster: Cluster, gpu: str) -> None:
    """The same name again, its state removed: nothing runs and no state comes; another name brings one."""
    cluster.label(gpu, {CONFIG: "all-7g.80gb", STATE: None})
    cluster.watch_for(lambda: state(cluster) is None and paused(cluster) == [], 3)
    cluster.label(gpu, {CONFIG: "no-such-config"})
    until(lambda: state(cluster) == "failed", 20, cluster.describe)


def test_another_name_for_the_same_layout(cluster: Cluster, gpu: str) -> None:
    """Equal content under another name succeeds at once and disturbs nobody."""
    switch(cluster, same=SEVEN)
    began, seen = time.monotonic(), set[str | None]()

    def succeeded() -> bool:
        seen.add(state(cluster))
        assert paused(cluster) == []
        return state(cluster) == "success"

    cluster.label(gpu, {CONFIG: "same", STATE: None})
    took = seconds(cluster, began, succeeded)
    print(f"already applied: {took:.2f} s (facts: 0.3-0.6 s)")
    assert took < 4
    assert seen <= {None, "success"}
    assert cluster.nvml_log(gpu) == []


def test_a_machine_that_is_gone_runs_no_mig_manager(cluster: Cluster, gpu: str) -> None:
    """Whoever still plays the pod of a machine that was taken away starts nothing; before, he does."""
    manager = cluster.played.nodes[gpu].mig_manager
    pod: dict[str, object] = {"metadata": {"uid": "another"}}
    file = next(cluster.played.directory.glob(f"{gpu}/*/config.yaml"))
    started = manager.log.stat().st_size
    cluster.played.knobs.mig_manager = False
    manager.start(pod, file)
    until(lambda: manager.log.stat().st_size > started, 20, cluster.describe)
    manager.remove()
    started = manager.log.stat().st_size
    manager.start(pod, file)
    time.sleep(1)
    assert manager.log.stat().st_size == started


def test_a_name_that_the_file_lacks(cluster: Cluster, gpu: str) -> None:
    """A name that is in the ConfigMap but not in the pod's file yet fails; after a touch another works."""
    switch(cluster)
    wanted = our_config_map(halves=HALVES, again=HALVES)
    cluster.api.patch(f"{CONFIG_MAPS}/{OURS}", wanted)
    began = time.monotonic()
    cluster.label(gpu, {CONFIG: "halves", STATE: None})
    took = seconds(cluster, began, lambda: state(cluster) == "failed")
    print(f"unknown name: {took:.2f} s (facts: 0.06 s)")
    assert cluster.nvml_log(gpu) == []
    [pod] = [p for p in cluster.operands(gpu) if p["metadata"]["labels"]["app"] == "nvidia-mig-manager"]
    path = f"/api/v1/namespaces/{operator.NAMESPACE}/pods/{pod['metadata']['name']}"
    cluster.api.patch(path, {"metadata": {"annotations": {"touched": "now"}}})
    directory = cluster.directory / "nodes" / gpu / pod["metadata"]["uid"]
    until(lambda: "again" in (directory / "config.yaml").read_text(), 10, cluster.describe)
    cluster.label(gpu, {CONFIG: "again", STATE: "pending"})
    until(lambda: state(cluster) == "success", 30, cluster.describe)
    until(lambda: cluster.slices(gpu) == {"3g.40gb": 2}, 20, cluster.describe)


def test_our_taint_outlasts_a_run(cluster: Cluster, gpu: str) -> None:
    """Under our taint the run succeeds, yet no slice is advertised until the taint is lifted."""
    node = f"/api/v1/nodes/{gpu}"
    cluster.api.patch(
        node, {"spec": {"taints": [{"key": "autoslicer.dev/reshaping", "effect": "NoSchedule"}]}}
    )
    cluster.label(gpu, {CONFIG: "all-3g.40gb", STATE: "pending"})
    until(lambda: state(cluster) == "success", 30, cluster.describe)
    cluster.watch_for(lambda: cluster.slices(gpu) == {} and paused(cluster) == [], 1.5)
    cluster.api.patch(node, {"spec": {"taints": []}})
    until(lambda: cluster.slices(gpu) == {"3g.40gb": 2}, 20, cluster.describe)


def test_a_run_that_may_not_list_pods_is_stuck(cluster: Cluster, gpu: str) -> None:
    """It ends at `pending` with the clients paused and nothing cut; with the right, another name mends it."""
    operator.allow(cluster.api, [])
    cluster.label(gpu, {CONFIG: "all-3g.40gb", STATE: "pending"})
    until(lambda: len(paused(cluster)) == len(OPERANDS), 20, cluster.describe)
    operator.allow(cluster.api, operator.MIG_MANAGER_RULES)
    cluster.watch_for(lambda: state(cluster) == "pending" and len(paused(cluster)) == len(OPERANDS), 3)
    assert cluster.nvml_log(gpu) == []
    cluster.label(gpu, {CONFIG: "all-2g.20gb", STATE: "pending"})
    until(lambda: state(cluster) == "success" and paused(cluster) == [], 30, cluster.describe)


def test_a_failed_run_after_a_good_one_leaves_the_clients_paused(cluster: Cluster, gpu: str) -> None:
    """A process on the GPU makes it fail, and the plugin stays away until a run succeeds."""
    cluster.label(gpu, {CONFIG: "all-1g.10gb", STATE: "pending"})
    until(lambda: state(cluster) == "success", 30, cluster.describe)
    cluster.set_busy(gpu, 0)
    cluster.label(gpu, {CONFIG: "all-3g.40gb", STATE: "pending"})
    until(lambda: state(cluster) == "failed", 30, cluster.describe)
    cluster.watch_for(lambda: len(paused(cluster)) == len(OPERANDS), 2)
    cluster.set_busy(gpu, 0, busy=False)
    cluster.label(gpu, {CONFIG: "all-2g.20gb", STATE: "pending"})
    until(lambda: state(cluster) == "success" and paused(cluster) == [], 30, cluster.describe)
