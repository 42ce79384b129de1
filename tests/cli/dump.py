"""Dumps of small clusters, shaped as `kubectl get nodes,pods -A -o json` prints them."""

from __future__ import annotations

from typing import Any

H100 = "NVIDIA-H100-80GB-HBM3"
Object = dict[str, Any]


def listed(*items: Object) -> Object:
    """A `List` of the items."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(items)}


def node(
    name: str,
    slices: dict[str, int],
    *,
    config: str,
    gpus: int = 1,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    unschedulable: bool = False,
) -> Object:
    """A ready H100 node under `mig.strategy=mixed`, cut as `config` says, which gives `slices`."""
    nvidia = {
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.product": H100,
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.config": config,
        "nvidia.com/mig.config.state": "success",
        "nvidia.com/mig.strategy": "mixed",
    }
    allocatable = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": "0"}
    allocatable |= {f"nvidia.com/mig-{profile}": str(count) for profile, count in slices.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-02T00:00:00Z",
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                **nvidia,
                **(labels or {}),
            },
            "annotations": annotations or {},
        },
        "spec": {"unschedulable": True} if unschedulable else {},
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T00:00:00Z"}],
        },
    }


def pod(
    name: str, profile: str, *, count: int = 1, on: str = "", created: str = "2026-01-02T01:00:00Z"
) -> Object:
    """A pod that asks for slices: running on a node, or found unschedulable by the scheduler."""
    limits = {"cpu": "1", "memory": "1Gi", f"nvidia.com/mig-{profile}": str(count)}
    condition = {"type": "PodScheduled", "status": "True" if on else "False", "lastTransitionTime": created}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "team",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "9",
            "creationTimestamp": created,
        },
        "spec": {
            "schedulerName": "default-scheduler",
            "containers": [
                {"name": "main", "image": "none", "resources": {"limits": limits, "requests": limits}}
            ],
            **({"nodeName": on} if on else {}),
        },
        "status": {
            "phase": "Running" if on else "Pending",
            "conditions": [
                condition if on else {**condition, "reason": "Unschedulable", "message": "no slice"}
            ],
        },
    }


def waiting_for_a_reshape() -> Object:
    """Two idle nodes of one uncut H100 each; seven pods want 1g.10gb, and no layout serves an eighth."""
    nodes = [node(f"gpu-{n}", {"7g.80gb": 1}, config="all-7g.80gb") for n in range(2)]
    pods = [pod(f"infer-{n}", "1g.10gb") for n in range(7)]
    return listed(*nodes, *pods, pod("train", "7g.80gb", count=3))


def served_as_it_is() -> Object:
    """One node with free slices, and one pod that fits them."""
    return listed(node("gpu-0", {"1g.10gb": 7}, config="all-1g.10gb"), pod("infer", "1g.10gb"))
