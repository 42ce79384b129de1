"""The GPUs of a dumped node, cut as they are, with the pods that hold their instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autoslicer.core import fitting, names
from autoslicer.core.nodes import evidence, idleness, layouts
from autoslicer.core.plan import Verdict
from autoslicer.core.rows import MigGpuRow, MigNodeRow, NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from simulations.gpu import PROCESS, Gpu, Instance
from solver.geometry import Geometry
from solver.problem import Counts


def gpus(snapshot: Snapshot, node: NodeRow, now: float) -> tuple[Gpu, ...] | None:
    """The node's GPUs as the core believes them to be; None where it does not, or not under `mixed`.

    In the middle of a change its own story may not add up: then its agent is believed, else the change.

    Args:
        snapshot: the dump.
        node: one of its nodes.
        now: seconds since the epoch.
    """
    if node.labels.get(names.MIG_STRATEGY) != "mixed" or node.name in snapshot.obscured:
        return None
    agent = idleness.believed(snapshot, node.name, now)
    found = layouts.present(snapshot, node, agent)
    if isinstance(found, Verdict):
        made = _in_change(snapshot, node, agent)
    else:
        made = tuple(_made(node, gpu.index, gpu.geometry, gpu.layout, agent) for gpu in found)
    if made is not None:
        _hand_out(made, agent, snapshot.tenants.get(node.name, ()))
    return made


def _in_change(snapshot: Snapshot, node: NodeRow, agent: MigNodeRow | None) -> tuple[Gpu, ...] | None:
    change = fitting.live_change(snapshot, node.name)
    geometries = layouts.hardware(node, agent)
    if change is None or isinstance(geometries, Verdict) or len(geometries) != len(change.gpus):
        return None
    cut = evidence.config(node) == change.target and evidence.state(node) == "success"
    return tuple(
        _made(node, gpu.index, model, gpu.after if cut else gpu.before, agent)
        for gpu, model in zip(change.gpus, geometries, strict=True)
    )


def _made(node: NodeRow, index: int, model: Geometry, layout: Counts | None, agent: MigNodeRow | None) -> Gpu:
    """The GPU with what its agent sees on it, else with the layout."""
    gpu = Gpu(node.name, index, model)
    if agent is not None:
        gpu.instances = _seen(agent.gpus[index])
        return gpu
    gpu.set_mode(enabled=layout is not None)
    if layout is not None:
        gpu.cut(layout)
    return gpu


def _seen(gpu: MigGpuRow) -> list[Instance] | None:
    if not gpu.mig_enabled:
        return None
    return [Instance(row.profile, row.start, row.size, row.uuid) for row in gpu.instances]


def _hand_out(made: Sequence[Gpu], agent: MigNodeRow | None, tenants: Iterable[PodRow]) -> None:
    """Give instances to the pods that the agent sees on them, and free ones to those that lack some."""
    bound = sorted((pod for pod in tenants if pod.node), key=lambda pod: (pod.bound_at or 0.0, pod.key))
    lacking = {pod.key: fitting.slices(pod.requests) for pod in bound}
    for gpu, row in zip(made, () if agent is None else agent.gpus, strict=False):
        for instance, seen in zip(gpu.instances or (), row.instances, strict=False):
            holder = next((key for key in seen.pods if lacking.get(key, {}).get(instance.profile)), "")
            if holder:
                lacking[holder][instance.profile] -= 1
                instance.holder = holder
            elif seen.processes and not seen.pods:
                instance.holder = PROCESS
    free = [instance for gpu in made for instance in gpu.instances or () if not instance.holder]
    for pod in bound:
        for instance in free:
            if not instance.holder and lacking[pod.key].get(instance.profile):
                lacking[pod.key][instance.profile] -= 1
                instance.holder = pod.key
