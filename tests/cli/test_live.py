"""The commands that ask a cluster, against a real one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoslicer.core.configs import DEFAULTS, parse
from tests.build import Builder, change
from tests.cli.conftest import Command, Ended
from tests.cluster.api import ApiError
from tests.cluster.fixture import OURS, Cluster

Saved = Callable[[Any], str]
CHANGES = "/apis/autoslicer.dev/v1alpha1/migreconfigurations"


@pytest.fixture
def live(cluster: Cluster, autoslicer: Command) -> Command:
    """Run a command line against the cluster, which knows our kinds from `autoslicer crds`."""
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=autoslicer("crds").out)
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")

    def run(*arguments: str) -> Ended:
        return autoslicer(*arguments, "--kubeconfig", str(cluster.kubeconfig))

    return run


def _change(cluster: Cluster, node: str, *, phase: str = "", reason: str = "") -> None:
    """The first MigReconfiguration of a node: it waits for approval, or has ended."""
    built = change(node, [{"7g.80gb": 1}], [{"1g.10gb": 7}]).set("spec.approved", False)
    cluster.api.create(CHANGES, built.set("metadata", {"name": f"{node}-1"}).raw)
    if phase:
        ended = Builder({}).set("status.phase", phase).condition("Succeeded", "False", reason)
        cluster.api.patch(f"{CHANGES}/{node}-1/status", ended.raw)


def test_live_plan_is_the_plan_of_the_dump(
    live: Command, autoslicer: Command, cluster: Cluster, saved: Saved
) -> None:
    """Read through the kubeconfig, from `autoslicer snapshot` or from kubectl, a cluster has one plan."""
    cluster.gpu_node("gpu-a")
    cluster.wait_unschedulable([cluster.pod(f"infer-{n}", {"1g.10gb": 1}) for n in range(3)])
    asked = live("plan", "-o", "json")
    assert asked.code == 0
    plan = json.loads(asked.out)
    assert [reshape["node"] for reshape in plan["reshapes"]] == ["gpu-a"], plan["refusals"]
    assert len(plan["served"]) == 3
    snapshot = live("snapshot")
    assert "this cluster does not serve PodGroup" in snapshot.err
    kubectl = cluster.kubectl("get", "nodes,pods,configmaps", "-A", "-o", "json")
    for dump in (snapshot.out, kubectl):
        assert (
            json.loads(autoslicer("plan", "-f", saved(dump), "-o", "json").out)["reshapes"]
            == plan["reshapes"]
        )


def test_snapshot_names_what_it_may_not_read(live: Command, autoslicer: Command, cluster: Cluster) -> None:
    """With the rights of another component the readable kinds are printed and the others named on stderr."""
    cluster.plain_node("plain")
    account = cluster.control_plane.pki.kubeconfig("scheduler", cluster.control_plane.server)
    ended = autoslicer("snapshot", "-o", "yaml", "--kubeconfig", str(account))
    assert ended.code == 0
    assert [
        item["metadata"]["name"] for item in yaml.safe_load(ended.out)["items"] if item["kind"] == "Node"
    ] == ["plain"]
    assert "warning: configmaps could not be read: configmaps is forbidden" in ended.err
    assert "warning: mignodes could not be read: " in ended.err
    assert "warning: nodes could not be read" not in ended.err


def test_configs_init_copies_the_operators_configs_once(live: Command, cluster: Cluster) -> None:
    """The first call creates the ConfigMap and prints the switch; a dry run or another call does not."""
    path = f"/api/v1/namespaces/gpu-operator/configmaps/{OURS}"
    tried = live("configs", "init", "--dry-run")
    assert parse(yaml.safe_load(tried.out)["data"]["config.yaml"]) == DEFAULTS
    with pytest.raises(ApiError):
        cluster.api.get(path)
    first = live("configs", "init")
    assert (first.code, first.out) == (0, f"configmap/{OURS} created\n")
    assert f'"config": {{"name": "{OURS}"}}' in first.err
    created = cluster.api.get(path)
    assert parse(created["data"]["config.yaml"]) == DEFAULTS
    second = live("configs", "init")
    assert (second.code, second.out) == (0, "")
    assert "nothing was added" in second.err
    assert cluster.api.get(path) == created


def test_configs_init_refuses_to_drop_a_config_in_use(live: Command, cluster: Cluster) -> None:
    """Where a node uses a config that the map would lack, nothing is created and the node is named."""
    cluster.plain_node("gpu-a")
    cluster.label("gpu-a", {"nvidia.com/mig.config": "our-own"})
    refused = live("configs", "init")
    assert (refused.code, refused.out) == (1, "")
    assert "our-own (node gpu-a)" in refused.sentence
    with pytest.raises(ApiError):
        cluster.api.get(f"/api/v1/namespaces/gpu-operator/configmaps/{OURS}")


def test_adopt_removes_our_mark_and_nothing_else(live: Command, cluster: Cluster) -> None:
    """An adopted node keeps its label; a node without our annotation is left as it is."""
    cluster.plain_node("gpu-a")
    cluster.label("gpu-a", {"nvidia.com/mig.config": "all-balanced"})
    cluster.api.patch(
        "/api/v1/nodes/gpu-a",
        {"metadata": {"annotations": {"autoslicer.dev/applied-config": "autoslicer-1"}}},
    )
    adopted = live("adopt", "node/gpu-a")
    assert adopted.code == 0
    assert adopted.out.startswith("node/gpu-a adopted: nvidia.com/mig.config=all-balanced")
    metadata = cluster.node("gpu-a")["metadata"]
    assert "autoslicer.dev/applied-config" not in metadata.get("annotations", {})
    assert metadata["labels"]["nvidia.com/mig.config"] == "all-balanced"
    again = live("adopt", "gpu-a")
    assert (again.code, again.out) == (0, "")
    assert cluster.node("gpu-a")["metadata"]["resourceVersion"] == metadata["resourceVersion"]


def test_approve_approves_what_waits(live: Command, cluster: Cluster) -> None:
    """Several changes are approved by one command, with who did it, and approving one again is no error."""
    _change(cluster, "gpu-a")
    _change(cluster, "gpu-b")
    ended = live("approve", "gpu-a-1", "migrc/gpu-b-1")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "migreconfiguration.autoslicer.dev/gpu-a-1 approved",
        "migreconfiguration.autoslicer.dev/gpu-b-1 approved",
    ]
    for found in cluster.api.list(CHANGES):
        assert found["spec"]["approved"]
        assert found["metadata"]["annotations"]["autoslicer.dev/approved-by"] == "admin"
    again = live("approve", "gpu-a-1")
    assert (again.code, again.err) == (0, "MigReconfiguration gpu-a-1 is approved already\n")


def test_approve_says_that_a_change_has_ended(live: Command, cluster: Cluster) -> None:
    """A change that is over is not approved any more, and why it ended is told."""
    _change(cluster, "gpu-a", phase="Cancelled", reason="Superseded")
    ended = live("approve", "gpu-a-1")
    assert ended.code == 1
    assert (
        ended.sentence
        == "MigReconfiguration gpu-a-1 has ended (Cancelled: Superseded); there is nothing to approve"
    )
    assert not cluster.api.get(f"{CHANGES}/gpu-a-1")["spec"]["approved"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["adopt", "node/none"], 1, "node none is not in the cluster"),
        (["adopt", "pod/x"], 2, "pod/x is no node; it should read node/NAME"),
        (
            ["approve", "none"],
            1,
            "no MigReconfiguration none is in the cluster; `kubectl get migrc` lists them",
        ),
        (["plan", "--context", "none"], 2, "the kubeconfig cannot be used: "),
    ],
)
def test_wrong_names_are_one_sentence(live: Command, arguments: list[str], code: int, sentence: str) -> None:
    """What is not in the cluster, or is of another kind, is named in one sentence."""
    ended = live(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.sentence.startswith(sentence)


def test_a_cluster_that_does_not_answer_ends_with_4(autoslicer: Command, tmp_path: Path) -> None:
    """An API server that is away is told from every other failure by its exit code."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    for command in (["plan"], ["snapshot"], ["approve", "x"], ["adopt", "x"], ["configs", "init"]):
        ended = autoslicer(*command, "--kubeconfig", str(path))
        assert (ended.code, ended.out) == (4, "")
        assert ended.sentence.startswith("the cluster at https://127.0.0.1:1 cannot be reached: ")
