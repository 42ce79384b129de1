"""One change of one node, step by step: from what is seen to the next status and what leads there.

Every step looks at the cluster, never at what was done before: a controller that was killed between an action
and its status sees the action's effect and goes on. The steps are those of a careful operator: keep pods
away, be sure that the GPUs are idle, publish the config, label, wait for mig-manager, let pods back, prove
the result. A further attempt takes the same steps from Tainted on, under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from autoslicer.core import draining, names, reserved
from autoslicer.core.actions import Action, AddTaint, SetConfig, WakeAt
from autoslicer.core.changes import finishing, marks, publishing, setting_back, trying_again, validation
from autoslicer.core.changes.attempts import asked
from autoslicer.core.changes.observation import Observation, Timing, needs_fresh
from autoslicer.core.changes.transition import (
    DRAIN_SECONDS,
    PUBLISH_SECONDS,
    Result,
    deadline,
    end,
    enter,
    event,
    taint_value,
    tainted,
    with_condition,
)
from autoslicer.core.eligibility import UNREACHABLE
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import FINAL, SUCCEEDED, Phase, phase
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Mode
from autoslicer.core.reasons import Reason
from autoslicer.core.recommendations import ENDED_BY, approval_awaited
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

TAINT_SECONDS = 60.0
"""deadline of Tainted: one write, and the next read shows it"""
LABEL_SECONDS = 60.0
"""deadline of Labelled: one write"""

_LATE = {
    Phase.VALIDATED: (Reason.DeadlineExceeded, "the taint could not be written in time"),
    Phase.TAINTED: (Reason.DrainBlocked, "the GPUs were not seen idle in time"),
    Phase.DRAINED: (Reason.PublishFailed, "the config could not be published in time"),
    Phase.PUBLISHED: (Reason.DeadlineExceeded, "the label could not be written in time"),
}
"""what did not come to pass where the deadline of a phase before the label is over"""


def advance(change: ReconfigurationRow, observation: Observation, now: float, timing: Timing) -> Result:
    """The next status of the change and what must be done, in order; equal inputs give equal outputs.

    At most one phase is entered at a time. Every final phase lifts the taint. Nothing happens while the reads
    are not fresh where `needs_fresh` asks for it.
    """
    here = phase(change)
    node = observation.snapshot.nodes.get(change.node)
    if here in FINAL:
        return change.status, ()
    if node is None or (change.node_uid and node.uid != change.node_uid):
        gone = Verdict(change.node, Reason.NodeGone, f"node {change.node} is gone")
        return end(change, None, now, Phase.CANCELLED, gone)
    if needs_fresh(change, observation.hold) and not observation.fresh:
        return change.status, ()
    return _STEPS[here](change, node, observation, now, timing)


def _waiting(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    hold = seen.hold
    if hold is None and not change.approved:
        hold = approval_awaited(change.name, node.name)
    over = hold if hold is not None and hold.reason in ENDED_BY else None
    refusal = _obsolete(change, seen.snapshot, now) or _other_mode(change, seen.snapshot)
    if refusal is None and not change.approved:
        refusal = over
    if refusal is not None:
        return end(change, node, now, Phase.CANCELLED, refusal)
    if over is not None:
        # somebody approved it meanwhile: the next cycle judges it anew
        return change.status, ()
    if hold is not None:
        return _held(change, node, hold, now)
    message = "the plan still holds"
    if change.approved_by not in ("", names.BY_POLICY):
        message = f"{message}; approved by {change.approved_by}"
    return enter(change, Phase.VALIDATED, now, TAINT_SECONDS, message), ()


def _held(change: ReconfigurationRow, node: NodeRow, hold: Verdict, now: float) -> Result:
    """A change that may not start yet; the pods of one that no config can reach are planned for elsewhere."""
    status = replace(change.status, phase=Phase.WAITING, deadline=None)
    if hold.reason in UNREACHABLE:
        until = change.status.deadline
        until = now + change.recovery.pending_deadline if until is None else until
        if now >= until:
            return end(change, node, now, Phase.CANCELLED, hold)
        status = replace(status, deadline=until)
    told = with_condition(status, SUCCEEDED, "Unknown", hold.reason, hold.message, now)
    return told, () if status.deadline is None else (WakeAt(status.deadline),)


def _other_mode(change: ReconfigurationRow, snapshot: Snapshot) -> Verdict | None:
    """Why a change that was approved otherwise than its policy now asks for is planned anew."""
    mode = snapshot.policies[change.policy].mode
    if mode is Mode.AUTO and not change.approved:
        message = f"policy {change.policy} asks for no approval any more: the node is planned for anew"
    elif mode is Mode.RECOMMEND and change.approved_by == names.BY_POLICY:
        message = f"policy {change.policy} asks for a human's approval now: the node is planned for anew"
    else:
        return None
    return Verdict(change.node, Reason.Superseded, message)


def _validated(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    if (undone := _undone(change, node, seen, now, timing)) is not None:
        return undone
    if tainted(node, change):
        allowed = draining.allowance(change, seen.snapshot, DRAIN_SECONDS) + timing.idle_confirm
        waits = " until those on the GPUs have ended" if reserved.waits(change) else ""
        return enter(change, Phase.TAINTED, now, allowed, f"{names.TAINT} keeps pods away{waits}"), ()
    taint = AddTaint(node.name, node.resource_version, taint_value(change), marks.to_set(node))
    ahead = publishing.outstanding(change, asked(change), seen.snapshot, now, touchable=seen.touchable)
    return change.status, (taint, *ahead, WakeAt(deadline(change)))


def _tainted_step(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    if (undone := _undone(change, node, seen, now, timing)) is not None:
        return undone
    if awaited := trying_again.awaited(change, node, now, timing):
        return change.status, (*awaited, WakeAt(deadline(change)))
    if evictions := draining.evictions(change, seen.snapshot):
        return change.status, (*evictions, WakeAt(now + draining.RETRY_SECONDS), WakeAt(deadline(change)))
    if reserved.waits(change) and not seen.sightings:
        return change.status, (WakeAt(now + draining.RETRY_SECONDS), WakeAt(deadline(change)))
    if not seen.confirmed(timing):
        again = min((*seen.sightings, now)) + timing.idle_confirm
        return change.status, (WakeAt(again), WakeAt(deadline(change)))
    allowed = PUBLISH_SECONDS + timing.publish_settle
    return enter(change, Phase.DRAINED, now, allowed, "every GPU that will change is idle"), ()


def _drained(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    config = asked(change)
    change = publishing.noted(change, config, seen.snapshot, now, touchable=seen.touchable)
    if (undone := _undone(change, node, seen, now, timing)) is not None:
        return undone
    if awaited := _awaited(change, seen, now, timing):
        return change.status, (*awaited, WakeAt(deadline(change)))
    allowed = LABEL_SECONDS + timing.publish_settle
    return enter(change, Phase.PUBLISHED, now, allowed, f"mig-manager can read {config.name}"), ()


def _published(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    name = asked(change).name
    change = publishing.noted(change, asked(change), seen.snapshot, now, touchable=seen.touchable)
    if name in (evidence.config(node), node.annotations.get(names.APPLIED_CONFIG)):
        # the annotation comes with the label, which somebody may have replaced since
        message = f"the label was set to {name}"
        entered = enter(change, Phase.LABELLED, now, change.recovery.pending_deadline, message)
        walked_in = validation.in_use(change, seen.snapshot, now)
        if walked_in is None:
            return entered, ()
        alarm = replace(walked_in, message=f"around the label: {walked_in.message}")
        return entered, (event(change, "Warning", alarm),)
    if (undone := _undone(change, node, seen, now, timing)) is not None:
        return undone
    if awaited := _awaited(change, seen, now, timing):
        return change.status, (*awaited, WakeAt(deadline(change)))
    label = SetConfig(node.name, node.resource_version, name)
    return change.status, (label, WakeAt(deadline(change)))


def _awaited(change: ReconfigurationRow, seen: Observation, now: float, timing: Timing) -> tuple[Action, ...]:
    config, settle = asked(change), timing.publish_settle
    return publishing.awaited(change, config, seen.snapshot, now, settle, touchable=seen.touchable)


_Step = Callable[[ReconfigurationRow, NodeRow, Observation, float, Timing], Result]
_STEPS: Mapping[Phase, _Step] = {
    Phase.WAITING: _waiting,
    Phase.VALIDATED: _validated,
    Phase.TAINTED: _tainted_step,
    Phase.DRAINED: _drained,
    Phase.PUBLISHED: _published,
    Phase.LABELLED: finishing.labelled,
    Phase.APPLIED: finishing.applied,
    Phase.VERIFIED: finishing.verified,
    Phase.ROLLING_BACK: setting_back.rolling_back,
}


def _undone(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result | None:
    """What ends a change that must not go on, or this attempt of it; None where it may.

    Before the first label, lifting the taint undoes everything.
    """
    here = phase(change)
    late = _late(change, node, seen.snapshot, now) if now >= deadline(change) else None
    if change.status.attempt > 1:
        return trying_again.broken_off(change, node, seen, now, timing, late)
    refusal = _obsolete(change, seen.snapshot, now) or validation.apply_path(change, seen.snapshot)
    if refusal is None and here is not Phase.VALIDATED and not tainted(node, change):
        refusal = Verdict(node.name, Reason.DrainBlocked, f"somebody took {names.TAINT} from the node")
    refusal = refusal or late
    return None if refusal is None else end(change, node, now, Phase.CANCELLED, refusal)


def _late(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Verdict:
    """What did not come to pass in time; of a node that is reserved, whose end."""
    reason, message = _LATE[phase(change)]
    gpus = frozenset(gpu.index for gpu in change.gpus if gpu.changed)
    waiting = phase(change) is Phase.TAINTED and reserved.waits(change)
    still = sorted(reserved.awaited(snapshot, node.name, gpus, now)) if waiting else []
    if still:
        more = f" and {len(still) - 3} more" if len(still) > 3 else ""
        message = f"{', '.join(still[:3])}{more} did not end in time"
    return Verdict(node.name, reason, message)


def _obsolete(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> Verdict | None:
    """Why the change is not wanted any more, or must not be made."""
    return validation.unwanted(change, snapshot) or validation.verdict(change, snapshot, now)
