"""Which running pods may be evicted, and which GPUs they alone keep from being changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from autoslicer.core import names
from autoslicer.core.demand import SCHEDULERS
from autoslicer.core.nodes import gpu_operator, idleness
from autoslicer.core.policy import Eviction, Policy
from autoslicer.core.rows import MigGpuRow, MigNodeRow, NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Gpu, counts

_REPLACES = frozenset({"ReplicaSet", "ReplicationController", "StatefulSet", "Job"})
"""controllers that make an evicted pod again, as Cluster Autoscaler's drainability rules have them"""


def kept(snapshot: Snapshot, pod: PodRow) -> str:
    """Why the pod must not be evicted; empty where it may."""
    if pod.daemon:
        return "belongs to a DaemonSet"
    if pod.controller in ("", "Node"):
        return "has no controller that would replace it"
    if pod.controller not in _REPLACES:
        return f"belongs to a {pod.controller}, of which nobody knows whether it replaces a pod"
    if pod.ignored or pod.undisturbed:
        return "is annotated not to be disturbed"
    if pod.scheduler not in SCHEDULERS:
        return f"is left to the scheduler {pod.scheduler}, so that nobody knows where it would run"
    if any(t.operator == "Exists" and t.key in ("", names.TAINT) for t in pod.tolerations):
        return "tolerates our taint, so that its replacement could come back at once"
    if gpu_operator.is_operators(snapshot, pod):
        return "is the GPU Operator's own"
    return ""


def with_tenants(
    snapshot: Snapshot, node: NodeRow, policy: Policy, gpus: tuple[Gpu, ...], now: float
) -> tuple[Gpu, ...]:
    """The GPUs, with the tenants of those that pods in use keep from being changed and all of them may go.

    Nobody is a tenant where the policy forbids evictions, and where no agent tells who uses which GPU.
    """
    agent = idleness.believed(snapshot, node.name, now)
    if policy.eviction is Eviction.NEVER or agent is None or idleness.in_use(snapshot, node.name, now).node:
        return gpus
    rows = {row.index: row for row in agent.gpus}
    return tuple(
        gpu if gpu.changeable or gpu.layout is None else _inhabited(snapshot, agent, rows[gpu.index], gpu)
        for gpu in gpus
    )


def _inhabited(snapshot: Snapshot, agent: MigNodeRow, row: MigGpuRow, gpu: Gpu) -> Gpu:
    tenants = {key for instance in row.instances for key in instance.pods}
    strangers = any(instance.processes and not instance.pods for instance in row.instances)
    if strangers or not tenants or not all(_may_go(snapshot, agent.name, key) for key in tenants):
        return gpu
    idle = Counter(instance.profile for instance in row.instances if not instance.pods)
    return replace(gpu, tenants=frozenset(tenants), idle=counts(idle))


def _may_go(snapshot: Snapshot, node: str, key: str) -> bool:
    pod = snapshot.pods.get(key)
    if pod is None or pod.node != node or pod.finished or pod.terminating:
        return False
    return not kept(snapshot, pod)
