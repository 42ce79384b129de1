"""Pods get their slices: the main job, end to end."""

from __future__ import annotations

import yaml

from tests.cluster.fixture import OURS, Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy

STEPS = ["Validated", "Tainted", "Drained", "Published", "Labelled", "Applied", "Verified", "Done"]


def test_twelve_pods_get_their_slices(cluster: Cluster, controller: Controller) -> None:
    """Ten small and two large pods run after exactly three GPUs were cut anew; nothing is left behind."""
    for node in ("gpu-a", "gpu-b"):
        cluster.gpu_node(node)
    configure(cluster)
    policy(cluster)
    controller.start()
    pods = [cluster.pod(f"small-{n}", {"1g.10gb": 1}) for n in range(10)]
    pods += [cluster.pod(f"large-{n}", {"3g.40gb": 1}) for n in range(2)]
    cluster.wait_running(pods)
    until(lambda: all(phases(change) == STEPS for change in changes(cluster)), 20, cluster.describe)

    done = changes(cluster)
    assert [change["spec"]["node"]["name"] for change in done] == ["gpu-a", "gpu-b"]
    changed = [(c["metadata"]["name"], g["index"]) for c in done for g in c["spec"]["gpus"] if g["changed"]]
    assert len(changed) == 3
    assert sorted(key for change in done for key in change["spec"]["serves"]) == sorted(pods)
    for change in done:
        steps = [step["at"] for step in change["status"]["steps"]]
        assert steps == sorted(steps)
    text = cluster.api.get(f"/api/v1/namespaces/gpu-operator/configmaps/{OURS}")["data"]["config.yaml"]
    published = yaml.safe_load(text)["mig-configs"]
    for node in ("gpu-a", "gpu-b"):
        label = cluster.labels(node)["nvidia.com/mig.config"]
        assert label.startswith("autoslicer-")
        assert label in published
        assert cluster.taints(node) == []
        assert cluster.in_service(node), cluster.describe(node)
    until(lambda: controller.metric("requests_fulfilled_total") == 12, 5, lambda: controller.get("/metrics"))
    assert controller.metric("requests_fulfilled_total", by="reshape") == 12
    assert controller.metric("reshapes_total", result="Done") == 2
    assert controller.get("/healthz") == controller.get("/readyz") == "ok\n"
    assert controller.stop() == 0


def test_a_recommendation_waits_for_its_approval(cluster: Cluster, controller: Controller) -> None:
    """In mode Recommend nothing but the MigReconfiguration is written until `autoslicer approve`."""
    from autoslicer.cli.main import main

    cluster.gpu_node("gpu-a")
    configure(cluster)
    before = cluster.node("gpu-a")["metadata"]["labels"]
    policy(cluster, mode="Recommend")
    controller.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: len(changes(cluster)) == 1, 10, cluster.describe)

    def waits() -> bool:
        [change] = changes(cluster)
        return not phases(change) and cluster.labels("gpu-a") == before and cluster.taints("gpu-a") == []

    cluster.watch_for(waits, 4)
    [change] = changes(cluster)
    [condition] = change["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("Unknown", "AwaitingApproval")
    assert main(["approve", change["metadata"]["name"], f"--kubeconfig={cluster.kubeconfig}"]) == 0
    cluster.wait_running([pod])
    until(lambda: phases(changes(cluster)[0]) == STEPS, 10, cluster.describe)
    assert "; approved by " in changes(cluster)[0]["status"]["steps"][0]["message"]
