"""Packing in which every pod that may move is placed anew, as a problem for the solver.

A node in play that no pod must stay on is shown to the solver with GPUs that are cut into nothing: who is
placed there makes it change, so that the fewest changed nodes are the fewest nodes in use. A node on which
some pod stays is in use anyway. Where its other GPUs may be cut anew, a GPU of an own model is added to it
with a pod for that GPU alone: so it changes in every answer, and never counts as one more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from autoslicer.core.consolidation.ground import Ground
from solver.check import check
from solver.geometry import Geometry
from solver.packing import Profile
from solver.problem import Gpu, Node, Pod, Problem, counts
from solver.solution import By, Change, Served, Solution, Status
from solver.solve import solve

_MARK = "in-use"
_MARKED = Geometry("in use", 1, 1, (), (Profile(_MARK, 1, 1, (0,), 1),))


@dataclass(frozen=True, slots=True)
class Anew:
    """A packing that may move every movable pod.

    Attributes:
        places: the node of each, by pod.
        fewest: no packing uses fewer of the nodes in play that no pod must stay on.
    """

    places: dict[str, str]
    fewest: int


def pack(ground: Ground, effort: int) -> Anew:
    """The best packing found with so much counted work; none uses more nodes than are used now."""
    marked = {name for name, node in ground.emptied.items() if name in ground.held and _may_change(node)}
    nodes = tuple(_cut_to_nothing(node, marked) for node in ground.emptied.values())
    marks = (_mark(name) for name in marked)
    pods = sorted((*ground.pods.values(), *marks), key=lambda pod: pod.name)
    problem = Problem(nodes, tuple(pods))
    found = solve(problem, effort=effort, start=_as_it_is(ground, marked))
    if check(problem, found) or len(found.served) < len(pods):
        return Anew(dict(ground.homes), 0)
    bound = next(level.bound for level in found.levels if level.name == "nodesChanged")
    places = {row.pod: row.node for row in found.served if row.pod in ground.homes}
    return Anew(places, max(0, (bound or 0) - len(marked)))


def _may_change(node: Node) -> bool:
    return any(gpu.changeable for gpu in node.gpus)


def _mark(name: str) -> Pod:
    """The pod that makes the node change in any case; no pod of a cluster has such a name."""
    return Pod(f"{_MARK}!/{name}", 0, ((_MARK, 1),), (), frozenset({name}))


def _marking_gpu(node: Node) -> Gpu:
    return Gpu(max(gpu.index for gpu in node.gpus) + 1, _MARKED, (), changeable=True)


def _cut_to_nothing(node: Node, marked: set[str]) -> Node:
    """The node where whatever may be cut anew holds nothing yet."""
    free = dict(node.free)
    for gpu in node.gpus:
        for profile, count in (gpu.layout or ()) if gpu.changeable else ():
            free[profile] -= count
    gpus = tuple(replace(gpu, layout=()) if gpu.changeable else gpu for gpu in node.gpus)
    cut = replace(node, gpus=gpus, free=counts(free))
    if node.name not in marked:
        return cut
    profiles = None if node.profiles is None else node.profiles | {_MARK}
    return replace(cut, gpus=(*gpus, _marking_gpu(node)), profiles=profiles)


def _as_it_is(ground: Ground, marked: set[str]) -> Solution:
    """Every pod where it is."""
    used = {*ground.homes.values(), *marked}
    served = [Served(pod, node, By.RESHAPE) for pod, node in ground.homes.items()]
    served += [Served(_mark(name).name, name, By.RESHAPE) for name in sorted(marked)]
    changes = [Change(*at, layout) for at, layout in ground.layouts.items() if at[0] in used]
    changes += [
        Change(name, _marking_gpu(ground.emptied[name]).index, ((_MARK, 1),)) for name in sorted(marked)
    ]
    return Solution(tuple(served), tuple(changes), (), Status.FEASIBLE)
