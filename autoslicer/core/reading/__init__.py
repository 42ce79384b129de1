"""Raw Kubernetes objects to rows, one reader a kind; the reflector and the file reader both call these.

Every reader takes a parsed object of any shape and raises nothing but ValueError, with one sentence that
names the object and the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoslicer.core.policy import Policy
from autoslicer.core.reading.changes import change
from autoslicer.core.reading.config_maps import config_map
from autoslicer.core.reading.mignodes import mig_node, resource_slice
from autoslicer.core.reading.nodes import node
from autoslicer.core.reading.pods import pod
from autoslicer.core.reading.policies import policy
from autoslicer.core.rows import (
    ConfigMapRow,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    ResourceSliceRow,
)

Row = NodeRow | PodRow | ConfigMapRow | MigNodeRow | ReconfigurationRow | ResourceSliceRow | Policy

READERS: Mapping[str, Callable[[object], Row]] = {
    "Node": node,
    "Pod": pod,
    "ConfigMap": config_map,
    "MigNode": mig_node,
    "MigReconfiguration": change,
    "MigAutoscalingPolicy": policy,
    "ResourceSlice": resource_slice,
}

__all__ = [
    "READERS",
    "Row",
    "change",
    "config_map",
    "mig_node",
    "node",
    "pod",
    "policy",
    "resource_slice",
]
