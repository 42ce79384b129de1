"""The GPU Operator's namespace as real objects: its DaemonSets and its default ConfigMap.

Facts: each operand's DaemonSet selects nodes by its own label `nvidia.com/gpu.deploy.<operand>` and tolerates
only `nvidia.com/gpu`, so that no operand comes back under a taint of ours, and mig-manager pauses an operand
by changing that label. mig-manager's own pods mount the ConfigMap that ClusterPolicy names, at
/mig-parted-config.
"""

from __future__ import annotations

from typing import Any

from autoslicer.core import configs
from tests.cluster.api import Api, ApiError, Object

NAMESPACE = "gpu-operator"
DEFAULT_CONFIG_MAP = "default-mig-parted-config"
OPERANDS = {
    "device-plugin": "nvidia-device-plugin-daemonset",
    "gpu-feature-discovery": "gpu-feature-discovery",
    "mig-manager": "nvidia-mig-manager",
}


def install(api: Api, config_map: str = DEFAULT_CONFIG_MAP) -> None:
    """Create the namespace, the default ConfigMap and the DaemonSets; mig-manager reads `config_map`."""
    _create(api, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    data = {"config.yaml": configs.render(configs.DEFAULTS)}
    _create(
        api,
        f"/api/v1/namespaces/{NAMESPACE}/configmaps",
        {"metadata": {"name": DEFAULT_CONFIG_MAP}, "data": data},
    )
    for operand, app in OPERANDS.items():
        _create(
            api, f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets", _daemon_set(operand, app, config_map)
        )


def configure(api: Api, config_map: str) -> None:
    """What ClusterPolicy's `migManager.config.name` does.

    Mig-manager's DaemonSet mounts another ConfigMap and is rolled.
    """
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{OPERANDS['mig-manager']}"
    wanted = _daemon_set("mig-manager", OPERANDS["mig-manager"], config_map)
    present = api.get(path)
    if present["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] != config_map:
        api.patch(path, {"spec": {"template": wanted["spec"]["template"]}})


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
