"""Nodes and pods to schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoslicer.core.rows import NodeRow, PodRow

ZONE = "topology.kubernetes.io/zone"
SLICE = "nvidia.com/mig-1g.10gb"
MIB = 1 << 20


def node(name: str, *, slices: int, zone: str = "", cpu: int = 7000, memory: int = 4000 * MIB) -> NodeRow:
    """A node with so many slices, all the rest being alike."""
    return NodeRow(
        name=name,
        uid=f"uid-{name}",
        resource_version="",
        labels={"kubernetes.io/hostname": name, "pool": "a", ZONE: zone},
        annotations={},
        taints=(),
        unschedulable=False,
        ready=True,
        terminating=False,
        allocatable={"cpu": cpu, "memory": memory, "pods": 6, SLICE: slices},
    )


def pod(name: str, requests: Mapping[str, int], created: float, *, priority: int = 0, **more: Any) -> PodRow:
    """A pod that waits."""
    return PodRow(
        **{
            "namespace": "team",
            "name": name,
            "uid": f"uid-{name}",
            "created": created,
            "phase": "Pending",
            "node": "",
            "terminating": False,
            "gated": False,
            "scheduler": "default-scheduler",
            "priority": priority,
            "requests": requests,
            "selector": (),
            "affinity": None,
            "tolerations": (),
            "nominated": "",
            "tried": False,
            "unschedulable_since": None,
            "bound_at": None,
            "ignored": False,
            "unknown": (),
            "hidden_gpu_use": False,
            **more,
        }
    )
