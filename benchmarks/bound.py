"""Upper bounds for the served levels that owe nothing to the solver: a linear relaxation of the bare problem.

Every node is on its own up to `MOST_ALONE` nodes; beyond, nodes of one kind (the same pods may go there, the
same GPU models) are one large node, which only raises the bound. Left out are all rules that only forbid: a
reshape must be of use, GPUs and pods are whole. The relaxation is solved with Clp's simplex method; the
solver's own bounds come from another model.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ortools.linear_solver import pywraplp

from solver.geometry import Geometry
from solver.problem import Counts, Node, Problem, Rank

MOST_ALONE = 100
_SLACK = 1e-6

Kind = tuple[Counts, Counts, frozenset[str]]
"""what a pod asks for and where it may go"""


def bounds(problem: Problem, values: Sequence[int]) -> list[int]:
    """The most that each served level can reach where those above reach at least these values.

    Args:
        problem: what is asked.
        values: of the served levels, the most important first, as a legal plan reaches them.

    Raises:
        RuntimeError: there are other levels than values, or Clp finds no optimum.
    """
    relaxation = _Relaxation(problem)
    if len(relaxation.levels) != len(values):
        raise RuntimeError(f"{len(values)} values are given for {len(relaxation.levels)} served levels")
    return [relaxation.most(level, value) for level, value in zip(relaxation.levels, values, strict=True)]


@dataclass(slots=True)
class _Place:
    """A node, or all nodes of one kind: what they have together."""

    kinds: frozenset[int]
    free: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    gpus: Counter[tuple[Geometry, frozenset[str] | None, Counts | None]] = field(default_factory=Counter)
    fits: Counter[int] = field(default_factory=Counter)


class _Relaxation:
    def __init__(self, problem: Problem) -> None:
        self._solver = pywraplp.Solver.CreateSolver("CLP")
        groups: defaultdict[Kind, Counter[tuple[Rank, int]]] = defaultdict(Counter)
        for pod in problem.pods:
            groups[pod.slices, pod.resources, pod.nodes][pod.rank, pod.weight] += 1
        self.levels = problem.ranks
        self._kinds = list(groups)
        self._terms: defaultdict[Rank, list[tuple[pywraplp.Variable, int]]] = defaultdict(list)
        self._everywhere: list[pywraplp.Constraint] = []
        for kind in self._kinds:
            row = self._solver.Constraint(-self._solver.infinity(), 0)
            for (rank, weight), count in sorted(groups[kind].items()):
                served = self._solver.NumVar(0, count, "")
                self._terms[rank].append((served, weight))
                row.SetCoefficient(served, 1)
            self._everywhere.append(row)
        for place in _places(problem, self._kinds):
            self._add(place)

    def most(self, level: Rank, value: int) -> int:
        """The level's bound; from then on the level must reach the value."""
        objective = self._solver.Objective()
        objective.Clear()
        objective.SetMaximization()
        for served, weight in self._terms[level]:
            objective.SetCoefficient(served, weight)
        if self._solver.Solve() != pywraplp.Solver.OPTIMAL:
            raise RuntimeError("Clp finds no optimum of the relaxation")
        found = math.floor(objective.Value() * (1 + 1e-9) + _SLACK)
        row = self._solver.Constraint(value, self._solver.infinity())
        for served, weight in self._terms[level]:
            row.SetCoefficient(served, weight)
        return found

    def _add(self, place: _Place) -> None:
        """Variables and rows of one place: how its GPUs are cut, which pods take slices and resources."""
        infinity = self._solver.infinity()
        supply = {
            name: self._solver.Constraint(-infinity, place.free[name])
            for kind in place.kinds
            for name, _ in self._kinds[kind][0]
        }
        rest = {
            name: self._solver.Constraint(-infinity, place.resources[name])
            for kind in place.kinds
            for name, _ in self._kinds[kind][1]
        }
        for (geometry, allowed, present), count in place.gpus.items():
            whole = self._solver.Constraint(-infinity, count)
            for layout in {*geometry.maximal_multisets(allowed), present or ()}:
                cut = self._solver.NumVar(0, count, "")
                whole.SetCoefficient(cut, 1)
                for name, amount in layout:
                    if name in supply:
                        supply[name].SetCoefficient(cut, -amount)
        for kind in sorted(place.kinds):
            if not place.fits[kind]:
                continue
            pods = self._solver.NumVar(0, place.fits[kind], "")
            self._everywhere[kind].SetCoefficient(pods, -1)
            for name, amount in self._kinds[kind][0]:
                supply[name].SetCoefficient(pods, amount)
            for name, amount in self._kinds[kind][1]:
                rest[name].SetCoefficient(pods, amount)


def _places(problem: Problem, kinds: Sequence[Kind]) -> list[_Place]:
    open_to: defaultdict[str, set[int]] = defaultdict(set)
    for number, (_, _, nodes) in enumerate(kinds):
        for name in nodes:
            open_to[name].add(number)
    alone = len(problem.nodes) <= MOST_ALONE
    places: dict[object, _Place] = {}
    for node in problem.nodes:
        admitted = frozenset(open_to[node.name])
        models = frozenset((gpu.geometry, node.profiles) for gpu in node.gpus)
        key = node.name if alone else (admitted, models)
        place = places.setdefault(key, _Place(admitted))
        _join(place, node, kinds)
    return list(places.values())


def _join(place: _Place, node: Node, kinds: Sequence[Kind]) -> None:
    idle = [gpu for gpu in node.gpus if gpu.changeable and (gpu.layout is not None or node.mode_change)]
    frozen = Counter(dict(node.free))
    for gpu in idle:
        frozen.subtract(dict(gpu.layout or ()))
        place.gpus[gpu.geometry, node.profiles, gpu.layout] += 1
    place.free.update(frozen)
    place.resources.update(dict(node.resources))
    most: Counter[str] = Counter(frozen)
    for gpu in idle:
        layouts = (*gpu.geometry.maximal_multisets(node.profiles), gpu.layout or ())
        for name in {name for layout in layouts for name, _ in layout}:
            most[name] += max(dict(layout).get(name, 0) for layout in layouts)
    for number in place.kinds:
        slices, resources, _ = kinds[number]
        have = dict(node.resources)
        place.fits[number] += min(
            *(most[name] // count for name, count in slices),
            *(have.get(name, 0) // count for name, count in resources),
        )
