"""Pods that the scheduler cannot tell apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from autoslicer.core.rows import PodRow
from simulations.scheduler.queue import Waiting

_MOST = 4096
"""so many kinds are remembered besides those that wait"""


class Plugin(StrEnum):
    """The plugins of kube-scheduler that keep pods off nodes, in their order."""

    NODE_UNSCHEDULABLE = "NodeUnschedulable"
    TAINT_TOLERATION = "TaintToleration"
    NODE_AFFINITY = "NodeAffinity"
    NODE_RESOURCES_FIT = "NodeResourcesFit"
    INTER_POD_AFFINITY = "InterPodAffinity"


@dataclass(slots=True, eq=False)
class Shape:
    """Selector, affinity and tolerations, held against every node: what no pod that comes or goes changes.

    Attributes:
        pod: one that has it.
        version: of the nodes, for which it holds.
        obstacles: of each node, who keeps the pod off and in which words.
        open: the nodes without an obstacle.
        disliked: how many taints of effect PreferNoSchedule each node has for the pod.
        rejectors: who keeps it off some node.
        reasons: the words, counted.
    """

    pod: PodRow
    version: int = -1
    obstacles: list[tuple[Plugin, str] | None] = field(default_factory=list)
    open: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    disliked: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    rejectors: frozenset[Plugin] = frozenset()
    reasons: Counter[str] = field(default_factory=Counter)
    any_open: bool = False
    any_disliked: bool = False

    def count(self) -> None:
        """Derive what depends on all nodes."""
        self.rejectors = frozenset(found[0] for found in self.obstacles if found is not None)
        self.reasons = Counter(found[1] for found in self.obstacles if found is not None)
        self.any_open, self.any_disliked = bool(self.open.any()), bool(self.disliked.any())


@dataclass(slots=True, eq=False, kw_only=True)
class Kind(Waiting):
    """Pods of one shape that ask for the same, and those of them that wait.

    Attributes:
        nominated: the node that they are promised, or empty.
        looked: the count of gains up to which no node takes them; -1 where all are to be looked at.
    """

    requests: Mapping[str, int]
    nominated: str
    shape: Shape
    looked: int = -1


class Kinds:
    """Finds the kind of a pod."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, Kind] = {}
        self._shapes: dict[Hashable, Shape] = {}
        self._most = _MOST

    def shapes(self) -> list[Shape]:
        """All shapes."""
        return list(self._shapes.values())

    def of(self, pod: PodRow) -> Kind:
        """The pod's kind: the same object for all that the scheduler cannot tell apart."""
        same = (
            *(pod.namespace, tuple(sorted(pod.labels.items()))),
            *(pod.selector, pod.affinity, pod.tolerations),
        )
        key = (same, pod.priority, tuple(sorted(pod.requests.items())), pod.nominated)
        found = self._kinds.get(key)
        if found is None:
            shape = self._shapes.setdefault(same, Shape(pod))
            requests = {resource: amount for resource, amount in pod.requests.items() if amount}
            found = Kind(priority=pod.priority, requests=requests, nominated=pod.nominated, shape=shape)
            self._kinds[key] = found
        return found

    def forget(self) -> None:
        """Drop kinds of which no pod waits, when they have become many; not while a round is on."""
        if len(self._kinds) >= self._most:
            self._kinds = {key: kind for key, kind in self._kinds.items() if kind.runs}
            used = {id(kind.shape) for kind in self._kinds.values()}
            self._shapes = {key: shape for key, shape in self._shapes.items() if id(shape) in used}
            self._most = 2 * len(self._kinds) + _MOST
