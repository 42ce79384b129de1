"""The scheduler's predicates: which nodes a pod may go to, and what is left there.

What is modelled: resources, node name and selector, required node affinity, taints and tolerations, cordons,
and the required anti-affinity of pods that run already. What is not is listed in
`reading.predicates.UNKNOWN_PREDICATES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoslicer.core import names
from autoslicer.core.causes import Cause
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase, live, phase, started
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import (
    NodeRow,
    PodRow,
    ReconfigurationRow,
    Repulsion,
    Requirement,
    Taint,
    Toleration,
)
from autoslicer.core.selectors import matches, meets
from autoslicer.core.snapshot import Snapshot
from solver.profile_name import profile_of_resource

_REPELLING_EFFECTS = ("NoSchedule", "NoExecute")


def slices(requests: Mapping[str, int]) -> dict[str, int]:
    """The MIG slices in a list of resources, by profile, sorted."""
    found = {profile_of_resource(resource): amount for resource, amount in requests.items() if amount}
    return {profile: found[profile] for profile in sorted(name for name in found if name)}


def others(requests: Mapping[str, int]) -> dict[str, int]:
    """The resources in a list that are no MIG slices, sorted."""
    return {r: amount for r, amount in sorted(requests.items()) if profile_of_resource(r) is None}


def live_change(snapshot: Snapshot, node: str, *, ignore_change: str = "") -> ReconfigurationRow | None:
    """The change of the node that has not ended, unless it is the one to ignore; or None."""
    changes = snapshot.history.get(node, ())
    return next((change for change in changes if live(change) and change.name != ignore_change), None)


def left(snapshot: Snapshot, node: NodeRow, *, ignore_change: str = "") -> dict[str, int]:
    """What is left of every resource of a node, sorted; negative where pods hold more than the node offers.

    A live change counts as done, unless it is the one to ignore: the node offers the slices of its target,
    and the pods it serves hold theirs already. One that gives a node its layout back counts once it starts.
    """
    change = live_change(snapshot, node.name, ignore_change=ignore_change)
    if change is not None and change.cause is Cause.DRIFT and not started(change):
        change = None
    offered = dict(node.allocatable)
    holders = list(snapshot.tenants.get(node.name, ()))
    if change is not None:
        offered = {resource: amount for resource, amount in offered.items() if not _is_gpu(resource)}
        if phase(change) is not Phase.ROLLING_BACK:
            offered.update(evidence.after(change.gpus))
        holders += promised(snapshot, change)
    for pod in holders:
        for resource, amount in pod.requests.items():
            offered[resource] = offered.get(resource, 0) - amount
    return dict(sorted(offered.items()))


def promised(snapshot: Snapshot, change: ReconfigurationRow) -> tuple[PodRow, ...]:
    """The pods of a change's `serves` that still wait for a node; none once it is being set back.

    One that was made anew under its name and asks for no slice is none of them.
    """
    if phase(change) is Phase.ROLLING_BACK:
        return ()
    found = (snapshot.pods.get(key) for key in change.serves)
    waiting = (pod for pod in found if pod is not None and not pod.node and not pod.finished)
    return tuple(pod for pod in waiting if slices(pod.requests))


def _is_gpu(resource: str) -> bool:
    return resource == names.GPU_RESOURCE or resource.startswith(names.MIG_RESOURCE_PREFIX)


def closed(node: NodeRow) -> Verdict | None:
    """Why no pod at all may come to the node."""
    if node.terminating:
        return Verdict(node.name, Reason.NotReady, "the node is being deleted")
    if not node.ready:
        return Verdict(node.name, Reason.NotReady, "the node is not Ready")
    if node.unschedulable:
        return Verdict(node.name, Reason.Cordoned, "the node is cordoned")
    return None


def fits(pod: PodRow, node: NodeRow, rest: Mapping[str, int], *, own_taint: bool = False) -> Verdict | None:
    """Why the pod cannot go to the node, slices aside.

    Args:
        pod: that waits.
        node: that may take it.
        rest: what is left of the node's resources, see `left`.
        own_taint: our own taint stands in nobody's way, for it will go.
    """
    if pod.unknown:
        return Verdict(pod.key, Reason.UnknownPredicate, unknown(pod))
    if (verdict := closed(node)) is not None:
        return Verdict(pod.key, verdict.reason, f"{node.name}: {verdict.message}")
    lacking = [
        resource for resource, amount in others(pod.requests).items() if rest.get(resource, 0) < amount
    ]
    if lacking:
        return Verdict(
            pod.key, Reason.InsufficientResources, f"{node.name} has not enough {', '.join(lacking)}"
        )
    if (taint := untolerated(pod, node, own_taint=own_taint)) is not None:
        return Verdict(
            pod.key, Reason.TaintNotTolerated, f"does not tolerate {written(taint)} of {node.name}"
        )
    if not selected(pod, node):
        return Verdict(pod.key, Reason.NodeAffinityMismatch, f"its selector or affinity excludes {node.name}")
    return None


def unknown(pod: PodRow) -> str:
    """What of the pod is not modelled, in a sentence."""
    return f"its node cannot be promised, for it has {', '.join(pod.unknown)}"


def written(taint: Taint) -> str:
    """A taint as kubectl writes it."""
    return f"{taint.key}{'=' if taint.value else ''}{taint.value}:{taint.effect}"


def selected(pod: PodRow, node: NodeRow) -> bool:
    """The node has what the pod's node selector and required node affinity ask for."""
    if any(node.labels.get(key) != value for key, value in pod.selector):
        return False
    if pod.affinity is None:
        return True
    # a term without any requirement matches no node
    return any(term and all(_meets(requirement, node) for requirement in term) for term in pod.affinity)


def _meets(requirement: Requirement, node: NodeRow) -> bool:
    # metadata.name is the only field that a node has for the scheduler
    return meets(requirement, {"metadata.name": node.name} if requirement.field else node.labels)


def untolerated(pod: PodRow, node: NodeRow, *, own_taint: bool = False) -> Taint | None:
    """The first taint that keeps the pod off the node."""
    for taint in node.taints:
        passes = taint.effect not in _REPELLING_EFFECTS or (own_taint and taint.key == names.TAINT)
        if not passes and not any(tolerates(toleration, taint) for toleration in pod.tolerations):
            return taint
    return None


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration puts up with a taint.

    An operator that is not known (numeric ones are alpha) tolerates nothing.
    """
    if toleration.effect not in ("", taint.effect):
        return False
    if toleration.operator == "Exists":
        return toleration.key in ("", taint.key)
    return toleration.operator == "Equal" and (toleration.key, toleration.value) == (taint.key, taint.value)


def repulsions(snapshot: Snapshot) -> frozenset[tuple[Repulsion, str]]:
    """The required anti-affinity of pods that hold a place, each with the topology value it reigns over."""
    return frozenset(
        (repulsion, snapshot.nodes[name].labels[repulsion.topology])
        for name, pods in snapshot.tenants.items()
        if name in snapshot.nodes
        for pod in pods
        for repulsion in pod.repels
        if repulsion.topology in snapshot.nodes[name].labels
    )


def repelled(pod: PodRow, node: NodeRow, repulsions: Iterable[tuple[Repulsion, str]]) -> bool:
    """A pod that runs keeps this pod off the node."""
    return any(
        node.labels.get(repulsion.topology) == value
        and (repulsion.namespaces is None or pod.namespace in repulsion.namespaces)
        and matches(repulsion.selector, pod.labels)
        for repulsion, value in repulsions
    )
