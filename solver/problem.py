"""What is asked of the solver: nodes with GPUs that may or may not change, and pods that wait for slices."""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from solver.geometry import Geometry

Counts = tuple[tuple[str, int], ...]
"""A multiset in canonical form: (name, count) sorted by name, every count positive."""


def counts(items: Mapping[str, int] | Iterable[tuple[str, int]]) -> Counts:
    """The canonical form of a multiset: sorted by name, without zero counts.

    Raises:
        ValueError: a count is negative.
    """
    pairs = sorted(items.items() if isinstance(items, Mapping) else items)
    for name, count in pairs:
        if count < 0:
            raise ValueError(f"the count of {name} is {count}; it must not be negative")
    return tuple((name, count) for name, count in pairs if count)


MOST_EVICTED, MOST_OF_NAMESPACE = 14, 7
"""tenants that one node's change evicts, and of one namespace: a GPU holds seven"""


def namespace(tenant: str) -> str:
    """That of a tenant called `namespace/name`."""
    return tenant.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU of a node.

    Attributes:
        index: the GPU's index on its node (NVML order).
        geometry: what this GPU can hold.
        layout: the multiset of profiles that it is cut into now; None while its MIG mode is off.
        changeable: it is proven idle and may get another layout. Where `layout` is None, changing it also
            needs `Node.mode_change`.
        tenants: of a GPU that is in use by nothing else, the names of the tenants that use it; it may change
            where all of them are evicted, though it is not `changeable`.
        idle: of a GPU with tenants, its slices that are free.
    """

    index: int
    geometry: Geometry
    layout: Counts | None
    changeable: bool
    tenants: frozenset[str] = frozenset()
    idle: Counts = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node that pods may be placed on.

    Attributes:
        name: unique in the problem.
        gpus: every GPU of the node, by index; empty for a node of which only the free slices matter.
        free: free slices by profile, over all GPUs of the node, as it is now. The layouts of the changeable
            GPUs are part of it.
        resources: what is left of every other resource (cpu in thousandths, memory in bytes, pods, ...).
        profiles: the profiles that a new layout may use; None for all.
        min_benefit: a reshape of this node must serve at least so many pods.
        mode_change: GPUs whose MIG mode is off may be switched on. It is only set where every GPU of the node
            is idle, for a mode change makes all MIG GPUs of the node anew: then no pod is served there by a
            slice that stays.
    """

    name: str
    gpus: tuple[Gpu, ...]
    free: Counts
    resources: Counts
    profiles: frozenset[str] | None = None
    min_benefit: int = 1
    mode_change: bool = False


class Rank(NamedTuple):
    """What makes pods equally important; a greater rank is strictly more important.

    Attributes:
        priority: the Kubernetes priority.
        starved: the pods have waited so long that they go just before the others of their priority.
    """

    priority: int
    starved: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that waits for slices.

    Attributes:
        name: `namespace/name`, unique in the problem.
        priority: the Kubernetes priority; levels are strict between different values.
        slices: slices asked for, by profile; all must lie on one node.
        resources: everything else asked for, in the units of `Node.resources`.
        nodes: the names of the nodes where every predicate that does not count resources holds.
        order: position among equals; smaller goes first (older, then by name).
        weight: what serving it counts for among pods of its rank; at least 1.
        starved: it goes before the pods of its priority that are not.
    """

    name: str
    priority: int
    slices: Counts
    resources: Counts
    nodes: frozenset[str]
    order: int = 0
    weight: int = 1
    starved: bool = False

    @property
    def rank(self) -> Rank:
        """Levels are strict between different ranks."""
        return Rank(self.priority, self.starved)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A running pod that may be evicted from the GPUs that name it, all of one node.

    Attributes:
        name: `namespace/name`, unique in the problem.
        priority: the Kubernetes priority.
        slices: that it holds, by profile, and that its replacement asks for.
        resources: everything else that it has, in the units of `Node.resources`; the node gets them back.
        nodes: the names of the nodes where its replacement may run, as far as no resources are counted.
    """

    name: str
    priority: int
    slices: Counts
    resources: Counts
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Headroom:
    """Slices that are to stay free, each wanted less than any pod, and nothing else of a node.

    What is kept free of them counts for a node's `min_benefit` as pods do.

    Attributes:
        profile: of each slice.
        count: how many; more than these are worth nothing.
        nodes: the names of the nodes where they may be.
    """

    profile: str
    count: int
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Problem:
    """Nodes, pods and tenants, each sorted by name and unique, and the headroom that is asked for.

    Raises:
        ValueError: on construction, when names repeat or are out of order.
    """

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    headroom: tuple[Headroom, ...] = ()
    tenants: tuple[Tenant, ...] = ()

    def __post_init__(self) -> None:
        for kind, rows in (("node", self.nodes), ("pod", self.pods), ("tenant", self.tenants)):
            names = list(map(operator.attrgetter("name"), rows))
            if any(map(operator.ge, names, islice(names, 1, None))):
                raise ValueError(f"the {kind} names of a problem must be sorted and unique")

    def including(self, pods: Iterable[Pod]) -> Problem:
        """The problem with more pods, which costs little where they are few.

        Raises:
            ValueError: a name repeats.
        """
        rows, name = list(self.pods), operator.attrgetter("name")
        for pod in pods:
            at = bisect_left(rows, pod.name, key=name)
            if at < len(rows) and rows[at].name == pod.name:
                raise ValueError(f"the pod {pod.name} is in the problem already")
            rows.insert(at, pod)
        # the rest is sorted as it was, and is not looked at again
        made = copy(self)
        object.__setattr__(made, "pods", tuple(rows))
        return made

    @property
    def ranks(self) -> tuple[Rank, ...]:
        """The ranks of the pods, the most important first."""
        return tuple(sorted({pod.rank for pod in self.pods}, reverse=True))

    @property
    def goals(self) -> tuple[Rank | None, ...]:
        """The levels that count what is served: the pods' ranks, then None where headroom is asked for."""
        return (*self.ranks, *((None,) if self.headroom else ()))
