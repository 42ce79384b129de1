"""GPUs in use that become idle by themselves, and whose end that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from autoslicer.core.nodes import idleness
from autoslicer.core.rows import MigGpuRow, PodRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Gpu


@dataclass(frozen=True, slots=True)
class Way:
    """GPUs of a node that become idle together.

    Attributes:
        pods: whose end is awaited, by key.
        gpus: that they hold or may hold, by index.
        idle: those, and all that nothing is on.
        slices: what these are cut into, by profile.
    """

    pods: frozenset[str]
    gpus: frozenset[int]
    idle: frozenset[int]
    slices: Mapping[str, int] = field(hash=False)


def ends(pod: PodRow) -> bool:
    """The pod runs, may hold a GPU, and comes to an end by itself.

    Of one whose containers are started again whenever they end nobody knows that it ever leaves.
    """
    return bool(pod.node) and pod.ends and idleness.asks_gpu(pod)


def ways(snapshot: Snapshot, node: str, gpus: Collection[Gpu], now: float) -> tuple[Way, ...]:
    """The GPUs that the fewest pods hold, alone or with others; where no agent tells, all of them at once.

    None where something that never ends may hold any of them.

    Args:
        snapshot: the cluster.
        node: its name.
        gpus: all GPUs of the node; those whose MIG mode is off are none of the idle ones.
        now: seconds since the epoch.
    """
    tenants = snapshot.tenants.get(node, ())
    ending = {pod.key: pod for pod in tenants if ends(pod)}
    if not ending or node in snapshot.obscured:
        return ()
    agent = idleness.believed(snapshot, node, now)
    if any(pod.key not in ending and idleness.holds_node(snapshot, pod, agent) for pod in tenants):
        return ()
    layouts = {gpu.index: dict(gpu.layout) for gpu in gpus if gpu.layout is not None}
    if agent is None:
        return (_way(frozenset(ending), frozenset(layouts), frozenset(layouts), layouts),)
    there = {pod.key for pod in tenants}
    on = {row.index: _on(row, there) for row in agent.gpus if row.index in layouts and not _strange(row)}
    anywhere = frozenset(key for key, pod in ending.items() if idleness.placed(pod, agent) is None)
    empty = frozenset(index for index, pods in on.items() if not pods)
    held = sorted(
        (i for i, pods in on.items() if pods and pods <= ending.keys()), key=lambda i: (len(on[i]), i)
    )
    # those that have just come may be on any GPU that seems to be empty
    found = [_way(anywhere, empty, empty, layouts)] if anywhere and empty else []
    for number in range(1, len(held) + 1):
        first = frozenset(held[:number])
        pods = anywhere.union(*(on[index] for index in first))
        found.append(_way(pods, first, first | empty, layouts))
    return tuple(found)


def _on(row: MigGpuRow, there: Collection[str]) -> set[str]:
    """The pods on the GPU; the agent may still list some that have ended."""
    return {key for instance in row.instances for key in instance.pods if key in there}


def _strange(row: MigGpuRow) -> bool:
    """A process may run there of which nobody knows when it ends."""
    return any(instance.processes and not instance.pods for instance in row.instances)


def _way(
    pods: frozenset[str], gpus: frozenset[int], idle: frozenset[int], layouts: Mapping[int, Mapping[str, int]]
) -> Way:
    slices = Counter[str]()
    for index in idle:
        slices.update(layouts[index])
    return Way(pods, gpus, idle, dict(sorted(slices.items())))
