"""Does a change still hold, and is it proven: what the steps ask of the cluster as it is now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from autoslicer.core import draining, eligibility, fitting, names, reserved, wanting
from autoslicer.core.causes import Cause
from autoslicer.core.changes import attempts, publishing
from autoslicer.core.nodes import drift, evidence, idleness, refused
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy, governing
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts


def pending(change: ReconfigurationRow, snapshot: Snapshot) -> tuple[PodRow, ...]:
    """The pods of `serves` that still wait for a node."""
    return tuple(pod for pod in fitting.promised(snapshot, change) if not pod.terminating)


def unwanted(change: ReconfigurationRow, snapshot: Snapshot) -> Verdict | None:
    """Why nobody needs the change any more; None where a pod still waits, or none has to."""
    match change.cause:
        case Cause.DEMAND if not pending(change, snapshot):
            return Verdict(change.node, Reason.ServedElsewhere, "none of the pods is pending any more")
        case Cause.DEMAND if reserved.waits(change) and not _reserves(change, snapshot):
            message = f"policy {change.policy} reserves no nodes any more"
            return Verdict(change.node, Reason.Superseded, message)
        case Cause.HEADROOM if (policy := snapshot.policies.get(change.policy)) and not policy.headroom:
            return Verdict(change.node, Reason.Superseded, f"policy {policy.name} wants no headroom any more")
        case Cause.IDLE if (policy := snapshot.policies.get(change.policy)) and not policy.idle.after_seconds:
            message = f"policy {policy.name} wants nothing of idle nodes any more"
            return Verdict(change.node, Reason.Superseded, message)
        case Cause.IDLE if (pod := _wanting(change, snapshot)) is not None:
            message = f"pod {pod.key} waits, and the slices that are there would do for it"
            return Verdict(change.node, Reason.Superseded, message)
        case _:
            return None


def _reserves(change: ReconfigurationRow, snapshot: Snapshot) -> bool:
    policy = snapshot.policies.get(change.policy)
    return policy is None or policy.reserve.after_seconds > 0


def _wanting(change: ReconfigurationRow, snapshot: Snapshot) -> PodRow | None:
    """A pod that waits and could be bound to the node as it is."""
    node = snapshot.nodes.get(change.node)
    if node is None:
        return None
    return wanting.wanting(snapshot, node, wanting.waiting(snapshot), ignore_change=change.name)


def bound_here(change: ReconfigurationRow, snapshot: Snapshot) -> tuple[PodRow, ...]:
    """The pods of `serves` that were bound to the change's node."""
    pods = (snapshot.pods.get(key) for key in change.serves)
    there = (pod for pod in pods if pod is not None and pod.node == change.node)
    return tuple(pod for pod in there if fitting.slices(pod.requests))


def in_use(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> Verdict | None:
    """Why a GPU that the change touches counts as in use; a mode change touches every GPU of its node."""
    used = idleness.in_use(snapshot, change.node, now)
    if used.node:
        return Verdict(change.node, Reason.NodeBusy, used.node)
    switches = any((gpu.before is None) != (gpu.after is None) for gpu in change.gpus)
    touched = [gpu.index for gpu in change.gpus if gpu.changed or switches]
    busy = [used.of(index) for index in touched if used.of(index)]
    return Verdict(change.node, Reason.GpuBusy, busy[0]) if busy else None


def verdict(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> Verdict | None:
    """Why the change must not go on, by the hard rules for exactly this change; None where it may.

    Our own taint and the change itself refuse nothing. The node is in the snapshot.
    """
    node = snapshot.nodes[change.node]
    policy = governing(snapshot.policies, node)
    if isinstance(policy, Verdict):
        return policy
    if policy is None or policy.name != change.policy:
        return Verdict(
            node.name, Reason.NotGoverned, f"policy {change.policy} does not govern the node any more"
        )
    if evidence.config(node) != change.source:
        message = (
            f"planned from {change.source or 'no config'}, but the node has {evidence.config(node) or 'none'}"
        )
        return Verdict(node.name, Reason.Superseded, message)
    if change.cause is Cause.DRIFT:
        return _repaired(change, snapshot, node, policy, now)
    if (kept := draining.verdict(change, snapshot)) is not None:
        return kept
    snapshot = reserved.foreseen(change, draining.emptied(change, snapshot), now)
    assessment = eligibility.assess(snapshot, node, policy, now, ignore_change=change.name)
    if assessment.refusal is not None:
        return assessment.refusal
    if [(gpu.index, gpu.layout) for gpu in assessment.gpus] != [
        (gpu.index, gpu.before) for gpu in change.gpus
    ]:
        return Verdict(node.name, Reason.Superseded, "the layout is no longer the one that was planned from")
    return (
        _forbidden(change, policy, mode_change=assessment.mode_change)
        or _refused(change, snapshot, node)
        or in_use(change, snapshot, now)
        or _too_few(change, snapshot, node, policy)
    )


def _refused(change: ReconfigurationRow, snapshot: Snapshot, node: NodeRow) -> Verdict | None:
    """A layout of the change was refused on a node of its kind, since it was planned."""
    known = refused.of_node(snapshot, node, refused.by_kind(snapshot))
    if not any(gpu.changed and gpu.after in known for gpu in change.gpus):
        return None
    message = "the driver has refused the new layout on a node of its kind"
    return Verdict(change.node, Reason.LayoutRefused, message)


def _repaired(
    change: ReconfigurationRow, snapshot: Snapshot, node: NodeRow, policy: Policy, now: float
) -> Verdict | None:
    """Why the layout must not be made anew any more: somebody else has mended it, or may not be disturbed."""
    assessment = eligibility.assess(snapshot, node, policy, now, ignore_change=change.name)
    refusal = assessment.refusal
    if refusal is not None and refusal.reason not in drift.REPAIRABLE:
        return refusal
    if (busy := idleness.busy(snapshot, node.name, now)) != "":
        return Verdict(node.name, Reason.NodeBusy, busy)
    found = drift.drift(snapshot, node, now)
    if found is None or found.gpus != change.gpus:
        return Verdict(node.name, Reason.Superseded, "the node's layout is no longer the one that was found")
    return None


def apply_path(change: ReconfigurationRow, snapshot: Snapshot) -> Verdict | None:
    """Why the config cannot reach the node's mig-manager; None where it can.

    The policy is in the snapshot.
    """
    policy = snapshot.policies[change.policy]
    broken = eligibility.apply_path(snapshot, snapshot.nodes[change.node], policy)
    return broken or publishing.full(change, attempts.asked(change), snapshot)


def fits_still(change: ReconfigurationRow, snapshot: Snapshot) -> bool:
    """A pod of `serves` that still waits could be bound to the changed node as it is now."""
    node = snapshot.nodes[change.node]
    return bool(_together(change, snapshot, fitting.left(snapshot, node, ignore_change=change.name)))


def unproven(change: ReconfigurationRow, snapshot: Snapshot, since: float, now: float, until: float) -> str:
    """What does not show the promised layout yet, in a sentence; empty once everything does.

    An agent's reading that shows the promised layout is younger than the cut, whatever its clock says; one
    that is too old to be believed says nothing.

    Args:
        change: that mig-manager has applied.
        snapshot: the cluster, with the node.
        since: when mig-manager reported success (seconds since the epoch).
        now: seconds since the epoch.
        until: an agent that has not looked since then is waited for so long; its silence disproves nothing.
    """
    node, wanted = snapshot.nodes[change.node], evidence.after(change.gpus)
    if evidence.advertised(node) != wanted:
        return f"allocatable shows {_written(evidence.advertised(node))}, not {_written(wanted)}"
    found = evidence.discovered(node)
    labelled = tuple((resource, count) for resource, count in wanted if resource != names.GPU_RESOURCE)
    if found is not None and found != labelled:
        return f"GPU feature discovery shows {_written(found)}, not {_written(labelled)}"
    agent = snapshot.mignodes.get(change.node)
    if agent is None or not agent.gpus or now - agent.observed > idleness.STALE_SECONDS:
        return ""
    if evidence.shows(agent, change.gpus):
        return ""
    if agent.observed < since:
        return "the node's agent has not looked since the change" if now < until else ""
    return "the node's agent sees another layout than was promised"


def _forbidden(change: ReconfigurationRow, policy: Policy, *, mode_change: bool) -> Verdict | None:
    """What of the new layout the policy does not allow, as it reads now."""
    if any(gpu.before is None and gpu.after is not None for gpu in change.gpus) and not mode_change:
        message = f"policy {policy.name} does not allow to switch MIG mode on"
        return Verdict(change.node, Reason.ModeChangeForbidden, message)
    if not (denied := policy.denied(change.gpus)):
        return None
    message = f"policy {policy.name} does not allow {', '.join(denied)}"
    return Verdict(change.node, Reason.PolicyForbids, message)


def _too_few(change: ReconfigurationRow, snapshot: Snapshot, node: NodeRow, policy: Policy) -> Verdict | None:
    """Fewer pods than are worth it still wait and will fit; what is not for pods is worth it without any.

    Where the policy wants headroom, slices that stay free were worth something as well when it was planned.
    """
    if change.cause is not Cause.DEMAND:
        return None
    rest = Counter(fitting.left(snapshot, node, ignore_change=change.name))
    rest.subtract(dict(evidence.before(change.gpus)))
    rest.update(dict(evidence.after(change.gpus)))
    fit = len(_together(change, snapshot, rest))
    least = 1 if policy.headroom else policy.min_benefit
    if fit >= least:
        return None
    message = f"{fit} of {len(change.serves)} pods still wait and fit; {least} are asked for"
    return Verdict(node.name, Reason.BelowMinBenefit, message)


def _together(change: ReconfigurationRow, snapshot: Snapshot, rest: Mapping[str, int]) -> tuple[PodRow, ...]:
    """The pods of `serves` that still wait and fit on the node together, where so much is left of it."""
    node, repulsions = snapshot.nodes[change.node], fitting.repulsions(snapshot)
    free = Counter(rest)
    found: list[PodRow] = []
    for pod in pending(change, snapshot):
        if wanting.fits(pod, node, free) and not fitting.repelled(pod, node, repulsions):
            free.subtract(dict(pod.requests))
            found.append(pod)
    return tuple(found)


def _written(offered: Counts) -> str:
    return ", ".join(f"{count} x {resource}" for resource, count in offered) or "nothing"
