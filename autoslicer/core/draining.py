"""The evictions of a change: which may start, what is asked for, and when the change must not go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from autoslicer.core import evictable, fitting, leaving
from autoslicer.core.actions import Evict, Leaver
from autoslicer.core.nodes import evidence
from autoslicer.core.plan import Reshape, Verdict
from autoslicer.core.policy import Eviction
from autoslicer.core.reasons import Reason
from autoslicer.core.recommendations import set_aside
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import MOST_EVICTED, MOST_OF_NAMESPACE, namespace

RETRY_SECONDS = 5.0
"""between two looks at pods that a disruption budget keeps, or that are to end by themselves"""


def held(reshape: Reshape, changing: Collection[str]) -> Verdict | None:
    """Why a reshape that evicts pods may not start yet: the places of their replacements come first.

    Args:
        reshape: of the plan.
        changing: the nodes that are in a change, or about to be.
    """
    first = (*reshape.after, *(node for node in reshape.replacements if node in changing))
    if not first:
        return None
    message = f"the pods that it evicts go to {first[0]}, which must change first"
    return Verdict(reshape.node, Reason.DrainBlocked, message)


def crowded(change: ReconfigurationRow, leaving: Collection[str]) -> Verdict | None:
    """Why no more pods may be evicted now; None where the change evicts none, or few enough.

    Args:
        change: that is to start.
        leaving: the pods that changes under way evict.
    """
    if not change.evicts:
        return None
    spaces = Counter(map(namespace, (*leaving, *change.evicts)))
    full = any(spaces[namespace(pod)] > MOST_OF_NAMESPACE for pod in change.evicts)
    if spaces.total() <= MOST_EVICTED and not full:
        return None
    message = (
        f"no more than {MOST_EVICTED} pods are evicted at once, and {MOST_OF_NAMESPACE} of one namespace"
    )
    return Verdict(change.node, Reason.DrainBlocked, message)


def allowance(change: ReconfigurationRow, snapshot: Snapshot, idle: float) -> float:
    """How many seconds the node may take to be idle: `idle` where nobody has to leave, else the policy's."""
    policy = snapshot.policies[change.policy]
    if change.reserve:
        return policy.reserve.timeout_seconds
    return policy.drain_timeout_seconds if change.evicts else idle


def emptied(change: ReconfigurationRow, snapshot: Snapshot) -> Snapshot:
    """The cluster as it will be once the pods that the change evicts have left its node."""
    if not change.evicts:
        return snapshot
    gone = {pod.key for pod in _leavers(change, snapshot)}
    return leaving.without(snapshot, [change.node], gone, frozenset(change.evicts))


def verdict(change: ReconfigurationRow, snapshot: Snapshot) -> Verdict | None:
    """Why the pods must not be evicted, or not all of them, as things are now; None where they may.

    Those that have left, or are leaving, are no reason.
    """
    staying = _staying(change, snapshot)
    if not staying:
        return None
    policy = snapshot.policies[change.policy]
    if policy.eviction is Eviction.NEVER:
        return Verdict(change.node, Reason.DrainBlocked, f"policy {policy.name} forbids evictions by now")
    highest = max((pod.priority for pod in fitting.promised(snapshot, change)), default=-(2**31))
    for pod in staying:
        why = evictable.kept(snapshot, pod)
        if not why and pod.priority >= highest:
            why = "has no lower priority than the pods that would take its place"
        if why:
            return Verdict(change.node, Reason.DrainBlocked, f"pod {pod.key} {why}")
    homeless = _homeless(change, snapshot)
    if homeless is None:
        return None
    message = f"no place is left for the replacement of pod {homeless.key}"
    return Verdict(change.node, Reason.DrainBlocked, message)


def evictions(change: ReconfigurationRow, snapshot: Snapshot) -> tuple[Evict, ...]:
    """What is still to be asked for, in the order of the pods."""
    staying = _staying(change, snapshot)
    leavers = tuple(Leaver(pod.namespace, pod.name, pod.uid) for pod in staying)
    return (Evict(leavers),) if leavers else ()


def _leavers(change: ReconfigurationRow, snapshot: Snapshot) -> list[PodRow]:
    """The pods to evict that are on the node; a younger one of the same name is another pod."""
    found = (snapshot.pods.get(key) for key in sorted(change.evicts))
    return [
        pod for pod in found if pod is not None and pod.node == change.node and pod.created <= change.created
    ]


def _staying(change: ReconfigurationRow, snapshot: Snapshot) -> list[PodRow]:
    """Of them those that run and have not been asked to go."""
    return [pod for pod in _leavers(change, snapshot) if not (pod.finished or pod.terminating)]


def _homeless(change: ReconfigurationRow, snapshot: Snapshot) -> PodRow | None:
    """A pod whose replacement fits nowhere once all have gone; the largest ones choose first.

    What other changes will bring is not there yet.
    """
    after = emptied(change, set_aside(snapshot))
    repulsions = fitting.repulsions(after)
    rest = {change.node: _as_changed(change, after)}
    staying = _staying(change, snapshot)
    for pod in sorted(staying, key=lambda pod: (-sum(fitting.slices(pod.requests).values()), pod.key)):
        for name in sorted(after.nodes, key=lambda name: (name != change.node, name)):
            node = after.nodes[name]
            if fitting.live_change(after, name, ignore_change=change.name) is not None:
                continue
            if name not in rest:
                rest[name] = Counter(fitting.left(after, node))
            fits = fitting.fits(pod, node, rest[name], own_taint=name == change.node) is None
            room = fits and _has(rest[name], fitting.slices(pod.requests))
            if room and not fitting.repelled(pod, node, repulsions):
                rest[name].subtract(pod.requests)
                break
        else:
            return pod
    return None


def _as_changed(change: ReconfigurationRow, after: Snapshot) -> Counter[str]:
    """What is left of the changed node once the pods that it serves are there."""
    rest = Counter(fitting.left(after, after.nodes[change.node], ignore_change=change.name))
    rest.subtract(dict(evidence.before(change.gpus)))
    rest.update(dict(evidence.after(change.gpus)))
    for pod in fitting.promised(after, change):
        rest.subtract(pod.requests)
    return rest


def _has(rest: Mapping[str, int], slices: Mapping[str, int]) -> bool:
    have = fitting.slices({resource: amount for resource, amount in rest.items() if amount > 0})
    return all(have.get(profile, 0) >= count for profile, count in slices.items())
