"""Ways to empty nodes: which pods move, which GPUs are cut anew, and which nodes are in use then."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoslicer.core.consolidation.ground import Ground
from solver.check import check
from solver.problem import Node, Pod, Problem
from solver.solve import solve

_EFFORT = 1
"""counted work of the search whether certain nodes can be emptied, see `solver.solve`"""
_LOOKS = 4000
"""how often a node is looked at: so many sets of nodes are tried as that allows for all of them"""
_LEAST, _MOST = 8, 64
"""sets that are tried in any case, and at most"""

_Nodes = frozenset[str]
_NONE: _Nodes = frozenset()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to empty nodes.

    Attributes:
        used: the nodes in use afterwards, of those in play that no pod must stay on.
        moved: pods that move, or start anew where they are.
        recut: nodes with pods of which GPUs are cut anew.
    """

    used: _Nodes
    moved: int
    recut: _Nodes


def gently(known: Ground, used: _Nodes, most: int) -> Way:
    """Empty nodes one after the other, those with the fewest pods first, while all other pods stay.

    Nodes are tried by many at once, by fewer where that fails, and passed over alone. Not every set is tried,
    so that nothing is proven of the answer.

    Args:
        known: the cluster.
        used: the nodes that could be emptied.
        most: no packing empties more.
    """
    order, way, leaving = _fewest_pods_first(known, used), Way(used, 0, _NONE), _NONE
    at, chunk = 0, most
    for _ in range(_tries(known)):
        chunk = min(chunk, most - len(leaving), len(order) - at)
        if chunk < 1:
            break
        tried = leaving.union(order[at : at + chunk])
        found = _leaving(known, tried)
        if found is not None:
            way, leaving, at = found, tried, at + chunk
        elif chunk == 1:
            at += 1
        else:
            chunk //= 2
    return way


def tightly(known: Ground, used: _Nodes, places: Mapping[str, str]) -> Way:
    """Get along with as few nodes as `places` does, and start few pods anew for it.

    Args:
        known: the cluster.
        used: the nodes that could be emptied.
        places: a packing: the node of each pod that may move.
    """
    tight = _free_to_leave(known, places)
    least = frozenset(_fewest_pods_first(known, used)[: len(used) - len(tight)])
    for leaving, taking in ((least, _NONE), (used - tight, tight - used)):
        rest = _fewest_pods_first(known, frozenset(known.homes.values()) - leaving)
        if (way := _leaving(known, leaving, taking, frozenset(rest))) is None:
            continue
        failed, enough = -1, len(rest)
        for _ in range(_tries(known) // 4):
            if enough - failed < 2:
                break
            tried = (failed + enough) // 2
            found = _leaving(known, leaving, taking, frozenset(rest[:tried]))
            if found is None:
                failed = tried
            else:
                way, enough = min(way, found, key=lambda one: one.moved), tried
        return way
    return _way(known, places, frozenset(known.homes), _recut(known, places))


def _tries(known: Ground) -> int:
    return max(_LEAST, min(_MOST, _LOOKS // max(1, len(known.emptied))))


def _free_to_leave(known: Ground, places: Mapping[str, str]) -> _Nodes:
    return frozenset(places.values()) - known.held.keys()


def _fewest_pods_first(known: Ground, names: _Nodes) -> list[str]:
    size = Counter(known.homes.values())
    return sorted(names, key=lambda name: (size[name], name))


def _leaving(known: Ground, leaving: _Nodes, taking: _Nodes = _NONE, anew: _Nodes = _NONE) -> Way | None:
    """The pods leave some nodes, and may start anew on some; None where no way is found.

    Args:
        known: the cluster.
        leaving: the nodes that are to be empty.
        taking: nodes with nothing in use now that may take pods.
        anew: nodes whose pods may go, or start anew after a change of layouts. On all others they stay.
    """
    moving = frozenset(pod for pod, home in known.homes.items() if home in leaving or home in anew)
    nodes = (
        node
        for name in known.emptied
        if name not in leaving and (name in taking or name not in known.free)
        if (node := (known.emptied if name in anew else known.present).get(name)) is not None
    )
    problem = Problem(tuple(nodes), tuple(pod for name, pod in known.pods.items() if name in moving))
    found = solve(problem, effort=_EFFORT)
    if len(found.served) < len(moving) or check(problem, found):
        return None
    places = {**known.homes, **{row.pod: row.node for row in found.served}}
    return _way(known, places, moving, frozenset(change.node for change in found.changes))


def _way(known: Ground, places: Mapping[str, str], moving: _Nodes, recut: _Nodes) -> Way:
    """The way where pods end at these places.

    Of those that may move so many stay as the same node gets pods like them, where its layouts stay.
    """
    there: dict[str, Counter[Pod]] = defaultdict(Counter)
    for pod in moving:
        there[places[pod]][_kind(known, pod)] += 1
    stay = 0
    for pod in moving:
        home, kind = known.homes[pod], _kind(known, pod)
        if home not in recut and there[home][kind]:
            there[home][kind] -= 1
            stay += 1
    return Way(_free_to_leave(known, places), len(moving) - stay, recut)


def _kind(known: Ground, pod: str) -> Pod:
    return replace(known.pods[pod], name="")


def _recut(known: Ground, places: Mapping[str, str]) -> _Nodes:
    """The nodes whose present layouts do not serve the pods that are placed there."""
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    for pod, name in places.items():
        asked[name].update(dict(known.pods[pod].slices))
    return frozenset(name for name, slices in asked.items() if not _covers(known.emptied[name], slices))


def _covers(node: Node, slices: Mapping[str, int]) -> bool:
    have = dict(node.free)
    return all(have.get(name, 0) >= count for name, count in slices.items())
