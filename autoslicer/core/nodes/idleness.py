"""Which GPUs of a node are in use: what is not known to be idle is in use."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoslicer.core.fitting import slices
from autoslicer.core.nodes import gpu_operator
from autoslicer.core.rows import MigNodeRow, PodRow
from autoslicer.core.snapshot import Snapshot

STALE_SECONDS = 900.0
"""what an agent saw longer ago says nothing about pods that run now"""
_RESOLUTION = 1.0
"""Kubernetes writes the time of binding in whole seconds, rounded down"""


@dataclass(frozen=True, slots=True)
class InUse:
    """What is in use on a node, in sentences.

    Attributes:
        node: why every GPU counts as in use; empty where that is not so.
        gpus: by GPU index, why that one is in use.
    """

    node: str = ""
    gpus: Mapping[int, str] = field(default_factory=dict)

    def of(self, index: int) -> str:
        """Why the GPU is in use; empty where it is idle."""
        return self.node or self.gpus.get(index, "")


def asks_gpu(pod: PodRow) -> bool:
    """The pod asks for an NVIDIA device of any kind."""
    return any(resource.startswith("nvidia.com/") for resource in pod.requests)


def believed(snapshot: Snapshot, node: str, now: float) -> MigNodeRow | None:
    """What the node's agent saw; None where it saw nothing, or too long ago for pods that hold GPUs now."""
    mignode = snapshot.mignodes.get(node)
    if mignode is None or not mignode.gpus:
        return None
    if stale(mignode, now) and any(asks_gpu(pod) for pod in snapshot.tenants.get(node, ())):
        return None
    return mignode


def stale(mignode: MigNodeRow, now: float) -> bool:
    """The agent looked too long ago to tell of pods that run now."""
    return now - mignode.observed > STALE_SECONDS


def missed(snapshot: Snapshot, mignode: MigNodeRow) -> tuple[str, ...]:
    """The pods on the node, by key, that came after its agent looked."""
    return tuple(pod.key for pod in snapshot.tenants.get(mignode.name, ()) if _came(pod) > mignode.observed)


def newest(tenants: Iterable[PodRow]) -> float:
    """When the last of these pods came to their node, in seconds since the epoch; long ago where none is."""
    return max(map(_came, tenants), default=-math.inf)


def _came(pod: PodRow) -> float:
    """When the pod had come to its node at the latest, in seconds since the epoch."""
    return (pod.bound_at if pod.bound_at is not None else pod.created) + _RESOLUTION


def in_use(snapshot: Snapshot, node: str, now: float) -> InUse:
    """What is in use on a node: bound pods that have not ended, and what the agent saw.

    Without an agent nobody knows which GPU a pod uses, so that one pod makes the whole node in use. With an
    agent, pods that it lists on no instance, or that came after it looked, do the same, and so do pods that
    the scheduler keeps a place for and pods that may use GPUs without asking.
    """
    if node in snapshot.obscured:
        return InUse(f"an object that names the node cannot be read: {snapshot.obscured[node]}")
    mignode = believed(snapshot, node, now)
    for pod in sorted(snapshot.tenants.get(node, ()), key=lambda pod: pod.key):
        why = holds_node(snapshot, pod, mignode)
        if why:
            return InUse(f"pod {pod.key} {why}")
    if mignode is None:
        return InUse()
    gpus: dict[int, str] = {}
    for gpu in mignode.gpus:
        for instance in gpu.instances:
            if instance.pods:
                gpus.setdefault(gpu.index, f"pod {min(instance.pods)} holds an instance of GPU {gpu.index}")
            elif instance.processes:
                gpus.setdefault(gpu.index, f"a process may run on GPU {gpu.index}")
    return InUse(gpus=gpus)


def busy(snapshot: Snapshot, node: str, now: float) -> str:
    """Why not all of the node is idle; empty where it is, and no pod there has even asked for GPUs."""
    used = in_use(snapshot, node, now)
    holders = sorted(pod.key for pod in snapshot.tenants.get(node, ()) if asks_gpu(pod))
    held = f"pod {holders[0]} holds GPUs of the node" if holders else ""
    return used.node or next((used.gpus[index] for index in sorted(used.gpus)), "") or held


def holds_node(snapshot: Snapshot, pod: PodRow, mignode: MigNodeRow | None) -> str:
    """Why this pod makes every GPU of its node count as in use; empty where it does not."""
    if not asks_gpu(pod):
        hidden = pod.hidden_gpu_use and not gpu_operator.is_operators(snapshot, pod)
        return "may use GPUs without asking for them" if hidden else ""
    if not pod.node:
        return "is nominated to the node by the scheduler"
    if mignode is None:
        return "uses GPUs of the node, and no agent tells which"
    if _came(pod) > mignode.observed:
        return "was bound after the agent looked"
    return "" if _listed(pod, mignode) else "is on no instance that the agent lists"


def placed(pod: PodRow, mignode: MigNodeRow) -> frozenset[int] | None:
    """The GPUs, by index, on which the agent lists the pod; None where it does not know all that it holds."""
    if _came(pod) > mignode.observed or not _listed(pod, mignode):
        return None
    return frozenset(g.index for g in mignode.gpus if any(pod.key in i.pods for i in g.instances))


def _listed(pod: PodRow, mignode: MigNodeRow) -> bool:
    """The agent lists the pod on all the instances it asks for, and it asks for no other device."""
    held = Counter(i.profile for gpu in mignode.gpus for i in gpu.instances if pod.key in i.pods)
    asked = slices(pod.requests)
    devices = [resource for resource in pod.requests if resource.startswith("nvidia.com/")]
    return len(devices) == len(asked) and all(held[profile] >= count for profile, count in asked.items())
