"""Where a change stands: its phases, in order, when it reached which, and its conditions."""

from __future__ import annotations

from enum import StrEnum

from autoslicer.core.rows import ChangeStatus, Condition, ReconfigurationRow


class Phase(StrEnum):
    """Where a MigReconfiguration stands: each phase names what has been reached."""

    WAITING = "Waiting"
    VALIDATED = "Validated"
    TAINTED = "Tainted"
    DRAINED = "Drained"
    PUBLISHED = "Published"
    LABELLED = "Labelled"
    APPLIED = "Applied"
    VERIFIED = "Verified"
    DONE = "Done"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    QUARANTINED = "Quarantined"
    CANCELLED = "Cancelled"


_BY_NAME = {"": Phase.WAITING, **{phase.value: phase for phase in Phase}}
SUCCEEDED = "Succeeded"
"""condition: whether the change came to its end, and why it did not"""
FINAL = frozenset({Phase.DONE, Phase.ROLLED_BACK, Phase.QUARANTINED, Phase.CANCELLED})
BEFORE_LABEL = frozenset({Phase.WAITING, Phase.VALIDATED, Phase.TAINTED, Phase.DRAINED, Phase.PUBLISHED})
"""Phases in which the change can be undone by lifting the taint."""


def phase(change: ReconfigurationRow) -> Phase:
    """The phase of a change; an object without status is Waiting.

    Raises:
        ValueError: the phase is none of ours.
    """
    found = _BY_NAME.get(change.status.phase)
    return Phase(change.status.phase) if found is None else found


def live(change: ReconfigurationRow) -> bool:
    """It has not ended yet."""
    return phase(change) not in FINAL


def started(change: ReconfigurationRow) -> bool:
    """It is live and past Waiting: its node is, or is about to be, out of service."""
    return live(change) and phase(change) is not Phase.WAITING


def reached(change: ReconfigurationRow, wanted: Phase) -> float | None:
    """When the phase was reached (seconds), or None."""
    return next((step.at for step in reversed(change.status.steps) if step.phase == wanted), None)


def number(name: str, node: str) -> int | None:
    """The n of a change called `<node>-<n>`; None where the name is no such name."""
    head, _, tail = name.rpartition("-")
    return int(tail) if head == node and tail.isascii() and tail.isdigit() else None


def ended_at(change: ReconfigurationRow) -> float:
    """When a change that has ended did so (seconds since the epoch)."""
    return change.status.steps[-1].at if change.status.steps else 0.0


def condition(status: ChangeStatus, kind: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((found for found in status.conditions if found.type == kind), None)
