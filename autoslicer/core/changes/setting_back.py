"""A change that failed is set back: the node gets the layout of before where that is safe, or is left alone.

The label goes back before the taint does: the next start of mig-manager applies whatever the label says, and
by then pods may hold the slices that are there.
"""

from __future__ import annotations

import math
from dataclasses import replace

from autoslicer.core.actions import AddTaint, RestoreClients, SetConfig, WakeAt
from autoslicer.core.causes import Cause
from autoslicer.core.changes import applying, attempts, marks, mending, publishing, validation
from autoslicer.core.changes.attempts import Config
from autoslicer.core.changes.faults import OVERDUE, last
from autoslicer.core.changes.observation import Observation, Timing
from autoslicer.core.changes.relabelled import relabelled
from autoslicer.core.changes.transition import (
    DRAIN_SECONDS,
    PUBLISH_SECONDS,
    Result,
    deadline,
    end,
    enter,
    lift,
    taint_value,
    tainted,
    with_condition,
    without,
)
from autoslicer.core.nodes import evidence, gpu_operator, layouts
from autoslicer.core.phases import SUCCEEDED, Phase, condition
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot


def begin(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing, why: Verdict
) -> Result:
    """What follows a change that is given up after its label was set."""
    obstacle = _obstacle(change, node, seen.snapshot, now)
    if why.reason is Reason.PluginMissing:
        obstacle = Verdict(node.name, why.reason, "no layout would be advertised")
    if obstacle is not None and (not evidence.left_paused(node) or evidence.rebooting(node)):
        told = replace(why, message=f"{why.message}; not set back: {obstacle.message}")
        return end(change, node, now, Phase.QUARANTINED, told)
    waits = DRAIN_SECONDS + timing.idle_confirm + PUBLISH_SECONDS + timing.publish_settle
    allowed = waits + change.recovery.pending_deadline
    entered = without(enter(change, Phase.ROLLING_BACK, now, allowed, why.message), applying.ANSWERED)
    return with_condition(entered, SUCCEEDED, "False", why.reason, why.message, now), ()


def rolling_back(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    """One look at a change that is being set back."""
    label = evidence.config(node)
    if attempts.leads_back(change, label):
        return _coming_back(change, node, seen, now)
    if label not in attempts.names(change):
        return relabelled(change, node, now)
    return _going_back(change, node, seen, now, timing)


def _going_back(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    """Our label still stands: taint, idleness, config and label, as on the way there."""
    why, obstacle = _noted(change), _obstacle(change, node, seen.snapshot, now)
    if obstacle is not None or mending.begun(change) or now >= deadline(change):
        if obstacle is not None:
            why = replace(why, message=f"{why.message.partition(_NOT_BACK)[0]}{_NOT_BACK}{obstacle.message}")
        return mending.give_up(change, node, seen.snapshot, now, why)
    until = WakeAt(deadline(change))
    clients = evidence.left_paused(node)
    if clients and evidence.settled(node):
        return change.status, (RestoreClients(node.name, node.resource_version, clients), until)
    if _closed(change, node):
        return change.status, (until,)
    if not tainted(node, change):
        taint = AddTaint(node.name, node.resource_version, taint_value(change), marks.to_set(node))
        return change.status, (taint, until)
    if not applying.untouched(change, node) and not seen.confirmed(timing):
        again = min((*seen.sightings, now)) + timing.idle_confirm
        return change.status, (WakeAt(again), until)
    config = way_back(change, node, seen.snapshot)
    if config.name != change.source:
        change = publishing.noted(change, config, seen.snapshot, now, touchable=seen.touchable)
        settle, touchable = timing.publish_settle, seen.touchable
        awaited = publishing.awaited(change, config, seen.snapshot, now, settle, touchable=touchable)
        if awaited:
            return change.status, (*awaited, until)
    return change.status, (SetConfig(node.name, node.resource_version, config.name), until)


def _coming_back(change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float) -> Result:
    """The label asks for the layout of before: the run is watched, then the slices are waited for.

    Where the label overtook a run, that one's end may still come: it is not ours until it lasts, or the old
    layout is there.
    """
    why = _noted(change)
    watched, believed = applying.watched(change, node, now, applying.WAY_BACK_STARTED), now
    if last(change).reason in OVERDUE:
        watched, believed = applying.answered(watched, node, now)
    intact = evidence.advertised(node) == evidence.before(change.gpus)
    if (intact or now >= believed) and applying.way_back_applied(watched, node, now):
        if intact:
            return end(watched, node, now, Phase.ROLLED_BACK, _concluded(watched, why))
        if now < deadline(change):
            return watched.status, (*lift(node), WakeAt(deadline(change)))
    failed = evidence.state(node) == "failed" and now >= believed
    if now >= deadline(change) or mending.begun(change) or failed:
        return mending.give_up(watched, node, seen.snapshot, now, why)
    abandoned = applying.abandoned_at(watched.status)
    trusted = applying.trusted_at(watched.status, applying.WAY_BACK_STARTED)
    ahead = (at for at in (abandoned, trusted, believed) if at is not None and now < at < math.inf)
    wakes = (*map(WakeAt, ahead), WakeAt(deadline(change)))
    if _harmless(change, node, seen.snapshot) and (lifted := lift(node)):
        return watched.status, (*lifted, *wakes)
    if abandoned is not None and now >= abandoned:
        clients = evidence.left_paused(node)
        return watched.status, (RestoreClients(node.name, node.resource_version, clients), *wakes)
    return watched.status, wakes


def way_back(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot) -> Config:
    """What gives the node the layout of before, under a name that mig-manager takes up.

    That is the label of before, where mig-manager has answered to ours and the ConfigMap still means exactly
    that layout by it; else, for the same value would trigger nothing, another name of equal content.
    """
    other, held = attempts.back(change), publishing.config_map(change, snapshot)
    known = held is not None and change.source in (held.configs or ())
    if not known or not applying.taken_up(change, node):
        return other
    before = tuple(gpu.before for gpu in sorted(change.gpus, key=lambda gpu: gpu.index))
    meant = layouts.meanings(snapshot, node, change.source, len(before))
    return replace(other, name=change.source) if meant == {before} else other


REBOOTING = "mig-manager waits for the node to reboot, and would do so again for another label"
_NOT_BACK = "; not set back: "


def _obstacle(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Verdict | None:
    """Why the old layout must not be asked for: somebody would lose slices, or nobody would answer.

    A name for what is there already hurts nobody. What a repair found is nothing to go back to: the label
    would then ask for what its owner never wanted.
    """
    if change.cause is Cause.DRIFT:
        return Verdict(node.name, Reason.LayoutDrift, "what was there before was not what ought to be")
    if node.terminating:
        return Verdict(node.name, Reason.NotReady, "the node is being deleted")
    if evidence.rebooting(node):
        return Verdict(node.name, Reason.ChangeInProgress, REBOOTING)
    if applying.untouched(change, node):
        # a lost node too: its label must not ask for another layout when pods and mig-manager come back
        return None
    if not node.ready:
        return Verdict(node.name, Reason.NotReady, "the node is not Ready")
    return validation.in_use(change, snapshot, now)


def _closed(change: ReconfigurationRow, node: NodeRow) -> bool:
    """No label may be set now: mig-manager is at work, or somebody else keeps a GPU client away.

    After the deadline of a run its own pending does not count.
    """
    if set(evidence.paused(node)) - set(evidence.left_paused(node)):
        return True
    return last(change).reason not in OVERDUE and not evidence.settled(node)


def _harmless(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot) -> bool:
    """The taint may go before the run is over: the label means what is there, or nothing can come meanwhile.

    mig-manager's own pod cannot come back under it.
    """
    pod = gpu_operator.mig_manager(snapshot, node.name)
    away = pod is None or not pod.ready
    return applying.untouched(change, node) or (away and not evidence.advertised(node))


def _concluded(change: ReconfigurationRow, why: Verdict) -> Verdict:
    """Why the change failed, once the old layout was made anew.

    What the driver would not make of idle GPUs, while it makes another layout of them, it has refused.
    """
    made_anew = applying.seen_to_start(change.status, applying.WAY_BACK_STARTED)
    if why.reason is not Reason.ApplyFailed or not made_anew or not applying.seen_to_start(change.status):
        return why
    message = f"{why.message}, and made the old layout of the same GPUs: it refused the new one"
    return Verdict(why.name, Reason.LayoutRefused, message)


def _noted(change: ReconfigurationRow) -> Verdict:
    """Why the change is set back, as its status tells."""
    noted = condition(change.status, SUCCEEDED)
    if noted is None or noted.reason not in list(Reason):
        return last(change)
    return Verdict(change.node, Reason(noted.reason), noted.message)
