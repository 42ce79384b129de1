"""A further attempt at a layout: when there is one, what it waits for, and what breaks it off."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core import eligibility, names
from autoslicer.core.actions import Action, RestoreClients, WakeAt
from autoslicer.core.changes import applying, attempts, publishing, setting_back, validation
from autoslicer.core.changes.faults import LAST_ATTEMPT, OVERDUE, last
from autoslicer.core.changes.observation import Observation, Timing
from autoslicer.core.changes.relabelled import relabelled
from autoslicer.core.changes.transition import (
    DRAIN_SECONDS,
    Result,
    enter,
    event,
    tainted,
    with_condition,
    without,
)
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase, phase, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

_POINTLESS = frozenset({Reason.NotReady, Reason.ApplyPathMissing, Reason.LayoutRefused, Reason.LayoutCleared})
"""faults that another name does not mend"""


def after(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing, fault: Verdict
) -> Result:
    """What follows a run that did not succeed: another attempt where that is safe, else the way back."""
    value = "False"
    status = with_condition(change.status, LAST_ATTEMPT, value, fault.reason, fault.message, now)
    noted = replace(change, status=status)
    if fault.reason in _POINTLESS or status.attempt >= _most(change, fault):
        return setting_back.begin(noted, node, seen, now, timing, fault)
    if (obstacle := _obstacle(noted, node, seen.snapshot, now)) is not None:
        told = replace(fault, message=f"{fault.message}; not tried again: {obstacle.message}")
        return setting_back.begin(noted, node, seen, now, timing, told)
    return _again(noted, node, now, timing, fault)


def backoff(change: ReconfigurationRow, timing: Timing) -> float:
    """How long the present attempt waits before its label (seconds); 0 for the first."""
    attempt = change.status.attempt
    return timing.retry_backoff * 2.0 ** (attempt - 2) if attempt > 1 else 0.0


def awaited(change: ReconfigurationRow, node: NodeRow, now: float, timing: Timing) -> tuple[Action, ...]:
    """What a further attempt does, or waits for, before its GPUs are looked at; empty where there is nothing.

    Clients that a run which is over has left paused are given back, so that the next run can be seen to pause
    them; under our taint none of them returns yet.
    """
    if change.status.attempt == 1:
        return ()
    clients = evidence.left_paused(node)
    if clients and evidence.settled(node):
        return (RestoreClients(node.name, node.resource_version, clients),)
    rested = (reached(change, Phase.TAINTED) or now) + backoff(change, timing)
    return () if now >= rested else (WakeAt(rested),)


def broken_off(
    change: ReconfigurationRow,
    node: NodeRow,
    seen: Observation,
    now: float,
    timing: Timing,
    late: Verdict | None,
) -> Result | None:
    """What follows where a further attempt must not go on; None where it may.

    Args:
        change: that is tried again.
        node: of the change.
        seen: what is known.
        now: seconds since the epoch.
        timing: of the steps.
        late: what did not come to pass, where the deadline of the present phase is over.
    """
    if evidence.config(node) not in attempts.names(change):
        return relabelled(change, node, now)
    obstacle = _obstacle(change, node, seen.snapshot, now) or _unready(change, node, seen.snapshot) or late
    if obstacle is None:
        return None
    fault = last(change)
    told = replace(fault, message=f"{fault.message}; not tried again: {obstacle.message}")
    return setting_back.begin(change, node, seen, now, timing, told)


def _most(change: ReconfigurationRow, fault: Verdict) -> int:
    """How many attempts there are; a file that came late is no attempt at the layout: there is a second."""
    most = change.recovery.max_attempts
    return max(most, 2) if fault.reason is Reason.ConfigLag else most


def _again(change: ReconfigurationRow, node: NodeRow, now: float, timing: Timing, fault: Verdict) -> Result:
    """The next attempt, from Tainted on; what was noted of the last run counts no more."""
    attempt = change.status.attempt + 1
    kept = without(
        change.status,
        applying.RUN_STARTED,
        applying.ANSWERED,
        applying.LEFT_PAUSED,
        applying.AWAY,
        applying.QUIET,
        publishing.PUBLISHED,
    )
    following = replace(change, status=replace(kept, attempt=attempt))
    allowed = DRAIN_SECONDS + timing.idle_confirm + backoff(following, timing)
    message = f"attempt {attempt} of {_most(change, fault)}: {fault.message}"
    return enter(following, Phase.TAINTED, now, allowed, message), (event(change, "Warning", fault),)


def _obstacle(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Verdict | None:
    """Why the layout must not be asked for again: it is not needed, not allowed, or not safe."""
    refusal = validation.unwanted(change, snapshot) or eligibility.off_limits(snapshot, node, change.name)
    if refusal is None and not tainted(node, change):
        refusal = Verdict(node.name, Reason.DrainBlocked, f"somebody took {names.TAINT} from the node")
    if refusal is None and evidence.rebooting(node):
        refusal = Verdict(node.name, Reason.ChangeInProgress, setting_back.REBOOTING)
    return refusal or validation.in_use(change, snapshot, now)


def _unready(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot) -> Verdict | None:
    """Why no further label may be set on the node as it is.

    While mig-manager works, or somebody keeps a client away, none is set but after the deadline of a run.
    """
    if publishing.config_map(change, snapshot) is None:
        return Verdict(node.name, Reason.ConfigMapIncomplete, "the ConfigMap of the policy is gone")
    if (full := publishing.full(change, attempts.asked(change), snapshot)) is not None:
        return full
    away, ours = evidence.paused(node), evidence.left_paused(node)
    overdue = last(change).reason in OVERDUE
    if away != ours or (ours and not overdue and phase(change) is not Phase.TAINTED):
        return Verdict(node.name, Reason.ChangeInProgress, f"{away[0]} is paused")
    if not overdue and not evidence.settled(node):
        return Verdict(node.name, Reason.ChangeInProgress, f"mig-manager is at work: {evidence.state(node)}")
    return None
