"""The circuit breaker: changes that fail one after the other stop the whole fleet until somebody looks."""

from __future__ import annotations

from itertools import takewhile

from autoslicer.core.pacing.fleet import FleetLimits
from autoslicer.core.phases import Phase, ended_at, phase
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

FAILED = frozenset({Phase.ROLLED_BACK, Phase.QUARANTINED})
"""ends of changes that mig-manager or a node did not carry out; a cancelled one says nothing of them"""


def failures(snapshot: Snapshot, limits: FleetLimits) -> tuple[ReconfigurationRow, ...]:
    """The changes that failed in a row, newest first: since the last that was Done, and since `resumed`.

    Of each node the newest: one that fails again and again says nothing of the others, and is left alone for
    a while each time. None where any number may fail.
    """
    ended = [change for change in snapshot.changes.values() if phase(change) in FAILED | {Phase.DONE}]
    newest = sorted(ended, key=lambda change: (ended_at(change), change.name), reverse=True)
    found: dict[str, ReconfigurationRow] = {}
    for change in takewhile(lambda change: phase(change) in FAILED, newest if limits.failures else ()):
        if ended_at(change) > limits.resumed:
            found.setdefault(change.node, change)
    return tuple(found.values())


def opened(snapshot: Snapshot, limits: FleetLimits) -> str:
    """Why no change may start anywhere, in a sentence; empty where they may."""
    failed = failures(snapshot, limits)
    if not failed or len(failed) < limits.failures:
        return ""
    newest = ", ".join(change.name for change in failed[: limits.failures])
    nodes = f"{len(failed)} node{'' if len(failed) == 1 else 's'}"
    return f"changes of {nodes} have failed in a row ({newest}); once that is mended: autoslicer resume"
