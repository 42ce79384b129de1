"""Whose demand keeps an idle node as it is: any pod that waits and could be bound there, whoever binds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autoslicer.core import fitting
from autoslicer.core.rows import NodeRow, PodRow, Repulsion
from autoslicer.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Waiting:
    """The pods that wait for slices.

    Attributes:
        pods: one of each kind, by key.
        repulsions: see `fitting.repulsions`.
    """

    pods: tuple[PodRow, ...]
    repulsions: frozenset[tuple[Repulsion, str]]


def waiting(snapshot: Snapshot) -> Waiting:
    """The pods without a node that ask for slices, also of other schedulers, or opted out."""
    repulsions = fitting.repulsions(snapshot)
    found: dict[object, PodRow] = {}
    for pod in sorted(_unbound(snapshot.pods.values()), key=lambda pod: pod.key):
        crowd = (pod.namespace, tuple(sorted(pod.labels.items()))) if repulsions else ()
        asked = tuple(pod.requests.items())
        kind = (asked, pod.selector, pod.affinity, pod.tolerations, bool(pod.unknown), crowd)
        found.setdefault(kind, pod)
    return Waiting(tuple(found.values()), repulsions)


def wanting(snapshot: Snapshot, node: NodeRow, found: Waiting, *, ignore_change: str = "") -> PodRow | None:
    """A pod that could be bound to the node as it is; `ignore_change` names a change of it."""
    free = fitting.left(snapshot, node, ignore_change=ignore_change)
    for pod in found.pods:
        if fits(pod, node, free) and not fitting.repelled(pod, node, found.repulsions):
            return pod
    return None


def fits(pod: PodRow, node: NodeRow, free: Mapping[str, int]) -> bool:
    """So much is left of the node for the pod, and nothing else keeps it away."""
    enough = all(free.get(resource, 0) >= amount for resource, amount in pod.requests.items())
    return enough and fitting.fits(pod, node, free, own_taint=True) is None


def _unbound(pods: Iterable[PodRow]) -> Iterable[PodRow]:
    free = (pod for pod in pods if not (pod.node or pod.finished or pod.terminating or pod.gated))
    return (pod for pod in free if fitting.slices(pod.requests))
