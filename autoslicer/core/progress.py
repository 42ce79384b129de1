"""One change of one node, step by step: from what is seen to the next status and what leads there.

Every step looks at the cluster, never at what was done before: a controller that was killed between an action
and its status sees the action's effect and goes on. The steps are those of a careful operator: keep pods
away, be sure that the GPUs are idle, publish the config, label, wait for mig-manager, let pods back, prove
the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from autoslicer.core import evidence, finishing, marks, names, publishing, validation
from autoslicer.core.actions import Action, AddTaint, SetConfig, WakeAt
from autoslicer.core.phases import BEFORE_LABEL, FINAL, Phase, phase
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Mode
from autoslicer.core.reasons import Reason
from autoslicer.core.recommendations import ENDED_BY
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.transition import (
    SUCCEEDED,
    Result,
    deadline,
    end,
    enter,
    event,
    taint_value,
    tainted,
    with_condition,
)

TAINT_SECONDS = 60.0
"""deadline of Tainted: one write, and the next read shows it"""
DRAIN_SECONDS = 120.0
"""deadline of Drained, on top of the time between two sightings: nothing is evicted and waited for"""
PUBLISH_SECONDS = 120.0
"""deadline of Published, on top of the settle time"""
LABEL_SECONDS = 60.0
"""deadline of Labelled: one write"""

_LATE = {
    Phase.VALIDATED: (Reason.DeadlineExceeded, "the taint could not be written in time"),
    Phase.TAINTED: (Reason.DrainBlocked, "the GPUs were not seen idle in time"),
    Phase.DRAINED: (Reason.PublishFailed, "the config could not be published in time"),
    Phase.PUBLISHED: (Reason.DeadlineExceeded, "the label could not be written in time"),
}
"""what did not come to pass where the deadline of a phase before the label is over"""


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of the steps, in seconds.

    Attributes:
        idle_confirm: two sightings of idleness lie at least so far apart.
        publish_settle: from the touch of the mig-manager pod until its file is trusted.
    """

    idle_confirm: float = 1.0
    publish_settle: float = 5.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known when a change is advanced.

    Attributes:
        snapshot: the cluster. Where `fresh`, the node, its pods and the pods of `serves` come from reads
            made for this observation.
        fresh: those reads were made; without them no step before Labelled is taken.
        hold: why a Waiting change may not start yet (approval, suspension, budget, cooldown); None when it
            may.
        sightings: times of reads since the taint that found every GPU of the change idle; see `sight`.
        touchable: mig-manager's pods may be annotated, so that the kubelet looks at their files at once.
    """

    snapshot: Snapshot
    fresh: bool
    hold: Verdict | None = None
    sightings: tuple[float, ...] = ()
    touchable: bool = True


def needs_fresh(change: ReconfigurationRow, hold: Verdict | None) -> bool:
    """A cache is not good enough until the label is seen, but for a change that may not start yet."""
    here = phase(change)
    return here in BEFORE_LABEL and not (here is Phase.WAITING and hold is not None)


def sight(
    previous: tuple[float, ...], change: ReconfigurationRow, observation: Observation, now: float
) -> tuple[float, ...]:
    """The sightings of idleness after one more observation.

    None are left as soon as the taint is away or a GPU of the change is in use. Only the first and the newest
    are kept: they span the time over which the GPUs were seen idle.
    """
    node = observation.snapshot.nodes.get(change.node)
    if node is None or not tainted(node, change):
        return ()
    if not observation.fresh:
        return previous
    if validation.in_use(change, observation.snapshot, now) is not None:
        return ()
    return (*previous[:1], now)


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
    if here in BEFORE_LABEL:
        return _STEPS[here](change, node, observation, now, timing)
    return finishing.STEPS[here](change, node, observation.snapshot, now)


def _waiting(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    hold = seen.hold
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
        held = replace(change.status, phase=Phase.WAITING)
        return with_condition(held, SUCCEEDED, "Unknown", hold.reason, hold.message, now), ()
    message = "the plan still holds"
    if change.approved_by not in ("", names.BY_POLICY):
        message = f"{message}; approved by {change.approved_by}"
    return enter(change, Phase.VALIDATED, now, TAINT_SECONDS, message), ()


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
    if (undone := _undone(change, node, seen, now)) is not None:
        return undone
    if tainted(node, change):
        allowed = DRAIN_SECONDS + timing.idle_confirm
        return enter(change, Phase.TAINTED, now, allowed, f"{names.TAINT} keeps pods away"), ()
    taint = AddTaint(node.name, node.resource_version, taint_value(change), marks.to_set(node))
    ahead = publishing.outstanding(change, seen.snapshot, now, touchable=seen.touchable)
    return change.status, (taint, *ahead, WakeAt(deadline(change)))


def _tainted_step(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    if (undone := _undone(change, node, seen, now)) is not None:
        return undone
    first, newest = (seen.sightings[0], seen.sightings[-1]) if seen.sightings else (now, now)
    if not seen.sightings or newest - first < timing.idle_confirm:
        return change.status, (WakeAt(first + timing.idle_confirm), WakeAt(deadline(change)))
    allowed = PUBLISH_SECONDS + timing.publish_settle
    return enter(change, Phase.DRAINED, now, allowed, "every GPU that will change is idle"), ()


def _drained(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    change = publishing.noted(change, seen.snapshot, now, touchable=seen.touchable)
    if (undone := _undone(change, node, seen, now)) is not None:
        return undone
    if awaited := _awaited(change, seen, now, timing):
        return change.status, (*awaited, WakeAt(deadline(change)))
    allowed = LABEL_SECONDS + timing.publish_settle
    return enter(change, Phase.PUBLISHED, now, allowed, f"mig-manager can read {change.target}"), ()


def _published(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    change = publishing.noted(change, seen.snapshot, now, touchable=seen.touchable)
    if change.target in (evidence.config(node), node.annotations.get(names.APPLIED_CONFIG)):
        # the annotation comes with the label, which somebody may have replaced since
        message = f"the label was set to {change.target}"
        entered = enter(change, Phase.LABELLED, now, change.pending_deadline, message)
        walked_in = validation.in_use(change, seen.snapshot, now)
        if walked_in is None:
            return entered, ()
        alarm = replace(walked_in, message=f"around the label: {walked_in.message}")
        return entered, (event(change, "Warning", alarm),)
    if (undone := _undone(change, node, seen, now)) is not None:
        return undone
    if awaited := _awaited(change, seen, now, timing):
        return change.status, (*awaited, WakeAt(deadline(change)))
    label = SetConfig(node.name, node.resource_version, change.target)
    return change.status, (label, WakeAt(deadline(change)))


def _awaited(change: ReconfigurationRow, seen: Observation, now: float, timing: Timing) -> tuple[Action, ...]:
    settle = timing.publish_settle
    return publishing.awaited(change, seen.snapshot, now, settle, touchable=seen.touchable)


_Step = Callable[[ReconfigurationRow, NodeRow, Observation, float, Timing], Result]
_STEPS: Mapping[Phase, _Step] = {
    Phase.WAITING: _waiting,
    Phase.VALIDATED: _validated,
    Phase.TAINTED: _tainted_step,
    Phase.DRAINED: _drained,
    Phase.PUBLISHED: _published,
}


def _undone(change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float) -> Result | None:
    """The end of a change that must not go on; before the label, lifting the taint undoes everything."""
    here = phase(change)
    refusal = _obsolete(change, seen.snapshot, now) or validation.apply_path(change, seen.snapshot)
    if refusal is None and here is not Phase.VALIDATED and not tainted(node, change):
        refusal = Verdict(node.name, Reason.DrainBlocked, f"somebody took {names.TAINT} from the node")
    if refusal is None and now >= deadline(change):
        refusal = Verdict(node.name, *_LATE[here])
    return None if refusal is None else end(change, node, now, Phase.CANCELLED, refusal)


def _obsolete(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> Verdict | None:
    """Why the change is not wanted any more, or must not be made."""
    return validation.unwanted(change, snapshot) or validation.verdict(change, snapshot, now)
