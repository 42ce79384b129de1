"""The cluster as it will be once certain pods have left their nodes."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from autoslicer.core.rows import InstanceRow, MigGpuRow
from autoslicer.core.snapshot import Snapshot


def without(snapshot: Snapshot, nodes: Iterable[str], pods: Set[str], listed: Set[str]) -> Snapshot:
    """The snapshot once the pods have left.

    A process stays on an instance that other pods are on as well, or that lists none.

    Args:
        snapshot: the cluster.
        nodes: whose agents will have seen it.
        pods: that leave, by key.
        listed: those that the agents will list no more, by key.
    """
    mignodes = dict(snapshot.mignodes)
    for name in nodes:
        if (agent := mignodes.get(name)) is not None:
            mignodes[name] = replace(agent, gpus=tuple(_left(gpu, listed) for gpu in agent.gpus))
    rest = {key: pod for key, pod in snapshot.pods.items() if key not in pods}
    return replace(snapshot, pods=rest, mignodes=mignodes)


def _left(gpu: MigGpuRow, pods: Set[str]) -> MigGpuRow:
    return replace(gpu, instances=tuple(_emptied(instance, pods) for instance in gpu.instances))


def _emptied(instance: InstanceRow, pods: Set[str]) -> InstanceRow:
    rest = tuple(key for key in instance.pods if key not in pods)
    if rest == instance.pods:
        return instance
    return replace(instance, pods=rest, processes=instance.processes if rest else 0)
