"""What is done about drift: it is noted and told at once, and repaired where it stays and that is allowed.

mig-manager repairs much by itself when it starts again, so that every drift is given one deadline first, from
the moment that a note on the node keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from autoslicer.core import configs, names
from autoslicer.core.actions import Action, DeletePod, NoteOnNode, Report
from autoslicer.core.causes import Cause
from autoslicer.core.nodes import evidence, idleness, quarantine, refused
from autoslicer.core.nodes.drift import Drift, Way, restartable
from autoslicer.core.plan import Plan, Reshape
from autoslicer.core.planning.reshapes import target_name
from autoslicer.core.planning.sites import Site
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import GpuTarget, NodeRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import noted, rfc3339
from solver.problem import Counts


@dataclass(frozen=True, slots=True)
class Repairs:
    """What one cycle concludes from the drift that it sees.

    Attributes:
        actions: notes, events, and pods that are restarted.
        reshapes: that give nodes the layout that their label asks for.
        wakes: when a drift that stays is to be repaired (seconds since the epoch).
    """

    actions: tuple[Action, ...] = ()
    reshapes: tuple[Reshape, ...] = ()
    wakes: tuple[float, ...] = ()

    def reshapes_beside(self, plan: Plan) -> tuple[Reshape, ...]:
        """The reshapes of nodes that the plan leaves alone."""
        planned = {reshape.node for reshape in plan.reshapes}
        return tuple(reshape for reshape in self.reshapes if reshape.node not in planned)


def drifted(sites: Mapping[str, Site]) -> frozenset[str]:
    """The governed nodes of whose layout different stories are told, whatever can be done about it."""
    return frozenset(name for name, site in sites.items() if site.drift is not None or _refused(site))


def _refused(site: Site) -> bool:
    refusal = None if site.assessment is None else site.assessment.refusal
    return refusal is not None and refusal.reason is Reason.LayoutDrift


def repairs(snapshot: Snapshot, sites: Mapping[str, Site], now: float, *, paused: bool = False) -> Repairs:
    """What is to be done about every node whose stories differ, or differed until now.

    Args:
        snapshot: the cluster.
        sites: its nodes, by name.
        now: seconds since the epoch.
        paused: nothing new may be begun anywhere.
    """
    actions: list[Action] = []
    reshapes: list[Reshape] = []
    wakes: list[float] = []
    for name, site in sites.items():
        if site.drift is None and names.DRIFT not in site.row.annotations:
            continue
        row, policy = site.row, site.policy
        since = noted(row.annotations.get(names.DRIFT, ""))
        if site.drift is None or not isinstance(policy, Policy):
            actions.append(NoteOnNode(name, row.resource_version, names.DRIFT, ""))
            continue
        actions += _told(row, site.drift, since, now)
        due = (now if since is None else since) + policy.recovery.pending_deadline
        if now < due:
            wakes.append(due)
        elif policy.repair_drift and since is not None:
            if not paused and not policy.suspend:
                actions += _restarts(snapshot, row, policy, site.drift, since)
            reshapes += _reshapes(snapshot, row, policy, site.drift, now)
    return Repairs(tuple(actions), tuple(reshapes), tuple(wakes))


def _told(row: NodeRow, found: Drift, since: float | None, now: float) -> Iterator[Action]:
    if since is None:
        yield NoteOnNode(row.name, row.resource_version, names.DRIFT, rfc3339(now))
    yield Report("Node", "", row.name, row.uid, "Warning", Reason.LayoutDrift, found.message)


def _restarts(
    snapshot: Snapshot, row: NodeRow, policy: Policy, found: Drift, since: float
) -> Iterator[DeletePod]:
    if found.way is Way.STALE and policy.recovery.delete_operator_pods:
        for pod in restartable(snapshot, row.name, found, since):
            yield DeletePod(pod.namespace, pod.name, pod.uid)


def _reshapes(
    snapshot: Snapshot, row: NodeRow, policy: Policy, found: Drift, now: float
) -> Iterator[Reshape]:
    if found.way is not Way.LAYOUT or idleness.busy(snapshot, row.name, now) or _vain(snapshot, row, found):
        return
    entries, source = configs.entries_of(found.gpus), evidence.config(row)
    target = target_name(snapshot.config_maps.get(policy.config_map), source, entries)
    yield Reshape(row.name, policy.name, source, target, found.gpus, (), cause=Cause.DRIFT)


def _vain(snapshot: Snapshot, row: NodeRow, found: Drift) -> bool:
    """The driver has refused the layout, or the last repair failed with it: a human has to look."""
    no = refused.of_node(snapshot, row, refused.by_kind(snapshot))
    last = quarantine.last_failure(snapshot, row.name)
    again = last is not None and last.cause is Cause.DRIFT and _after(last.gpus) == _after(found.gpus)
    return again or any(gpu.changed and gpu.after in no for gpu in found.gpus)


def _after(gpus: Iterable[GpuTarget]) -> list[Counts | None]:
    return [gpu.after for gpu in gpus]
