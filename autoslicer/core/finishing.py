"""The steps after the label: what was begun is finished, given up, or set back where nothing was cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoslicer.core import applying, evidence, names, validation
from autoslicer.core.actions import SetConfig, WakeAt
from autoslicer.core.causes import Cause
from autoslicer.core.phases import Phase, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.transition import (
    SUCCEEDED,
    Result,
    condition,
    deadline,
    end,
    enter,
    lift,
    with_condition,
)

ROLL_BACK_SECONDS = 60.0
"""deadline of RolledBack: one write"""


def _labelled(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Result:
    if (foreign := _relabelled(change, node, now)) is not None:
        return foreign
    state = evidence.state(node)
    if state == "failed":
        failed = Verdict(node.name, Reason.ApplyFailed, f"mig-manager reports failed for {change.target}")
        return _failed(change, node, now, failed)
    watched = applying.watched(change, node, now)
    if applying.applied(watched, node, now):
        message = "mig-manager reports success"
        return enter(watched, Phase.APPLIED, now, change.pending_deadline, message), lift(node)
    trusted = applying.trusted_at(watched)
    if trusted is not None and now < trusted:
        return watched.status, (WakeAt(trusted),)
    if now >= deadline(change):
        message = f"mig-manager did not finish {change.target}; its state is {state or 'absent'}"
        return _failed(watched, node, now, Verdict(node.name, Reason.DeadlineExceeded, message))
    return watched.status, (WakeAt(deadline(change)),)


def _applied_step(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Result:
    if (foreign := _relabelled(change, node, now)) is not None:
        return foreign
    missing = validation.unproven(change, snapshot, reached(change, Phase.APPLIED) or now, now)
    if not missing:
        message = "allocatable, labels and the agent's reading are as promised"
        return enter(change, Phase.VERIFIED, now, change.pending_deadline, message), lift(node)
    if now >= deadline(change):
        unproven = Verdict(node.name, Reason.VerificationFailed, missing)
        return end(change, node, now, Phase.QUARANTINED, unproven)
    return change.status, (*lift(node), WakeAt(deadline(change)))


def _verified(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Result:
    if change.cause is not Cause.DEMAND:
        proven = Verdict(node.name, Reason.Done, "the layout is there; no pod had to come for it")
        return end(change, node, now, Phase.DONE, proven, good=True)
    came = len(validation.bound_here(change, snapshot))
    if came:
        message = f"{came} of {len(change.serves)} pods are bound to {node.name}"
        return end(change, node, now, Phase.DONE, Verdict(node.name, Reason.Done, message), good=True)
    lost = validation.unwanted(change, snapshot)
    if lost is None and not validation.fits_still(change, snapshot):
        # they would not be planned for anew while the change promises them a place
        message = "none of the pods fits any more; others came first, or the node was closed"
        lost = Verdict(node.name, Reason.ServedElsewhere, message)
    if lost is not None:
        return end(change, node, now, Phase.DONE, lost, good=True)
    if now >= deadline(change):
        message = "the slices are there, but the scheduler bound none of the pods in time"
        return end(change, node, now, Phase.DONE, Verdict(node.name, Reason.DeadlineExceeded, message))
    return change.status, (*lift(node), WakeAt(deadline(change)))


def _rolling_back(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Result:
    why = _noted(change)
    label = evidence.config(node)
    if label == change.source:
        return end(change, node, now, Phase.ROLLED_BACK, why)
    if label != change.target or not applying.untouched(change, node) or now >= deadline(change):
        return end(change, node, now, Phase.QUARANTINED, why)
    back = SetConfig(node.name, node.resource_version, change.source)
    return change.status, (back, WakeAt(deadline(change)))


def _relabelled(change: ReconfigurationRow, node: NodeRow, now: float) -> Result | None:
    """The end of a change whose label somebody replaced, once mig-manager has settled; None where it is ours.

    Until then nothing is touched.
    """
    if evidence.config(node) == change.target:
        return None
    noted, settled = applying.settling(change, node, now)
    if now < min(settled, deadline(change)):
        return noted.status, (WakeAt(min(settled, deadline(change))),)
    found = evidence.config(node) or "nothing"
    message = f"somebody set {names.MIG_CONFIG} to {found} while {change.target} was being applied"
    return end(noted, node, now, Phase.CANCELLED, Verdict(node.name, Reason.ForeignOwner, message))


def _failed(change: ReconfigurationRow, node: NodeRow, now: float, why: Verdict) -> Result:
    """What follows a run that did not succeed.

    Where nothing was cut, the label goes back to what it was: left as it is, the next start of mig-manager
    would apply it, under pods that came to the old slices meanwhile.
    """
    if not change.source or not applying.untouched(change, node):
        # a blank label would make the GPU Operator wipe the node
        return end(change, node, now, Phase.QUARANTINED, why)
    entered = enter(change, Phase.ROLLING_BACK, now, ROLL_BACK_SECONDS, why.message)
    return with_condition(entered, SUCCEEDED, "False", why.reason, why.message, now), ()


def _noted(change: ReconfigurationRow) -> Verdict:
    """Why the change is rolled back, as its status tells."""
    noted = condition(change.status, SUCCEEDED)
    if noted is None or noted.reason not in list(Reason):
        return Verdict(change.node, Reason.ApplyFailed, "mig-manager failed")
    return Verdict(change.node, Reason(noted.reason), noted.message)


_Step = Callable[[ReconfigurationRow, NodeRow, Snapshot, float], Result]
STEPS: Mapping[Phase, _Step] = {
    Phase.LABELLED: _labelled,
    Phase.APPLIED: _applied_step,
    Phase.VERIFIED: _verified,
    Phase.ROLLING_BACK: _rolling_back,
}
"""by phase: the next status of a change in it, and what must be done"""
