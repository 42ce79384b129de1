"""Which of the nodes that may take a pod it goes to: kube-scheduler's default scores, in its integers."""

from __future__ import annotations

import numpy as np

from simulations.scheduler.kinds import Kind
from simulations.scheduler.nodes import MISSING, Amounts, Nodes

MOST = 100
TAINT_WEIGHT = 3
"""of TaintToleration; those of LeastAllocated and BalancedAllocation are 1"""
MIN_FEASIBLE, MIN_PERCENT = 100, 5


def enough(nodes: int) -> int:
    """How many nodes that may take a pod are looked for; as `numFeasibleNodesToFind`."""
    if nodes < MIN_FEASIBLE:
        return nodes
    return max(nodes * max(50 - nodes // 125, MIN_PERCENT) // 100, MIN_FEASIBLE)


def best(nodes: Nodes, kind: Kind, chosen: Amounts) -> int:
    """Of these nodes the first with the highest score; kube-scheduler draws among equals."""
    return int(chosen[int(total(nodes, kind, chosen).argmax())])


def total(nodes: Nodes, kind: Kind, chosen: Amounts) -> Amounts:
    """The weighted sum of the scores of these nodes.

    Node affinity, topology spread, inter-pod affinity and images give every node the same here: what they
    prefer is not modelled.
    """
    scores = least_allocated(nodes, kind, chosen) + balanced(nodes, kind, chosen)
    if kind.shape.any_disliked:
        disliked = kind.shape.disliked[chosen]
        if most := int(disliked.max()):
            scores = scores + TAINT_WEIGHT * (MOST - MOST * disliked // most)
    return scores


def least_allocated(nodes: Nodes, kind: Kind, chosen: Amounts) -> Amounts:
    """The mean share of cpu and memory that is left, where what is not asked for counts as something."""
    shares, weight = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)
    for resource, missing in MISSING.items():
        offered = nodes.allocatable(resource)[chosen]
        left = offered - nodes.scored(resource)[chosen] - kind.requests.get(resource, missing)
        shares += np.maximum(left, 0) * MOST // np.maximum(offered, 1)
        weight += offered > 0
    scores: Amounts = shares // np.maximum(weight, 1)
    return scores


def balanced(nodes: Nodes, kind: Kind, chosen: Amounts) -> Amounts | int:
    """How much nearer the shares of cpu and memory in use come to each other, if either is asked for."""
    cpu, memory = kind.requests.get("cpu", 0), kind.requests.get("memory", 0)
    if not cpu and not memory:
        return 0
    after, before = _balance(nodes, chosen, cpu, memory), _balance(nodes, chosen, 0, 0)
    scores: Amounts = MOST // 2 + (MOST // 2 + after - before) // 2
    return scores


def _balance(nodes: Nodes, chosen: Amounts, cpu: int, memory: int) -> Amounts:
    shares, both = [], np.ones(len(chosen), np.bool_)
    for resource, amount in (("cpu", cpu), ("memory", memory)):
        offered = nodes.allocatable(resource)[chosen]
        used = offered - nodes.free(resource)[chosen] + amount
        shares.append(np.minimum(used / np.maximum(offered, 1), 1.0))
        both &= offered > 0
    deviation = np.where(both, np.abs((shares[0] - shares[1]) / 2), 0.0)
    balance: Amounts = ((1 - deviation) * MOST).astype(np.int64)
    return balance
