"""The controller has the rights that it uses, and uses those that it has."""

from __future__ import annotations

import pytest

from tests.cluster.api import Object
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.faults import Answer
from tests.cluster.fixture import Cluster
from tests.cluster.rights import Right, asked, forbidden, granted, unused
from tests.cluster.waiting import until
from tests.e2e.agent import Agent
from tests.e2e.controller import (
    ACCOUNT,
    CHANGES,
    DEPLOY,
    NAMESPACE,
    PATIENT,
    POLICIES,
    Controller,
    changes,
    configure,
    phases,
    policy,
)
from tests.e2e.test_evicted import scene

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/autoslicer"
RIGHTS = granted(sorted(DEPLOY.glob("rbac-*.yaml")), "autoslicer")


def test_every_right_is_used_and_none_is_missing(installed: None, cluster: Cluster) -> None:
    """Through a life of serving, repairing, forgetting and evicting each right was of use."""
    before = len(cluster.control_plane.audit())
    _life(cluster)
    cluster.reset()
    evicting = Controller(cluster, PATIENT)
    try:
        with scene(cluster, evicting, 60) as (_tenant, large):
            cluster.wait_running([large], 120)
    finally:
        evicting.kill()
    events = asked(cluster.control_plane.audit()[before:], ACCOUNT)
    assert not (found := forbidden(events)), f"was forbidden, so a right or a policy is too narrow: {found}"
    assert not (idle := unused(RIGHTS, events)), f"no scenario here uses these rights: {idle}"


def _life(cluster: Cluster) -> None:
    """One controller's life, from its Lease to the end; the answer to its first status is a conflict."""
    cluster.api.delete(LEASE)
    for node in ("gpu-a", "gpu-b"):
        cluster.gpu_node(node)
    _history(cluster, "gpu-a", 6)
    configure(cluster)
    policy(cluster)
    control = cluster.control_plane
    proxy = FaultProxy(control.server, control.pki.directory)
    direct = control.service_account(NAMESPACE, "autoslicer")
    controller = Controller(cluster, PATIENT, kubeconfig=proxy.kubeconfig(direct))
    try:
        with Agent(cluster, "gpu-a", {}), Agent(cluster, "gpu-b", {}):
            proxy.inject(Answer(409), "patch", path="/migreconfigurations/.*/status")
            controller.start()
            _serve(cluster)
            _restart_a_plugin(cluster)
        assert controller.stop() == 0
    finally:
        controller.kill()
        proxy.close()


def _history(cluster: Cluster, node: str, count: int) -> None:
    """Changes that ended long ago: more than are kept."""
    uid = cluster.node(node)["metadata"]["uid"]
    gpu = {"index": 0, "from": {"7g.80gb": 1}, "to": {"7g.80gb": 1}, "changed": True}
    for number in range(1, count + 1):
        body = {
            "apiVersion": "autoslicer.dev/v1alpha1",
            "kind": "MigReconfiguration",
            "metadata": {"name": f"{node}-{number}"},
            "spec": {
                "node": {"name": node, "uid": uid},
                "policy": "default",
                "planDigest": "sha256:" + "0" * 64,
                "from": "all-7g.80gb",
                "to": f"autoslicer-{number:012d}",
                "gpus": [gpu],
                "serves": [],
                "evicts": [],
                "recovery": {"pendingDeadlineSeconds": 60},
                "approved": True,
            },
        }
        cluster.api.create(CHANGES, body)
        cluster.api.patch(f"{CHANGES}/{node}-{number}/status", {"status": {"phase": "Done"}})


def _serve(cluster: Cluster) -> None:
    """Pods come, wait and are served; one that nothing can help is told so.

    The device plugin takes its time, so that they still wait when it is time for their hints.
    """
    cluster.played.knobs.plugin_seconds = 6.0
    hopeless = cluster.pod("too-large", {"7g.80gb": 3})
    pods = [cluster.pod(f"infer-{n}", {"1g.10gb": 1}) for n in range(2)]
    cluster.wait_running(pods, 120)
    cluster.played.knobs.plugin_seconds = 0.5
    until(lambda: any(phases(change)[-1:] == ["Done"] for change in changes(cluster)), 60, cluster.describe)
    until(lambda: not cluster.exists(f"{CHANGES}/gpu-a-1"), 30, cluster.describe)
    cluster.delete_pod(hopeless)


def _restart_a_plugin(cluster: Cluster) -> None:
    """A device plugin that tells an old story is restarted, where the policy allows that."""
    idle = next(name for name in ("gpu-a", "gpu-b") if cluster.slices(name) == {"7g.80gb": 2})
    recovery = {"pendingDeadlineSeconds": 1, "deleteOperatorPods": True}
    cluster.api.patch(f"{POLICIES}/default", {"spec": {"recovery": recovery}})
    cluster.played.nodes[idle].gpus.cut({"1g.10gb": 7}, {"7g.80gb": 1})
    until(lambda: cluster.slices(idle) == {"1g.10gb": 7, "7g.80gb": 1}, 120, cluster.describe)


def _event(verb: str, resource: str, code: int = 200, **target: str) -> Object:
    return {
        "verb": verb,
        "requestURI": f"/{resource}",
        "objectRef": {"resource": resource, **target},
        "responseStatus": {"code": code, "message": "no"},
    }


def test_what_is_missing_or_unused_is_told() -> None:
    """A right is used by a request that had success and that it covers, by namespace and name too."""
    right = Right("rbac.yaml", "gpu-operator", "", "configmaps", "update", ("ours",))
    used = _event("update", "configmaps", namespace="gpu-operator", name="ours")
    for other in (
        _event("update", "configmaps", namespace="gpu-operator", name="other"),
        _event("update", "configmaps", namespace="kube-system", name="ours"),
        _event("get", "configmaps", namespace="gpu-operator", name="ours"),
        _event("update", "configmaps", 409, namespace="gpu-operator", name="ours"),
    ):
        assert unused([right], [other]) == ["update configmaps ours in gpu-operator (rbac.yaml)"]
    assert unused([right], [used]) == []
    refused = _event("delete", "nodes", 403, name="gpu-a")
    assert forbidden([used, refused]) == ["delete /nodes: no"]


@pytest.mark.parametrize("file", sorted({right.file for right in RIGHTS}))
def test_rights_are_read_from_the_manifests(file: str) -> None:
    """The manifests hold rules of the controller's role that this test knows how to read."""
    assert all(right.verb != "*" and right.resource != "*" for right in RIGHTS if right.file == file)
