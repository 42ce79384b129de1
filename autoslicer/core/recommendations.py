"""Recommendations: changes that wait for a human, and are held against every newer plan until they start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from autoslicer.core.nodes import kinds
from autoslicer.core.pacing.fleet import FleetLimits
from autoslicer.core.phases import Phase, phase
from autoslicer.core.plan import Reshape, Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

ENDED_BY = frozenset({Reason.Superseded, Reason.Expired})
"""verdicts on a recommendation that end it; with others it goes on waiting"""


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of the recommendations under a new plan.

    Attributes:
        verdicts: on each, by name.
        standing: by the node of a reshape, the recommendation that already stands for it.
        nodes: that have a recommendation, whatever becomes of it.
        wake: when the next one expires (seconds since the epoch); None where none will.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    standing: Mapping[str, str] = field(default_factory=dict)
    nodes: frozenset[str] = frozenset()
    wake: float | None = None


def awaited(snapshot: Snapshot) -> tuple[ReconfigurationRow, ...]:
    """The changes that nobody has approved yet, oldest first."""
    found = (
        change
        for change in snapshot.changes.values()
        if not change.approved and phase(change) is Phase.WAITING
    )
    return tuple(sorted(found, key=lambda change: (change.created, change.name)))


def set_aside(snapshot: Snapshot) -> Snapshot:
    """The cluster as if nothing had been recommended: nobody knows whether it will ever be done."""
    names = {change.name for change in awaited(snapshot)}
    if not names:
        return snapshot
    return replace(
        snapshot, changes={name: row for name, row in snapshot.changes.items() if name not in names}
    )


def judge(snapshot: Snapshot, reshapes: Iterable[Reshape], now: float, limits: FleetLimits) -> Judged:
    """Hold every recommendation against what would be done now if there were none.

    One that would be made again waits on. So does one whose like would be made for another node: which of two
    equal nodes a plan takes means nothing. The others are no longer the best, and are superseded.
    """
    waiting = awaited(snapshot)
    expiry = {change.name: change.created + limits.recommendation_seconds for change in waiting}
    verdicts = {
        change.name: verdict
        for change in waiting
        if (verdict := _overdue(snapshot, change, now, expiry[change.name])) is not None
    }
    current = [change for change in waiting if change.name not in verdicts]
    standing = _matched(current, reshapes)
    for change in current:
        if change.name in standing.values():
            verdicts[change.name] = approval_awaited(change.name, change.node)
        else:
            message = "a newer plan serves the pods that wait better without it"
            verdicts[change.name] = Verdict(change.node, Reason.Superseded, message)
    nodes = frozenset(change.node for change in waiting)
    return Judged(verdicts, standing, nodes, min((at for at in expiry.values() if at > now), default=None))


def approval_awaited(name: str, object_name: str) -> Verdict:
    """That a pod or node waits for the approval of a change."""
    return Verdict(object_name, Reason.AwaitingApproval, f"approve it with: autoslicer approve {name}")


def _overdue(snapshot: Snapshot, change: ReconfigurationRow, now: float, expires: float) -> Verdict | None:
    """Why a recommendation is out of date whatever the plan says."""
    if now >= expires:
        return Verdict(change.node, Reason.Expired, "nobody approved it in time; it is planned for anew")
    node = snapshot.nodes.get(change.node)
    if node is None or kinds.agree(change.kind, kind := kinds.kind(snapshot, node)):
        return None
    message = f"it was planned for {change.kind}; the node is {kind} now"
    return Verdict(change.node, Reason.Superseded, message)


def _matched(waiting: list[ReconfigurationRow], reshapes: Iterable[Reshape]) -> dict[str, str]:
    """By the node of a reshape, the recommendation of the same; its own node's where there is one."""
    wanted = {reshape.node: _content(reshape) for reshape in reshapes}
    found = {c.node: c.name for c in waiting if wanted.get(c.node) == _content(c)}
    left = [node for node in wanted if node not in found]
    for change in waiting:
        if change.name in found.values():
            continue
        twin = next((node for node in left if wanted[node] == _content(change)), None)
        if twin is not None:
            found[twin] = change.name
            left.remove(twin)
    return found


def _content(change: ReconfigurationRow | Reshape) -> tuple[object, ...]:
    """What is done, whichever node it is done to."""
    evicted = change.evictions if isinstance(change, Reshape) else change.evicts
    return change.policy, change.cause, change.gpus, frozenset(evicted), change.reserve
