"""The steps after the label: mig-manager's run is watched, its result proven, and its pods waited for."""

from __future__ import annotations

import math

from autoslicer.core.actions import RestoreClients, WakeAt
from autoslicer.core.causes import Cause
from autoslicer.core.changes import applying, faults, setting_back, trying_again, validation
from autoslicer.core.changes.attempts import asked
from autoslicer.core.changes.observation import Observation, Timing
from autoslicer.core.changes.relabelled import relabelled
from autoslicer.core.changes.transition import Result, deadline, end, enter, lift
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow


def labelled(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    """One look at a change whose label is set; where it overtook a run, that one's failure may still come."""
    if evidence.config(node) != asked(change).name:
        return relabelled(change, node, now)
    believed = now
    if faults.last(change).reason in faults.OVERDUE:
        change, believed = applying.answered(change, node, now)
    if evidence.state(node) == "failed" and now >= believed:
        fault = faults.failed(change, node, seen.snapshot, now)
        return trying_again.after(change, node, seen, now, timing, fault)
    watched = applying.watched(change, node, now)
    if applying.applied(watched, node, now):
        message = "mig-manager reports success"
        allowed = change.recovery.pending_deadline
        return enter(watched, Phase.APPLIED, now, allowed, message), lift(node)
    watched = applying.with_absence(watched, seen.snapshot, now)
    awaited = [applying.trusted_at(watched.status), applying.abandoned_at(watched.status), believed]
    if soon := [WakeAt(at) for at in awaited if at is not None and now < at < math.inf]:
        return watched.status, tuple(soon)
    missed = applying.missed_at(watched.status)
    until = deadline(change) if missed is None else min(deadline(change), missed)
    clients = evidence.left_paused(node)
    if now < until and clients and evidence.state(node) == "success":
        restore = RestoreClients(node.name, node.resource_version, clients)
        return watched.status, (restore, WakeAt(until))
    if now >= until:
        fault = faults.overdue(change, node, seen.snapshot)
        return trying_again.after(watched, node, seen, now, timing, fault)
    return watched.status, (WakeAt(until),)


def applied(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    """One look at a change that mig-manager has applied."""
    if evidence.config(node) != asked(change).name:
        return relabelled(change, node, now)
    since = reached(change, Phase.APPLIED) or now
    missing = validation.unproven(change, seen.snapshot, since, now, deadline(change))
    if not missing:
        message = "allocatable, labels and the agent's reading are as promised"
        allowed = change.recovery.pending_deadline
        return enter(change, Phase.VERIFIED, now, allowed, message), lift(node)
    if now >= deadline(change) or faults.cleared(change, node, seen.snapshot, now):
        fault = faults.unproven(change, node, seen.snapshot, now, missing)
        return setting_back.begin(change, node, seen, now, timing, fault)
    return change.status, (*lift(node), WakeAt(deadline(change)))


def verified(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    """One look at a change whose slices are there."""
    if change.cause is not Cause.DEMAND:
        proven = Verdict(node.name, Reason.Done, "the layout is there; no pod had to come for it")
        return end(change, node, now, Phase.DONE, proven, good=True)
    came = len(validation.bound_here(change, seen.snapshot))
    if came:
        message = f"{came} of {len(change.serves)} pods are bound to {node.name}"
        return end(change, node, now, Phase.DONE, Verdict(node.name, Reason.Done, message), good=True)
    lost = validation.unwanted(change, seen.snapshot)
    if lost is None and not validation.fits_still(change, seen.snapshot):
        # they would not be planned for anew while the change promises them a place
        message = "none of the pods fits any more; others came first, or the node was closed"
        lost = Verdict(node.name, Reason.ServedElsewhere, message)
    if lost is not None:
        return end(change, node, now, Phase.DONE, lost, good=True)
    if now >= deadline(change):
        message = "the slices are there, but the scheduler bound none of the pods in time"
        return end(change, node, now, Phase.DONE, Verdict(node.name, Reason.DeadlineExceeded, message))
    return change.status, (*lift(node), WakeAt(deadline(change)))
