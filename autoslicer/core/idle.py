"""Nodes that nobody has used for long get a layout of the policy's choice, where no other is needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from autoslicer.core import configs, names, wanting
from autoslicer.core.actions import Action, NoteOnNode, Report
from autoslicer.core.causes import Cause
from autoslicer.core.nodes import drift, evidence, gpu_operator, idleness, layouts
from autoslicer.core.plan import Reshape
from autoslicer.core.planning.reshapes import target_name
from autoslicer.core.planning.sites import Site
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import GpuTarget
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import noted, rfc3339
from solver.geometry import Geometry


@dataclass(frozen=True, slots=True)
class GiveBack:
    """What one cycle concludes about idle nodes.

    Attributes:
        actions: notes of since when nodes are idle, and what is wrong with a policy's `idle.config`.
        reshapes: that give nodes their idle layout.
        wakes: when a node will have been idle long enough (seconds since the epoch).
    """

    actions: tuple[Action, ...] = ()
    reshapes: tuple[Reshape, ...] = ()
    wakes: tuple[float, ...] = ()


def give_back(snapshot: Snapshot, sites: Mapping[str, Site], needed: Collection[str], now: float) -> GiveBack:
    """What is to be done about every node that is idle, or was until now.

    A node is idle from the first cycle that finds it so: what was before that is not known, and does not
    count. The note on the node keeps that moment, and goes when the node is used or changed.

    Args:
        snapshot: the cluster.
        sites: its nodes, by name.
        needed: the nodes that the plan uses as they are, or cuts for somebody.
        now: seconds since the epoch.
    """
    meant = _Meanings(snapshot)
    actions: list[Action] = []
    reshapes: list[Reshape] = []
    wakes: list[float] = []
    waiting: wanting.Waiting | None = None
    for name, site in sites.items():
        row, policy = site.row, _asking(site)
        gpus = () if policy is None else _changes(snapshot, site, policy, meant, now)
        if policy is None or not gpus:
            if names.IDLE_SINCE in row.annotations:
                actions.append(NoteOnNode(name, row.resource_version, names.IDLE_SINCE, ""))
            continue
        since = noted(row.annotations.get(names.IDLE_SINCE, ""))
        if since is None:
            actions.append(NoteOnNode(name, row.resource_version, names.IDLE_SINCE, rfc3339(now)))
        due = (now if since is None else since) + policy.idle.after_seconds
        if now < due:
            wakes.append(due)
        elif since is not None and name not in needed:
            waiting = waiting or wanting.waiting(snapshot)
            if wanting.wanting(snapshot, row, waiting) is None:
                reshapes.append(_reshape(snapshot, site, policy, gpus))
    return GiveBack((*actions, *_unknown(sites, meant)), tuple(reshapes), tuple(wakes))


def _asking(site: Site) -> Policy | None:
    """The node's policy, where it wants something of idle nodes."""
    return site.policy if isinstance(site.policy, Policy) and site.policy.idle.after_seconds else None


class _Meanings:
    """What a policy's idle config means for a node; worked out once for nodes that are alike."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[tuple[object, ...], drift.Layouts | None] = {}

    def of(self, site: Site, policy: Policy) -> drift.Layouts | None:
        """The layout of each GPU; None where that is not known, or may not change."""
        gpus = 0 if site.assessment is None else len(site.assessment.gpus)
        product = site.row.labels.get(names.GPU_PRODUCT, "")
        manager = gpu_operator.mig_manager(self._snapshot, site.row.name)
        reads = None if manager is None else (manager.namespace, manager.config_map)
        key = (policy.idle.config, product, gpus, reads)
        if key not in self._known:
            found = layouts.meanings(self._snapshot, site.row, policy.idle.config, gpus) if gpus else set()
            self._known[key] = found.pop() if len(found) == 1 else None
        return self._known[key]


def _changes(
    snapshot: Snapshot, site: Site, policy: Policy, meant: _Meanings, now: float
) -> tuple[GpuTarget, ...]:
    """Every GPU of a node that is to get its idle layout; none where it has that or may not get it now."""
    assessment = site.assessment
    if assessment is None or assessment.refusal is not None or site.drift is not None:
        return ()
    wanted = meant.of(site, policy)
    if wanted is None or all(gpu.layout == after for gpu, after in zip(assessment.gpus, wanted, strict=True)):
        return ()
    if idleness.busy(snapshot, site.row.name, now):
        return ()
    gpus = tuple(
        GpuTarget(gpu.index, gpu.layout, after, gpu.layout != after)
        for gpu, after in zip(assessment.gpus, wanted, strict=True)
    )
    alike = {
        (id(have.geometry), gpu.before is None, gpu.after): (gpu, have.geometry)
        for gpu, have in zip(gpus, assessment.gpus, strict=True)
        if gpu.changed
    }
    possible = all(_possible(gpu, geometry) for gpu, geometry in alike.values())
    return gpus if possible and not policy.denied(gpus) else ()


def _reshape(snapshot: Snapshot, site: Site, policy: Policy, gpus: tuple[GpuTarget, ...]) -> Reshape:
    source, entries = evidence.config(site.row), configs.entries_of(gpus)
    target = target_name(snapshot.config_maps.get(policy.config_map), source, entries)
    return Reshape(site.row.name, policy.name, source, target, gpus, (), cause=Cause.IDLE)


def _possible(gpu: GpuTarget, geometry: Geometry) -> bool:
    """MIG mode stays as it is, and the layout has a place on the GPU."""
    return gpu.before is not None and gpu.after is not None and geometry.legal(gpu.after)


def _unknown(sites: Mapping[str, Site], meant: _Meanings) -> Iterator[Report]:
    """A policy whose idle config some node of it does not know, with the first such node."""
    told: set[str] = set()
    for name, site in sites.items():
        policy, assessment = _asking(site), site.assessment
        if policy is None or policy.name in told:
            continue
        if assessment is None or not assessment.gpus or meant.of(site, policy) is not None:
            continue
        told.add(policy.name)
        message = f"spec.idle.config {policy.idle.config} says nothing of the GPUs of node {name}"
        yield Report(
            "MigAutoscalingPolicy", "", policy.name, policy.uid, "Warning", Reason.LayoutUnknown, message
        )
