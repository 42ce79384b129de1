"""In which order a plan's changes start where not all may: namespaces take turns.

A plan serves as many pods as it can, and where a budget lets few nodes change at once, the namespace with
most pods would have them all. So among changes of the same rank the one goes first that serves a namespace
which had the fewest changes lately.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

from autoslicer.core.phases import started
from autoslicer.core.plan import Reshape
from autoslicer.core.policy import Policy
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot

LATELY_SECONDS = 3600.0
"""changes that started so long ago count, those that are under way always do"""
Rank = tuple[int, bool]
"""the priority of a pod, and whether it starves: the later in order, the sooner it is served"""
_LAST: Rank = (-(2**63), False)


def ordered(
    snapshot: Snapshot, policies: Mapping[str, Policy], reshapes: Iterable[Reshape], now: float
) -> tuple[Reshape, ...]:
    """The same reshapes in the order in which they may start.

    Those that serve a pod of a higher rank come first. Among those of one rank the namespace whose share of
    the changes is smallest has its turn, and of its reshapes the first one in the plan's order.
    """
    found = tuple(reshapes)
    if len(found) < 2:
        return found
    ranks = [_rank(snapshot, policies[reshape.policy], reshape, now) for reshape in found]
    had = _had(snapshot, now)
    turns = [(*_behind(rank), 0.0, place) for place, rank in enumerate(ranks)]
    heapq.heapify(turns)
    order: list[Reshape] = []
    while turns:
        *rank, level, place = heapq.heappop(turns)
        shares = _shares(found[place].serves)
        least = min((had.get(namespace, 0.0) for namespace in shares), default=0.0)
        if least > level:
            # shares only grow, so that a turn which is looked at again can only come later
            heapq.heappush(turns, (rank[0], rank[1], least, place))
            continue
        order.append(found[place])
        _add(had, shares)
    return tuple(order)


def _had(snapshot: Snapshot, now: float) -> dict[str, float]:
    """The changes that each namespace had lately; one that serves several is shared among them."""
    had: dict[str, float] = {}
    for change in snapshot.changes.values():
        begun = change.status.started
        if started(change) or (begun is not None and begun > now - LATELY_SECONDS):
            _add(had, _shares(change.serves))
    return had


def _add(had: dict[str, float], shares: Mapping[str, float]) -> None:
    for namespace, share in shares.items():
        had[namespace] = had.get(namespace, 0.0) + share


def _shares(serves: tuple[str, ...]) -> dict[str, float]:
    """Each namespace's part of the pods."""
    found = Counter(key.partition("/")[0] for key in serves)
    return {namespace: count / len(serves) for namespace, count in found.items()}


def _rank(snapshot: Snapshot, policy: Policy, reshape: Reshape, now: float) -> Rank:
    """The highest rank of the pods that a reshape serves."""
    pods = (snapshot.pods[key] for key in reshape.serves if key in snapshot.pods)
    return max((_rank_of(pod, policy, now) for pod in pods), default=_LAST)


def _rank_of(pod: PodRow, policy: Policy, now: float) -> Rank:
    return pod.priority, now >= policy.objective.starves_at(pod.created)


def _behind(rank: Rank) -> tuple[int, int]:
    """The rank as a key that sorts higher ranks first."""
    return -rank[0], -int(rank[1])
