"""One change of one node, step by step: from what is seen to the next status and what leads there.

Every step looks at the cluster, never at what was done before: a controller that was killed between an action
and its status sees the action's effect and goes on. The steps are those of a careful operator: keep pods
away, be sure that the GPUs are idle, publish the config, label, wait for mig-manager, let pods back, prove
the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from autoslicer.core import applying, evidence, names, publishing, validation
from autoslicer.core.actions import AddTaint, SetConfig, WakeAt
from autoslicer.core.phases import BEFORE_LABEL, FINAL, Phase, phase, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.transition import (
    SUCCEEDED,
    Result,
    deadline,
    end,
    enter,
    event,
    lift,
    taint_value,
    tainted,
    with_condition,
)

TAINT_SECONDS = 60.0
"""deadline of Tainted: one write, and the next read shows it"""
DRAIN_SECONDS = 120.0
"""deadline of Drained: two sightings of idleness; nothing is evicted, so nothing else is waited for"""
PUBLISH_SECONDS = 120.0
"""deadline of Published, on top of the settle time"""
LABEL_SECONDS = 60.0
"""deadline of Labelled: one write"""


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
    """

    snapshot: Snapshot
    fresh: bool
    hold: Verdict | None = None
    sightings: tuple[float, ...] = ()


def needs_fresh(change: ReconfigurationRow, hold: Verdict | None) -> bool:
    """A cache is not good enough until the label is seen, but for a change that may not start yet."""
    here = phase(change)
    return here in BEFORE_LABEL and not (here is Phase.WAITING and hold is not None)


def sight(
    previous: tuple[float, ...], change: ReconfigurationRow, observation: Observation, now: float
) -> tuple[float, ...]:
    """The sightings of idleness after one more observation.

    None are left as soon as the taint is away or a GPU of the change is in use. Only
    the first and the newest are kept: they span the time over which the GPUs were seen idle.
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

    At most one phase is entered at a time. The taint is lifted by every final phase. Nothing is done while
    the reads are not fresh
    where `needs_fresh` asks for it.
    """
    here = phase(change)
    node = observation.snapshot.nodes.get(change.node)
    if here in FINAL:
        return change.status, ()
    if node is None or (change.node_uid and node.uid != change.node_uid):
        return end(
            change,
            None,
            now,
            Phase.CANCELLED,
            Verdict(change.node, Reason.NodeGone, f"node {change.node} is gone"),
        )
    if needs_fresh(change, observation.hold) and not observation.fresh:
        return change.status, ()
    return _STEPS[here](change, node, observation, now, timing)


def _waiting(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    if not validation.pending(change, seen.snapshot):
        return end(change, node, now, Phase.CANCELLED, _served_elsewhere(change))
    refusal = validation.verdict(change, seen.snapshot, now)
    if refusal is not None:
        return end(change, node, now, Phase.CANCELLED, refusal)
    if seen.hold is not None:
        return with_condition(
            change.status, SUCCEEDED, "Unknown", seen.hold.reason, seen.hold.message, now
        ), ()
    return enter(change, Phase.VALIDATED, now, TAINT_SECONDS, "the plan still holds"), ()


def _validated(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    undone = _undone(change, node, seen, now)
    if undone is not None:
        return undone
    if tainted(node, change):
        return enter(change, Phase.TAINTED, now, DRAIN_SECONDS, f"{names.TAINT} keeps pods away"), ()
    taint = AddTaint(node.name, node.resource_version, taint_value(change))
    return change.status, (
        taint,
        *publishing.outstanding(change, seen.snapshot, now),
        WakeAt(deadline(change)),
    )


def _tainted_step(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    undone = _undone(change, node, seen, now)
    if undone is not None:
        return undone
    ahead = publishing.outstanding(change, seen.snapshot, now)
    confirmed = bool(seen.sightings) and seen.sightings[-1] - seen.sightings[0] >= timing.idle_confirm
    if not confirmed:
        since = seen.sightings[0] if seen.sightings else now
        return change.status, (*ahead, WakeAt(since + timing.idle_confirm))
    return enter(
        change,
        Phase.DRAINED,
        now,
        PUBLISH_SECONDS + timing.publish_settle,
        "every GPU that will change is idle",
    ), ahead


def _drained(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    undone = _undone(change, node, seen, now)
    if undone is not None:
        return undone
    ahead = publishing.outstanding(change, seen.snapshot, now)
    if ahead:
        return change.status, (*ahead, WakeAt(deadline(change)))
    trusted = (publishing.touched(change, seen.snapshot) or now) + timing.publish_settle
    if now < trusted:
        return change.status, (WakeAt(trusted),)
    return enter(change, Phase.PUBLISHED, now, LABEL_SECONDS, f"mig-manager can read {change.target}"), ()


def _published(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    if evidence.config(node) == change.target and node.annotations.get(names.APPLIED_CONFIG) == change.target:
        walked_in = validation.in_use(change, seen.snapshot, now)
        message = f"{names.MIG_CONFIG} is {change.target}"
        entered = enter(change, Phase.LABELLED, now, change.pending_deadline, message)
        if walked_in is None:
            return entered, ()
        return entered, (
            event(change, "Warning", replace(walked_in, message=f"around the label: {walked_in.message}")),
        )
    undone = _undone(change, node, seen, now)
    if undone is not None:
        return undone
    return change.status, (
        SetConfig(node.name, node.resource_version, change.target),
        WakeAt(deadline(change)),
    )


def _labelled(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    foreign = _relabelled(change, node, now)
    if foreign is not None:
        return foreign
    if evidence.state(node) == "failed":
        refusal = Verdict(node.name, Reason.ApplyFailed, f"mig-manager reports failed for {change.target}")
        return end(change, node, now, Phase.QUARANTINED, refusal)
    if now >= deadline(change):
        message = (
            f"mig-manager did not finish {change.target}; its state is {evidence.state(node) or 'absent'}"
        )
        return end(change, node, now, Phase.QUARANTINED, Verdict(node.name, Reason.DeadlineExceeded, message))
    watched = applying.watched(change, node, now)
    if not applying.applied(watched, node, now):
        trusted = applying.trusted_at(watched)
        wakes = (deadline(change), *(() if trusted is None else (trusted,)))
        return watched.status, tuple(WakeAt(at) for at in wakes)
    message = "mig-manager reports success"
    return enter(watched, Phase.APPLIED, now, change.pending_deadline, message), lift(node)


def _applied_step(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    foreign = _relabelled(change, node, now)
    if foreign is not None:
        return foreign
    missing = validation.unproven(change, seen.snapshot, reached(change, Phase.APPLIED) or now)
    if not missing:
        message = "allocatable, labels and the agent's reading are as promised"
        return enter(change, Phase.VERIFIED, now, change.pending_deadline, message), lift(node)
    if now >= deadline(change):
        return end(
            change, node, now, Phase.QUARANTINED, Verdict(node.name, Reason.VerificationFailed, missing)
        )
    return change.status, (*lift(node), WakeAt(deadline(change)))


def _verified(
    change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float, timing: Timing
) -> Result:
    came = validation.bound_here(change, seen.snapshot)
    if came:
        verdict = Verdict(
            node.name, Reason.Done, f"{len(came)} of {len(change.serves)} pods are bound to {node.name}"
        )
        return end(change, node, now, Phase.DONE, verdict, good=True)
    if not validation.pending(change, seen.snapshot):
        return end(change, node, now, Phase.DONE, _served_elsewhere(change), good=True)
    if not validation.fits_still(change, seen.snapshot):
        # they would not be planned for anew while the change promises them a place
        message = "none of the pods fits any more; others came first, or the node was closed"
        return end(
            change, node, now, Phase.DONE, Verdict(node.name, Reason.ServedElsewhere, message), good=True
        )
    if now >= deadline(change):
        message = "the slices are there, but the scheduler bound none of the pods in time"
        return end(change, node, now, Phase.DONE, Verdict(node.name, Reason.DeadlineExceeded, message))
    return change.status, (*lift(node), WakeAt(deadline(change)))


Stepper = Callable[[ReconfigurationRow, NodeRow, Observation, float, Timing], Result]
_STEPS: dict[Phase, Stepper] = {
    Phase.WAITING: _waiting,
    Phase.VALIDATED: _validated,
    Phase.TAINTED: _tainted_step,
    Phase.DRAINED: _drained,
    Phase.PUBLISHED: _published,
    Phase.LABELLED: _labelled,
    Phase.APPLIED: _applied_step,
    Phase.VERIFIED: _verified,
}


def _undone(change: ReconfigurationRow, node: NodeRow, seen: Observation, now: float) -> Result | None:
    """The end of a change that must not go on; before the label, lifting the taint undoes everything."""
    if not validation.pending(change, seen.snapshot):
        return end(change, node, now, Phase.CANCELLED, _served_elsewhere(change))
    refusal = validation.verdict(change, seen.snapshot, now) or validation.apply_path(change, seen.snapshot)
    if refusal is None and now >= deadline(change):
        late = {Phase.DRAINED: Reason.PublishFailed, Phase.TAINTED: Reason.DrainBlocked}
        here = phase(change)
        refusal = Verdict(
            node.name, late.get(here, Reason.DeadlineExceeded), f"the step after {here} did not end in time"
        )
    return None if refusal is None else end(change, node, now, Phase.CANCELLED, refusal)


def _relabelled(change: ReconfigurationRow, node: NodeRow, now: float) -> Result | None:
    """The end of a change whose label somebody replaced, once mig-manager has settled.

    Until then nothing is touched.
    """
    if evidence.config(node) == change.target:
        return None
    found = evidence.config(node) or "nothing"
    message = f"somebody set {names.MIG_CONFIG} to {found} while {change.target} was being applied"
    if not evidence.settled(node) and now < deadline(change):
        return change.status, (WakeAt(deadline(change)),)
    return end(change, node, now, Phase.CANCELLED, Verdict(node.name, Reason.ForeignOwner, message))


def _served_elsewhere(change: ReconfigurationRow) -> Verdict:
    return Verdict(change.node, Reason.ServedElsewhere, "none of the pods is pending any more")
