"""The first change of a kind of node goes alone: what breaks one of them may break them all."""

from __future__ import annotations

from autoslicer.core.phases import Phase, phase, reached, started
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot


def proof(snapshot: Snapshot) -> dict[str, ReconfigurationRow]:
    """By kind, the newest change that is Done: the layout was applied and the slices were proven."""
    found: dict[str, ReconfigurationRow] = {}
    for change in sorted(snapshot.changes.values(), key=_ended):
        if change.kind and phase(change) is Phase.DONE:
            found[change.kind] = change
    return found


def under_way(snapshot: Snapshot) -> dict[str, str]:
    """By kind, the name of a change that has started and not ended."""
    return {change.kind: change.name for change in snapshot.changes.values() if started(change)}


def _ended(change: ReconfigurationRow) -> tuple[float, str]:
    return reached(change, Phase.DONE) or 0.0, change.name
