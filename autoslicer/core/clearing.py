"""What earlier changes, or earlier lives of the controller, left behind and what of it is cleared away."""

from __future__ import annotations

from collections.abc import Iterator

from autoslicer.core import breaker, canary, fitting, marks, names, refused
from autoslicer.core.actions import DeleteChange, RemoveTaint
from autoslicer.core.fleet import FleetLimits
from autoslicer.core.phases import live, started
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.transition import tainted

KEPT_CHANGES = 5
"""ended changes that stay as the record of a node"""


def stray_taints(snapshot: Snapshot) -> Iterator[RemoveTaint]:
    """Our taints and marks that are of no live change: nobody else would ever take them away."""
    for name, node in sorted(snapshot.nodes.items()):
        change, ours = fitting.live_change(snapshot, name), marks.ours(node)
        orphan = ours is not None and not (change and started(change))
        stray = any(taint.key == names.TAINT for taint in node.taints)
        if orphan or (stray and not (change and tainted(node, change))):
            yield RemoveTaint(name, node.resource_version, ours if orphan else None)


def old_changes(snapshot: Snapshot, limits: FleetLimits) -> Iterator[DeleteChange]:
    """Ended changes beyond the newest few of their node, but for those by which something is remembered."""
    kept = _remembered(snapshot, limits)
    for _, changes in sorted(snapshot.history.items()):
        ended = [change for change in changes if not live(change)]
        for change in ended[:-KEPT_CHANGES]:
            if change.name not in kept:
                yield DeleteChange(change.name, change.uid)


def _remembered(snapshot: Snapshot, limits: FleetLimits) -> frozenset[str]:
    """The proof of each kind of node, the failures that the circuit breaker counts, the layouts refused."""
    proof = {change.name for change in canary.proof(snapshot).values()}
    failed = {change.name for change in breaker.failures(snapshot, limits)}
    newest = {
        (change.kind, tuple(gpu.after for gpu in change.gpus if gpu.changed)): change.name
        for change in sorted(snapshot.changes.values(), key=breaker.ended_at)
        if refused.refused(change)
    }
    return frozenset(proof | failed | set(newest.values()))
