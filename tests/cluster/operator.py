"""The GPU Operator's namespace as real objects: its DaemonSets, its default ConfigMap and its ClusterPolicy.

Facts: each operand's DaemonSet selects nodes by its own label `nvidia.com/gpu.deploy.<operand>` and tolerates
only `nvidia.com/gpu`, so that no operand comes back under a taint of ours, and mig-manager pauses an operand
by changing that label. mig-manager's own pods mount the ConfigMap that ClusterPolicy names, at
/mig-parted-config; where it names another, the Operator changes the DaemonSet's template and its pods are
rolled (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autoslicer.core import configs
from tests.cluster.api import Api, ApiError, Object
from tests.cluster.waiting import until

NAMESPACE = "gpu-operator"
DEFAULT_CONFIG_MAP = "default-mig-parted-config"
CLUSTER_POLICIES = "/apis/nvidia.com/v1/clusterpolicies"
CLUSTER_POLICY = "cluster-policy"
DAEMON_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
ROLE = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/nvidia-mig-manager"
MIG_MANAGER_RULES: list[Object] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}]
"""what mig-manager may do in the operator's namespace"""
OPERANDS = {
    "device-plugin": "nvidia-device-plugin-daemonset",
    "gpu-feature-discovery": "gpu-feature-discovery",
    "mig-manager": "nvidia-mig-manager",
}


def install(api: Api) -> None:
    """Create the namespace, the default ConfigMap, the ClusterPolicy that names it, and the DaemonSets."""
    _create(api, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    data = {"config.yaml": configs.render(configs.DEFAULTS)}
    _create(
        api,
        f"/api/v1/namespaces/{NAMESPACE}/configmaps",
        {"metadata": {"name": DEFAULT_CONFIG_MAP}, "data": data},
    )
    _install_rights(api)
    for operand, app in OPERANDS.items():
        _create(api, DAEMON_SETS, _daemon_set(operand, app, DEFAULT_CONFIG_MAP))
    _create(api, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _definition())
    until(lambda: _served(api), 10, lambda: f"{CLUSTER_POLICIES} is not served")
    _create(
        api,
        CLUSTER_POLICIES,
        {
            "apiVersion": "nvidia.com/v1",
            "kind": "ClusterPolicy",
            "metadata": {"name": CLUSTER_POLICY},
            "spec": _names(DEFAULT_CONFIG_MAP),
        },
    )


def allow(api: Api, rules: list[Object]) -> None:
    """Give mig-manager these rights in the operator's namespace, and no others."""
    api.patch(ROLE, {"rules": rules})


def configure(api: Api, config_map: str) -> None:
    """What an administrator does so that mig-manager reads another ConfigMap."""
    api.patch(f"{CLUSTER_POLICIES}/{CLUSTER_POLICY}", {"spec": _names(config_map)})


def reconcile(api: Api, cluster_policies: Iterable[Object], daemon_sets: Iterable[Object]) -> None:
    """What the Operator does: mig-manager's DaemonSet mounts the ConfigMap that the ClusterPolicy names."""
    app = OPERANDS["mig-manager"]
    present = {found["metadata"]["name"]: found for found in daemon_sets}.get(app)
    for policy in cluster_policies:
        wanted = policy["spec"]["migManager"]["config"]["name"]
        if present is not None and mounted(present) != wanted:
            template = _daemon_set("mig-manager", app, wanted)["spec"]["template"]
            api.patch(f"{DAEMON_SETS}/{app}", {"spec": {"template": template}})


def mounted(daemon_set: Object) -> str:
    """The ConfigMap that the pods of mig-manager's DaemonSet mount."""
    name: str = daemon_set["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
    return name


def _install_rights(api: Api) -> None:
    """mig-manager's service account, with the rights that the Operator gives it."""
    name = OPERANDS["mig-manager"]
    group, meta = "rbac.authorization.k8s.io", {"metadata": {"name": name}}
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]
    rules = [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch", "patch", "update"]}
    ]
    _create(api, f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", meta)
    for where, kind, granted in (
        ("", "ClusterRole", rules),
        (f"/namespaces/{NAMESPACE}", "Role", MIG_MANAGER_RULES),
    ):
        path = f"/apis/{group}/v1{where}/{kind.lower()}"
        reference = {"apiGroup": group, "kind": kind, "name": name}
        _create(api, f"{path}s", {**meta, "rules": granted})
        _create(api, f"{path}bindings", {**meta, "roleRef": reference, "subjects": subjects})


def _names(config_map: str) -> Object:
    return {"migManager": {"config": {"name": config_map}}}


def _served(api: Api) -> bool:
    try:
        api.get(CLUSTER_POLICIES)
    except ApiError:
        return False
    return True


def _definition() -> Object:
    """The Operator's own CRD as far as it is used here: its group, names and scope, and any fields."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": "clusterpolicies.nvidia.com"},
        "spec": {
            "group": "nvidia.com",
            "scope": "Cluster",
            "names": {"plural": "clusterpolicies", "singular": "clusterpolicy", "kind": "ClusterPolicy"},
            "versions": [version],
        },
    }


def _daemon_set(operand: str, app: str, config_map: str) -> Object:
    pod: dict[str, Any] = {
        "nodeSelector": {f"nvidia.com/gpu.deploy.{operand}": "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": app, "image": f"nvidia/{operand}"}],
    }
    if operand == "mig-manager":
        pod["nodeSelector"]["nvidia.com/mig.capable"] = "true"
        pod["volumes"] = [{"name": "mig-parted-config", "configMap": {"name": config_map}}]
        mount = {"name": "mig-parted-config", "mountPath": "/mig-parted-config"}
        pod["containers"][0]["volumeMounts"] = [mount]
    return {
        "metadata": {"name": app, "labels": {"app": app}},
        "spec": {
            "selector": {"matchLabels": {"app": app}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": pod},
        },
    }


def _create(api: Api, path: str, body: Object) -> None:
    try:
        api.create(path, body)
    except ApiError as error:
        if error.status != 409:
            raise
