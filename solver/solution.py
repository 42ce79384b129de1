"""What the solver answers: who is served where, which GPUs change to what, and how good that provably is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from solver.problem import Counts, Rank


class By(StrEnum):
    """How a pod is served."""

    FREE = "free"
    """by slices that are free now and stay as they are"""
    RESHAPE = "reshape"
    """by a node that changes; at least one of its slices does not exist yet or is freed by the change"""


class Status(StrEnum):
    """How sure the answer is."""

    OPTIMAL = "Optimal"
    """every level up to the changed GPUs is proven"""
    FEASIBLE = "Feasible"
    """legal, and within the levels' bounds"""
    FALLBACK = "Fallback"
    """the search failed; this is the greedy answer"""


@dataclass(frozen=True, slots=True)
class Served:
    """Pod `pod` is served on node `node`."""

    pod: str
    node: str
    by: By


@dataclass(frozen=True, slots=True, order=True)
class Reserve:
    """Of headroom `headroom` (its position in the problem) `count` slices stay free on node `node`."""

    headroom: int
    node: str
    by: By
    count: int


@dataclass(frozen=True, slots=True)
class Eviction:
    """Tenant `pod` is evicted from node `node`, and its replacement is served on node `to`.

    That is the same node, or one that evicts nobody. So every first part of a plan is a plan where the nodes
    that evict somebody come last.
    """

    pod: str
    node: str
    to: str
    by: By


@dataclass(frozen=True, slots=True)
class Change:
    """GPU `gpu` of node `node` gets the multiset `layout`, which differs from the present one."""

    node: str
    gpu: int
    layout: Counts


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the lexicographic objective.

    Attributes:
        name: servedWeight, headroom, evictions, nodesChanged, gpusChanged or spare.
        rank: for servedWeight the pods' rank; None for the others.
        value: what the solution reaches.
        bound: what no solution with the same values on the levels above can pass (upper for servedWeight,
            headroom and spare, lower for costs); None where nothing is known.
    """

    name: str
    rank: Rank | None
    value: int
    bound: int | None


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan in the solver's words.

    Attributes:
        served: sorted by pod.
        changes: sorted by node and GPU.
        levels: in order of importance.
        status: how sure it is.
        headroom: what of it is kept free; sorted by its position, then by node, then by how.
        evictions: sorted by pod.
    """

    served: tuple[Served, ...]
    changes: tuple[Change, ...]
    levels: tuple[Level, ...]
    status: Status
    headroom: tuple[Reserve, ...] = ()
    evictions: tuple[Eviction, ...] = ()
