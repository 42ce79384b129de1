"""Which nodes are left alone after a change that failed, and until when."""

from __future__ import annotations

from autoslicer.core.phases import Phase, phase, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339

_FAILED = (Phase.QUARANTINED, Phase.ROLLED_BACK)


def last_failure(snapshot: Snapshot, node: str, *, ignore_change: str = "") -> ReconfigurationRow | None:
    """The node's newest change, where it ended Quarantined or RolledBack; else None.

    One that was cancelled before its label says nothing of the node.
    """
    changes = snapshot.history.get(node, ())
    said = (change for change in reversed(changes) if change.name != ignore_change and not _idle(change))
    newest = next(said, None)
    return newest if newest is not None and phase(newest) in _FAILED else None


def _idle(change: ReconfigurationRow) -> bool:
    """It ended before the node was touched."""
    return phase(change) is Phase.CANCELLED and reached(change, Phase.LABELLED) is None


def until(change: ReconfigurationRow) -> float:
    """Until when a change that failed keeps its node from being changed again (seconds)."""
    if change.status.quarantined_until is not None:
        return change.status.quarantined_until
    return (reached(change, phase(change)) or change.created) + change.recovery.quarantine


def quarantined_until(snapshot: Snapshot, node: str, now: float) -> float | None:
    """Until when the node is quarantined (seconds); None where it is not."""
    last = last_failure(snapshot, node)
    return None if last is None or now >= until(last) else until(last)


def refusal(snapshot: Snapshot, node: str, now: float, *, ignore_change: str = "") -> Verdict | None:
    """Why the node may not change yet; None where it is not quarantined."""
    last = last_failure(snapshot, node, ignore_change=ignore_change)
    if last is None or now >= until(last):
        return None
    message = (
        f"its last change {last.name} failed; it is left alone until {rfc3339(until(last))}. "
        f"To end that: kubectl delete migreconfiguration {last.name}"
    )
    return Verdict(node, Reason.Quarantined, message)
