"""GPU nodes as the GPU Operator, node feature discovery and GPU feature discovery label them.

Facts: the Operator marks a GPU node with `nvidia.com/gpu.present` and one `nvidia.com/gpu.deploy.<operand>`
for each operand that is to run there; mig-manager's state is `success` once a config was applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.cluster.api import Object
from tests.cluster.gpus import Gpus
from tests.cluster.plugin import labels_of

OPERANDS = (
    *("container-toolkit", "dcgm", "dcgm-exporter", "device-plugin", "driver", "gpu-feature-discovery"),
    *("mig-manager", "node-status-exporter", "operator-validator"),
)


def gpu_labels(name: str, gpus: Gpus, config: str) -> dict[str, str]:
    """The labels of a GPU node in service with the layout that NVML shows, called `config`."""
    return {
        "kubernetes.io/hostname": name,
        "feature.node.kubernetes.io/pci-10de.present": "true",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/mig.config": config,
        "nvidia.com/mig.config.state": "success",
        **{f"nvidia.com/gpu.deploy.{operand}": "true" for operand in OPERANDS},
        **labels_of(gpus),
    }


def document(
    name: str, labels: Mapping[str, str], cpu: str, memory: str, taints: Sequence[Object] = ()
) -> Object:
    """A Ready Node; the device plugin's resources come with the plugin."""
    resources = {"cpu": cpu, "memory": memory, "pods": "110", "ephemeral-storage": "1Ti"}
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    return {
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"taints": list(taints)},
        "status": {"capacity": resources, "allocatable": resources, "conditions": [condition]},
    }
