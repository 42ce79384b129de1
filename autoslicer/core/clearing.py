"""What earlier changes, or earlier lives of the controller, left behind and what of it is cleared away."""

from __future__ import annotations

from collections.abc import Iterator

from autoslicer.core import fitting, names
from autoslicer.core.actions import AddTaint, DeleteChange, RemoveTaint
from autoslicer.core.changes import marks
from autoslicer.core.changes.transition import tainted
from autoslicer.core.nodes import evidence, quarantine, refused
from autoslicer.core.pacing import breaker, canary
from autoslicer.core.pacing.fairness import LATELY_SECONDS
from autoslicer.core.pacing.fleet import FleetLimits
from autoslicer.core.pacing.reversal import REVERSAL_SECONDS
from autoslicer.core.phases import ended_at, live, started
from autoslicer.core.policy import Policy, governing
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

KEPT_CHANGES = 5
"""ended changes that stay as the record of a node"""
_HELD = "until-"
"""how the value of our taint begins where its change is gone; the seconds since the epoch follow"""


def stray_taints(snapshot: Snapshot, now: float) -> Iterator[AddTaint | RemoveTaint]:
    """Our taints and marks that are of no live change: nobody else would ever take them away.

    While mig-manager is at work on the node they stay, for pods would lose what they are bound to: at most
    for as long as its policy gives a run, which is written into the taint.
    """
    marked = [row for row in snapshot.nodes.values() if row.taints or names.MARKS in row.annotations]
    for node in sorted(marked, key=lambda row: row.name):
        name = node.name
        change, ours = fitting.live_change(snapshot, name), marks.ours(node)
        under_way = change is not None and started(change)
        orphan = ours is not None and not under_way
        stray = any(taint.key == names.TAINT for taint in node.taints)
        if not orphan and not (stray and not (change and tainted(node, change))):
            continue
        if stray and not under_way and not evidence.resting(node):
            until = _held(node)
            if until is None:
                yield AddTaint(name, node.resource_version, f"{_HELD}{int(now + _allowed(snapshot, node))}")
            if until is None or now < until:
                continue
        yield RemoveTaint(name, node.resource_version, ours if orphan else None)


def held(snapshot: Snapshot) -> Iterator[float]:
    """Until when taints are kept for which there is no change any more (seconds)."""
    tainted_nodes = (node for node in snapshot.nodes.values() if node.taints)
    return (until for node in tainted_nodes if (until := _held(node)) is not None)


def _held(node: NodeRow) -> float | None:
    """Until when our taint says that it is kept (seconds); None where it does not."""
    value = next((taint.value for taint in node.taints if taint.key == names.TAINT), "")
    until = value.removeprefix(_HELD)
    return float(until) if value != until and until.isascii() and until.isdigit() else None


def _allowed(snapshot: Snapshot, node: NodeRow) -> float:
    policy = governing(snapshot.policies, node)
    return (policy.recovery if isinstance(policy, Policy) else Recovery()).pending_deadline


def old_changes(snapshot: Snapshot, limits: FleetLimits, now: float) -> Iterator[DeleteChange]:
    """Ended changes beyond the newest few of their node, but for those by which something is remembered."""
    kept = _remembered(snapshot, limits)
    for _, changes in sorted(snapshot.history.items()):
        ended = [change for change in changes if not live(change)]
        for change in ended[:-KEPT_CHANGES]:
            if change.name not in kept and not _lately(change, now):
                yield DeleteChange(change.name, change.uid)


def _lately(change: ReconfigurationRow, now: float) -> bool:
    """It counts for whose turn it is and for what is not taken back; the fleet's pace bounds how many do."""
    begun = change.status.started is not None
    return begun and ended_at(change) > now - max(LATELY_SECONDS, REVERSAL_SECONDS)


def _remembered(snapshot: Snapshot, limits: FleetLimits) -> frozenset[str]:
    """What is read from ended changes.

    That is the proof of each kind of node, the failures that the circuit breaker counts, those for which a
    node is left alone, and the layouts refused.
    """
    proof = {change.name for change in canary.proof(snapshot).values()}
    failed = {change.name for change in breaker.failures(snapshot, limits)}
    last = (quarantine.last_failure(snapshot, node) for node in snapshot.history)
    failed.update(change.name for change in last if change is not None)
    newest = {
        (change.kind, tuple(gpu.after for gpu in change.gpus if gpu.changed)): change.name
        for change in sorted(snapshot.changes.values(), key=ended_at)
        if refused.refused(change)
    }
    return frozenset(proof | failed | set(newest.values()))
