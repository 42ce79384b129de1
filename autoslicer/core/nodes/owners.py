"""Who else has a hand on a node: its MIG layout belongs to another tool, or an autoscaler takes it away."""

from __future__ import annotations

from autoslicer.core import names
from autoslicer.core.nodes import evidence
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow
from autoslicer.core.snapshot import Snapshot


def foreign(snapshot: Snapshot, node: NodeRow) -> Verdict | None:
    """The sign of another owner of the node's MIG layout, or None.

    It counts as long as it is there: a DRA driver's devices and label, marks of HAMi and nos, and a label
    `nvidia.com/mig.config` that is not the one we set.
    """
    drivers = sorted(
        found.driver
        for found in snapshot.resource_slices
        if found.node in ("", node.name) and found.driver.endswith(names.GPU_DRA_DRIVERS)
    )
    message = ""
    if drivers:
        message = f"the DRA driver {drivers[0]} publishes devices of the node"
    elif node.labels.get(names.DRA_PLUGIN) == "true":
        message = f"the node is labelled {names.DRA_PLUGIN}=true: NVIDIA's DRA driver has its GPUs"
    elif found := sorted(key for key in (*node.labels, *node.annotations) if _foreign_mark(key)):
        message = f"the node carries {found[0]}, another owner's mark"
    else:
        message = _relabelled(node)
    return Verdict(node.name, Reason.ForeignOwner, message) if message else None


def leaving(node: NodeRow) -> Verdict | None:
    """The sign that an autoscaler is about to take the node away, or None: it may be gone in the middle."""
    for taint in node.taints:
        if taint.key in names.LEAVING_TAINTS:
            owner = names.LEAVING_TAINTS[taint.key]
            return Verdict(node.name, Reason.NodeLeaving, f"{owner} takes the node away: taint {taint.key}")
    return None


def _foreign_mark(key: str) -> bool:
    return key.startswith(names.FOREIGN_PREFIXES)


def _relabelled(node: NodeRow) -> str:
    ours, label = node.annotations.get(names.APPLIED_CONFIG), evidence.config(node)
    if ours is None or ours == label:
        return ""
    return (
        f"{names.MIG_CONFIG} is {label or 'absent'}, but autoslicer set {ours}: another hand was there. "
        f"To take the node over: autoslicer adopt node/{node.name}"
    )
