"""The admission policies let the controller write what its table of writes has, and nothing beside it.

The controller's account has every right here, so that it is the policies alone that answer; all is a dry run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
import yaml

from autoslicer.core import names
from autoslicer.core.phases import FINAL, Phase
from tests.cluster.api import MERGE, ApiError, Object
from tests.cluster.fixture import OURS, Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import ACCOUNT, CHANGES, DEPLOY, NAMESPACE, POLICIES, install

DOWN, DISRUPT = names.DO_NOT_DISRUPT
EXPORTER, DCGM = "nvidia.com/gpu.deploy.dcgm-exporter", "nvidia.com/gpu.deploy.dcgm"
TAINT = {"key": "autoslicer.dev/reshaping", "value": "1", "effect": "NoSchedule"}
FOREIGN = {"key": "team", "value": "a", "effect": "NoSchedule"}
NODES, NODE = "/api/v1/nodes", "/api/v1/nodes/gpu-a"
MAPS = "/api/v1/namespaces/gpu-operator/configmaps"
OPERANDS = "/api/v1/namespaces/gpu-operator/pods"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


@pytest.fixture(scope="module")
def almighty(running_cluster: Cluster) -> Iterator[Cluster]:
    """The policies are installed, and the controller's account may do anything that they let through."""
    install(running_cluster)
    subject = {"kind": "ServiceAccount", "name": "autoslicer", "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    body = {"metadata": {"name": "almighty"}, "roleRef": role, "subjects": [subject]}
    running_cluster.api.create(BINDING, body)
    yield running_cluster
    running_cluster.api.delete(f"{BINDING}/almighty")


class World:
    """What the account meets: a GPU node, pods, the ConfigMap, a policy and two changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        pki = cluster.control_plane.pki.directory
        self._pool = urllib3.PoolManager(
            cert_file=str(pki / "admin.crt"), key_file=str(pki / "admin.key"), ca_certs=str(pki / "ca.crt")
        )
        self.tenant = f"/api/v1/namespaces/{cluster.namespace}/pods/tenant"
        api = cluster.api
        cluster.gpu_node("gpu-a")
        annotations = {
            "x": "y",
            "autoslicer.dev/applied-config": "all-7g.80gb",
            "autoslicer.dev/ignore": "true",
            DISRUPT: "true",
            names.MARKS: DISRUPT,
        }
        labels = {EXPORTER: names.PAUSED, DCGM: "false"}
        metadata = {"annotations": annotations, "labels": labels}
        api.patch(NODE, {"metadata": metadata, "spec": {"taints": [FOREIGN]}})
        cluster.pod("tenant")
        cluster.pod("other", namespace="gpu-operator")
        api.create(MAPS, {"metadata": {"name": OURS}, "data": {"config.yaml": "a: 1", "other": "kept"}})
        kind = {"apiVersion": "autoslicer.dev/v1alpha1", "kind": "MigAutoscalingPolicy"}
        selector = {"nodeSelector": {"matchLabels": {"a": "b"}}}
        api.create(POLICIES, {**kind, "metadata": {"name": "default"}, "spec": selector})
        for number, phase in ((1, Phase.DONE), (2, Phase.TAINTED)):
            api.create(CHANGES, self.change(number))
            api.patch(f"{CHANGES}/gpu-a-{number}/status", {"status": {"phase": phase}})

    def operand(self, app: str) -> str:
        """The path of the operator's pod with this label."""
        [found] = [pod for pod in self._cluster.operands("gpu-a") if pod["metadata"]["labels"]["app"] == app]
        return f"{OPERANDS}/{found['metadata']['name']}"

    def change(self, number: int) -> Object:
        """A MigReconfiguration of the node."""
        uid = self._cluster.node("gpu-a")["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "Node", "name": "gpu-a", "uid": uid}
        gpu = {"index": 0, "from": {"7g.80gb": 1}, "to": {"1g.10gb": 7}, "changed": True}
        return {
            "apiVersion": "autoslicer.dev/v1alpha1",
            "kind": "MigReconfiguration",
            "metadata": {"name": f"gpu-a-{number}", "ownerReferences": [owner]},
            "spec": {
                "node": {"name": "gpu-a", "uid": uid},
                "policy": "default",
                "planDigest": "sha256:" + "0" * 64,
                "from": "all-7g.80gb",
                "to": "autoslicer-000000000000",
                "gpus": [gpu],
                "serves": [],
                "evicts": [],
                "recovery": {"pendingDeadlineSeconds": 60},
                "approved": False,
            },
        }

    def __call__(self, method: str, path: str, body: Object | None = None) -> str:
        """What the API server says to the account: empty where it would do it, else its message."""
        if method == "DELETE":
            # a body takes the query's place
            body = {"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]}
        answer = self._pool.request(
            method,
            f"{self._cluster.control_plane.server}{path}?dryRun=All",
            body=json.dumps(body or {}).encode(),
            headers={
                "Impersonate-User": ACCOUNT,
                "Content-Type": MERGE if method == "PATCH" else "application/json",
            },
        )
        return "" if answer.status < 300 else f"{answer.status} {answer.json()['message']}"

    def patch(self, path: str, body: Object) -> str:
        """A merge patch."""
        return self("PATCH", path, body)


@pytest.fixture
def world(almighty: Cluster, cluster: Cluster) -> Iterator[World]:
    yield World(cluster)
    cluster.delete_pod("gpu-operator/other")


def _meta(what: str, found: Any) -> Object:
    return {"metadata": {what: found}}


def test_nodes(world: World) -> None:
    """The taint, the two labels, those of the operands, our annotations and the marks, and nothing else."""
    allowed: list[Object] = [
        {"spec": {"taints": [FOREIGN, TAINT]}},
        {"spec": {"taints": [TAINT, FOREIGN]}},
        _meta("labels", {"nvidia.com/mig.config": "autoslicer-0", "nvidia.com/mig.config.state": "pending"}),
        _meta("labels", {EXPORTER: "true"}),
        _meta("annotations", {"autoslicer.dev/applied-config": "autoslicer-0"}),
        _meta("annotations", {"autoslicer.dev/applied-config": None}),
        _meta("annotations", {"autoslicer.dev/idle-since": "x", "autoslicer.dev/drift": "x"}),
        _meta("annotations", {DOWN: "true", names.MARKS: f"{DOWN},{DISRUPT}"}),
        _meta("annotations", {DISRUPT: None, names.MARKS: None}),
    ]
    refused: list[tuple[Object, str]] = [
        ({"spec": {"taints": [TAINT]}}, "the taints of others"),
        ({"spec": {"taints": None}}, "the taints of others"),
        ({"spec": {"taints": [{**FOREIGN, "effect": "NoExecute"}]}}, "the taints of others"),
        ({"spec": {"taints": [FOREIGN, {**TAINT, "key": "x"}]}}, "the taints of others"),
        ({"spec": {"taints": [FOREIGN, {**TAINT, "effect": "NoExecute"}]}}, "has the effect NoSchedule"),
        ({"spec": {"unschedulable": True}}, "nothing of a node's spec"),
        ({"spec": {"providerID": "x://y"}}, "nothing of a node's spec"),
        (_meta("labels", {"team": "b"}), "does not set the labels team"),
        (_meta("labels", {"nvidia.com/gpu.count": None}), "does not set the labels nvidia.com/gpu.count"),
        (_meta("labels", {"nvidia.com/mig.configs": "x"}), "does not set the labels nvidia.com/mig.configs"),
        (_meta("labels", {"nvidia.com/mig.config": None}), "never removes or blanks"),
        (_meta("labels", {"nvidia.com/mig.config": ""}), "never removes or blanks"),
        *[
            (_meta("labels", {"nvidia.com/mig.config.state": value}), "mig.config.state to pending")
            for value in ("rebooting", "failed", None)
        ],
        *[
            (_meta("labels", {client: value}), "gives back GPU clients that mig-manager paused")
            for client, value in (
                (EXPORTER, "false"),
                (EXPORTER, None),
                (DCGM, "true"),
                (DCGM, None),
                ("nvidia.com/gpu.deploy.x", "true"),
            )
        ],
        (_meta("annotations", {"x": None}), "does not set the annotations x"),
        (_meta("annotations", {"autoslicer.dev/ignore": None}), "annotations autoslicer.dev/ignore"),
        (_meta("annotations", {"autoslicer.dev/ignore": "false"}), "annotations autoslicer.dev/ignore"),
        (_meta("annotations", {DOWN: "false"}), "leaves the marks of others"),
        (_meta("annotations", {DISRUPT: "false"}), "leaves the marks of others"),
        (_meta("annotations", {"karpenter.sh/other": "x"}), "annotations karpenter.sh/other"),
        (_meta("finalizers", ["autoslicer.dev/x"]), "no finalizers"),
    ]
    assert [world.patch(NODE, body) for body in allowed] == [""] * len(allowed)
    for body, why in refused:
        assert why in world.patch(NODE, body), body
    updates = "only updates nodes themselves"
    assert updates in world.patch(f"{NODE}/status", {"status": {"allocatable": {"cpu": "0"}}})
    assert updates in world("DELETE", NODE)
    assert updates in world("POST", NODES, {"metadata": {"name": "gpu-b"}})


def test_pods(world: World) -> None:
    """An annotation and the end of operands, and the nominated node of any pod; nothing else of any pod."""
    manager, plugin = world.operand("nvidia-mig-manager"), world.operand("nvidia-device-plugin-daemonset")
    ours = _meta("annotations", {"autoslicer.dev/published": "a@b"})
    hint = {"status": {"nominatedNodeName": "gpu-a"}}
    assert world.patch(manager, ours) == ""
    assert world.patch(f"{world.tenant}/status", hint) == ""
    assert world.patch(f"{world.tenant}/status", {"status": {"nominatedNodeName": None}}) == ""
    assert (world("DELETE", manager), world("DELETE", plugin)) == ("", "")
    little = "nothing of pods but its own annotation on mig-manager's"
    for path, body in (
        (plugin, ours),
        (world.tenant, ours),
        (manager, _meta("annotations", {"x": "y"})),
        (manager, _meta("annotations", {"autoslicer.dev/ignore": "true"})),
        (manager, {**ours, "metadata": {**ours["metadata"], "labels": {"x": "y"}}}),
        (manager, _meta("labels", {"app": None})),
        (manager, _meta("finalizers", ["autoslicer.dev/x"])),
        (manager, {"spec": {"activeDeadlineSeconds": 1}}),
    ):
        assert little in world.patch(path, body), body
    hints = "nothing of a pod's status but nominatedNodeName"
    condition = {"type": "Ready", "status": "False"}
    for body in (
        {"status": {"phase": "Failed"}},
        {"status": {**hint["status"], "reason": "x"}},
        {"status": {"conditions": [condition]}},
        {**hint, **ours},
        {**hint, **_meta("labels", {"x": "y"})},
    ):
        assert hints in world.patch(f"{world.tenant}/status", body), body
    for path in (world.tenant, f"{OPERANDS}/other"):
        assert "deletes no pods but" in world("DELETE", path)
    container = {"name": "c", "image": "busybox"}
    body = {"metadata": {"name": "new"}, "spec": {"containers": [container]}}
    assert "creates no pods" in world("POST", OPERANDS, body)


def test_evictions(world: World) -> None:
    """Pods of tenants only: none of Kubernetes' own, of the GPU Operator's and of our own namespace."""

    def evict(path: str) -> str:
        _, _, namespace, _, name = path.removeprefix("/api/").split("/")
        metadata = {"namespace": namespace, "name": name}
        return world(
            "POST", f"{path}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        )

    assert evict(world.tenant) == ""
    for namespace in ("kube-system", "gpu-operator", NAMESPACE):
        assert "evicts no pods of Kubernetes" in evict(f"/api/v1/namespaces/{namespace}/pods/other"), (
            namespace
        )


def test_the_config_map(world: World) -> None:
    """One key of one ConfigMap."""
    file = {"data": {"config.yaml": "a: 2"}}
    assert world.patch(f"{MAPS}/{OURS}", file) == ""
    for body in ({"data": {"other": "x"}}, {"data": {"other": None}}, {"data": {"new": "x"}}):
        assert "but config.yaml" in world.patch(f"{MAPS}/{OURS}", body), body
    assert "but config.yaml" in world.patch(f"{MAPS}/{OURS}", {"immutable": True})
    assert "metadata alone" in world.patch(f"{MAPS}/{OURS}", {**file, **_meta("labels", {"x": "y"})})
    other = world.patch(f"{MAPS}/default-mig-parted-config", file)
    assert "its one ConfigMap" in other
    assert "its one ConfigMap" in world("DELETE", f"{MAPS}/{OURS}")
    assert "its one ConfigMap" in world("POST", MAPS, {"metadata": {"name": "new"}})


def test_its_lease(world: World) -> None:
    """The one Lease in its own namespace."""
    own, operators = LEASES.format(NAMESPACE), LEASES.format("gpu-operator")
    body = {"metadata": {"name": "autoslicer"}, "spec": {"leaseDurationSeconds": 1}}
    assert world("POST", own, body) in ("", '409 leases.coordination.k8s.io "autoslicer" already exists')
    assert "has one Lease" in world("POST", own, {**body, "metadata": {"name": "other"}})
    assert "has one Lease" in world("POST", operators, body)


def test_custom_resources(world: World) -> None:
    """Changes are made for their node and removed once they have ended; none is approved, no policy set."""
    made = world.change(3)
    assert world("POST", CHANGES, made) == ""
    owner = {**made["metadata"]["ownerReferences"][0], "name": "gpu-b"}
    for owners in ([], [owner]):
        metadata = {"name": "gpu-a-3", "ownerReferences": owners}
        assert "belongs to its node" in world("POST", CHANGES, {**made, "metadata": metadata})
    assert "approves nothing" in world.patch(f"{CHANGES}/gpu-a-1", {"spec": {"approved": True}})
    assert world.patch(f"{CHANGES}/gpu-a-2/status", {"status": {"phase": "Drained"}}) == ""
    assert world("DELETE", f"{CHANGES}/gpu-a-1") == ""
    assert "has not ended" in world("DELETE", f"{CHANGES}/gpu-a-2")
    assert "no policy but its status" in world.patch(f"{POLICIES}/default", {"spec": {"mode": "Auto"}})
    assert world.patch(f"{POLICIES}/default/status", {"status": {"observedGeneration": 1}}) == ""


def test_others_are_not_concerned(almighty: Cluster, world: World) -> None:
    """What the controller's account may not do, an administrator may."""
    almighty.api.patch(NODE, {"metadata": {"labels": {"team": "b"}}, "spec": {"unschedulable": True}})
    assert almighty.labels("gpu-a")["team"] == "b"
    assert "does not set the labels team" in world.patch(NODE, _meta("labels", {"team": "c"}))


def test_the_policies_are_sound(almighty: Cluster) -> None:
    """The API server finds no fault in any expression, and the phases named are those that end a change."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def ours() -> list[Object]:
        found = almighty.api.list(path, labelSelector="app.kubernetes.io/name=autoslicer")
        return [one for one in found if "typeChecking" in one.get("status", {})]

    manifest = list(yaml.safe_load_all((DEPLOY / "admission.yaml").read_text()))
    names = {one["metadata"]["name"] for one in manifest if one["kind"] == "ValidatingAdmissionPolicy"}
    checked = until(
        lambda: found if len(found := ours()) == len(names) else [],
        20,
        lambda: f"of {sorted(names)} these are checked: {[one['metadata']['name'] for one in ours()]}",
    )
    assert {one["metadata"]["name"] for one in checked if one["status"]["typeChecking"] == {}} == names
    phases = ", ".join(f"'{phase}'" for phase in Phase if phase in FINAL)
    [own] = [one for one in checked if one["metadata"]["name"] == "autoslicer-own"]
    assert any(phases in rule["expression"] for rule in own["spec"]["validations"])


def test_approvals(world: World, almighty: Cluster) -> None:
    """Nobody says that somebody else approved a change; the controller says it for mode Auto alone."""
    by = "autoslicer.dev/approved-by"
    lie = f"{by} must be the name of the user who approves"

    def says(name: str | None) -> str:
        body = {**_meta("annotations", {by: name}), "spec": {"approved": True}}
        try:
            almighty.api.patch(f"{CHANGES}/gpu-a-2", body)
        except ApiError as error:
            return str(error)
        return ""

    def created(name: str) -> str:
        made = world.change(3)
        return world("POST", CHANGES, {**made, "metadata": {**made["metadata"], "annotations": {by: name}}})

    for name in ("kim", "autoslicer.dev/mode-auto", ACCOUNT):
        assert lie in says(name), name
    assert says("admin") == ""
    assert says("admin") == ""
    assert says(None) == ""
    assert created("autoslicer.dev/mode-auto") == ""
    assert lie in created("kim")
