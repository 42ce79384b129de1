"""What a node is reserved for: the pods whose end is awaited, and the cluster once they have ended."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from autoslicer.core import leaving
from autoslicer.core.nodes import emptying, idleness
from autoslicer.core.phases import Phase, phase
from autoslicer.core.rows import InstanceRow, MigGpuRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

_UNTIL_IDLE = frozenset({Phase.WAITING, Phase.VALIDATED, Phase.TAINTED})


def waits(change: ReconfigurationRow) -> bool:
    """Pods may still be on the GPUs that the change is for; from Drained on none may, as for every change."""
    return change.reserve and change.status.attempt == 1 and phase(change) in _UNTIL_IDLE


def awaited(snapshot: Snapshot, node: str, gpus: Set[int], now: float) -> frozenset[str]:
    """The pods, by key, that may hold one of these GPUs of the node, and that come to an end by themselves.

    Where no agent tells which GPUs a pod holds, it may hold any.
    """
    agent = idleness.believed(snapshot, node, now)
    found = set()
    for pod in snapshot.tenants.get(node, ()):
        if emptying.ends(pod):
            held = None if agent is None else idleness.placed(pod, agent)
            if held is None or held & gpus:
                found.add(pod.key)
    return frozenset(found)


def idle(snapshot: Snapshot, node: str, gpus: Set[int], now: float) -> Snapshot:
    """The cluster once the awaited pods have ended, and the node's agent has seen that and earlier ends."""
    pods = awaited(snapshot, node, gpus, now)
    agent = snapshot.mignodes.get(node)
    rows = () if agent is None else agent.gpus
    listed = {key for gpu in rows for instance in gpu.instances for key in instance.pods}
    there = {pod.key for pod in snapshot.tenants.get(node, ())}
    return leaving.without(snapshot, [node], pods, pods | (listed - there))


def foreseen(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> Snapshot:
    """The cluster as the change will find it: with idle GPUs, where it waits for that."""
    if not waits(change):
        return snapshot
    gpus = frozenset(gpu.index for gpu in change.gpus if gpu.changed)
    found = idle(snapshot, change.node, gpus, now)
    agent = found.mignodes.get(change.node)
    if agent is None:
        return found
    rows = tuple(_left(row) if row.index in gpus else row for row in agent.gpus)
    return replace(found, mignodes={**found.mignodes, change.node: replace(agent, gpus=rows)})


def _left(row: MigGpuRow) -> MigGpuRow:
    """The GPU without processes of nobody: those of a pod outlast its listing for a moment."""
    instances = tuple(map(_without_processes, row.instances))
    return row if instances == row.instances else replace(row, instances=instances)


def _without_processes(found: InstanceRow) -> InstanceRow:
    return replace(found, processes=0) if found.processes and not found.pods else found
