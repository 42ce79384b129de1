"""The moves between the phases of a change: entering one, ending it, with conditions and events."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core import names
from autoslicer.core.actions import Action, RemoveTaint, Report
from autoslicer.core.changes import marks
from autoslicer.core.phases import SUCCEEDED, Phase, condition, number
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ChangeStatus, Condition, NodeRow, ReconfigurationRow, Step

QUARANTINED = "Quarantined"
"""condition: the node is left alone until `quarantinedUntil`"""
DRAIN_SECONDS = 120.0
"""deadline of Drained, on top of the time between two sightings: nothing is evicted and waited for"""
PUBLISH_SECONDS = 120.0
"""deadline of Published, on top of the settle time"""
Result = tuple[ChangeStatus, tuple[Action, ...]]
"""the next status, and the actions in order"""


def taint_value(change: ReconfigurationRow) -> str:
    """The value of our taint for this change: its number on the node."""
    return str(number(change.name, change.node) or change.name)


def tainted(node: NodeRow, change: ReconfigurationRow) -> bool:
    """The node carries the taint of exactly this change."""
    return any(taint.key == names.TAINT and taint.value == taint_value(change) for taint in node.taints)


def lift(node: NodeRow | None) -> tuple[Action, ...]:
    """The removal of our taint, where the node has one."""
    if node is None or all(taint.key != names.TAINT for taint in node.taints):
        return ()
    return (RemoveTaint(node.name, node.resource_version),)


def release(node: NodeRow | None) -> tuple[Action, ...]:
    """The removal of our taint and of our marks for autoscalers, where the node has any of them."""
    if node is None or (ours := marks.ours(node)) is None:
        return lift(node)
    return (RemoveTaint(node.name, node.resource_version, ours),)


def deadline(change: ReconfigurationRow) -> float:
    """When the present step must have ended (seconds); long ago where a step has none, so that it ends."""
    return change.status.deadline if change.status.deadline is not None else 0.0


def enter(
    change: ReconfigurationRow, entered: Phase, now: float, allowed: float, message: str
) -> ChangeStatus:
    """The status on entering a phase; the next one must be reached within `allowed` seconds."""
    status = change.status
    return replace(
        with_condition(status, SUCCEEDED, "Unknown", Reason.ChangeInProgress, message, now),
        phase=entered,
        started=status.started if status.started is not None else now,
        deadline=now + allowed,
        steps=(*status.steps, Step(entered, now, message)),
    )


def end(
    change: ReconfigurationRow,
    node: NodeRow | None,
    now: float,
    final: Phase,
    verdict: Verdict,
    *,
    good: bool = False,
) -> Result:
    """The final status, the node free of our taint and marks, and one event on the change.

    After a change that failed the node is left alone for as long as its policy said.
    """
    ended = with_condition(
        change.status, SUCCEEDED, "True" if good else "False", verdict.reason, verdict.message, now
    )
    if final is Phase.QUARANTINED:
        ended = with_condition(ended, QUARANTINED, "True", verdict.reason, verdict.message, now)
    left_alone = final in (Phase.QUARANTINED, Phase.ROLLED_BACK)
    ended = replace(
        ended,
        phase=final,
        deadline=None,
        steps=(*ended.steps, Step(final, now, verdict.message)),
        quarantined_until=now + change.recovery.quarantine if left_alone else None,
    )
    return ended, (*release(node), event(change, "Normal" if good else "Warning", verdict))


def event(change: ReconfigurationRow, kind: str, verdict: Verdict) -> Report:
    """An event on the change."""
    return Report("MigReconfiguration", "", change.name, change.uid, kind, verdict.reason, verdict.message)


def with_condition(
    status: ChangeStatus, kind: str, value: str, reason: str, message: str, now: float
) -> ChangeStatus:
    """The status with this condition; its transition time moves only when its status does."""
    old = condition(status, kind)
    since = old.since if old is not None and old.status == value else now
    new = Condition(kind, value, reason, message, since)
    if old == new:
        return status
    return replace(status, conditions=(*(other for other in status.conditions if other.type != kind), new))


def without(status: ChangeStatus, *kinds: str) -> ChangeStatus:
    """The status without the conditions of these types."""
    return replace(status, conditions=tuple(found for found in status.conditions if found.type not in kinds))
