"""The levels one after the other: each is optimised while those above keep what they reached."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence

from ortools.sat.python import cp_model

from solver.draft import Draft, prune
from solver.instance import Instance
from solver.merit import Bounds, Merit, certain, merit
from solver.model.benefit import require_benefit
from solver.model.evictions import require_few, require_replacements, require_room_made
from solver.model.site import Expr, SiteModel, total

_DISTINCT = 10**6
"""the most values of an objective that stands for several ranks: far more and relaxations lose precision"""


def improve(instance: Instance, start: Draft, effort: float, known: Bounds) -> tuple[Draft, Bounds, float]:
    """The best plan found from `start`, the bounds of its levels, and the effort spent.

    One worker, a fixed seed and counted work: the same input gives the same plan on any machine.

    Args:
        instance: what is asked.
        start: a legal plan; the answer is never worse.
        effort: CP-SAT's deterministic time for all levels together.
        known: bounds of the levels, given that those above are what `start` makes them.
    """
    search = _Search(instance, start, effort, known)
    try:
        bounds = search.run()
    finally:
        # the library's model refers to itself, and would keep its memory until a full garbage collection
        vars(search.model).clear()
    return search.best, bounds, effort - search.left


class _Search:
    """One program and the best plan known of it."""

    def __init__(self, instance: Instance, start: Draft, effort: float, known: Bounds) -> None:
        self.instance, self.best, self.left = instance, start, effort
        self.known = _still_known(instance, start, known)
        self.proven = True
        self.model = cp_model.CpModel()
        self.sites = [SiteModel(self.model, instance, s) for s in range(len(instance.sites))]
        for site in self.sites:
            if (site.site.node.min_benefit > 1 or site.moves) and site.given:
                require_benefit(site)
            if site.evicted:
                require_room_made(site)
                require_few(site)
        for q, group in enumerate(instance.classes):
            if group.tenant is not None:
                require_replacements(self.model, self.sites, q)
                continue
            pods = [site.pods[q] for site in self.sites if q in site.pods]
            self.model.add(total(pods) <= len(group.pods))

    def run(self) -> Bounds:
        """Solve every level; afterwards `best` is the plan and `left` the effort that was not needed."""
        ceiling = self.known.served
        served = [0] * len(ceiling)
        for window in _windows(ceiling):
            served[window.start : window.stop] = self._served(window, ceiling)
        gone = total(e for site in self.sites for e in site.evicted.values())
        evictions = -self._maximise(-gone, lambda m: -m.evictions, 0)
        nodes = -self._maximise(
            -total(site.opened for site in self.sites), lambda m: -m.nodes, -(self.known.nodes or 0)
        )
        nodes_proven = self.proven
        gpus = -self._maximise(
            -total(z for site in self.sites for z in site.given), lambda m: -m.gpus, -(self.known.gpus or 0)
        )
        if not self.best.layouts:
            return Bounds(tuple(served), nodes, gpus, 0, evictions)
        free = total(site.spare() for site in self.sites)
        spare = self._maximise(free, lambda m: m.spare, sys.maxsize, last=True)
        last = spare if self.proven else None
        return Bounds(tuple(served), nodes, gpus if nodes_proven else None, last, evictions)

    def _served(self, window: range, ceiling: Sequence[int]) -> list[int]:
        """Improve several ranks at once, each strictly before the next; the bounds of what they serve."""
        weights = {r: math.prod(ceiling[lower] + 1 for lower in window if lower > r) for r in window}
        objective = total(
            weights[group.rank] * group.weight * site.pods[q]
            for q, group in enumerate(self.instance.classes)
            if group.rank in window
            for site in self.sites
            if q in site.pods
        )
        left = self._maximise(
            objective,
            lambda m: sum(weight * m.served[r] for r, weight in weights.items()),
            sum(weight * ceiling[r] for r, weight in weights.items()),
        )
        bounds = []
        for r, reached in zip(window, merit(self.instance, self.best).served[window.start :], strict=False):
            bounds.append(min(ceiling[r], left // weights[r]))
            left -= weights[r] * reached
        return bounds

    def _maximise(
        self, objective: Expr, level: Callable[[Merit], int], ceiling: int, last: bool = False
    ) -> int:
        """Improve `best` on one level and keep what it reaches; a bound that holds given the levels above.

        Args:
            objective: the level, greater is better.
            level: the same level of a plan's merit.
            ceiling: what it can never pass.
            last: the level may use all effort that is left; any other leaves some to those below.
        """
        bound = ceiling
        if level(merit(self.instance, self.best)) != ceiling:
            self.model.maximize(objective)
            bound = min(ceiling, self._solve(self.left if last else 0.6 * self.left, ceiling))
        value = level(merit(self.instance, self.best))
        self.model.add(objective >= value)
        self.proven = self.proven and value == bound
        return bound

    def _solve(self, effort: float, ceiling: int) -> int:
        """Search once; `best` is replaced by what is better. An upper bound of the objective.

        Raises:
            RuntimeError: the program is not accepted, or says that not even `best` is legal.
        """
        self._hint()
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        solver.parameters.max_deterministic_time = max(0.0, effort)
        # The relaxation is almost integral: solved to its end at the root it leads the search to good plans
        # at once. By default it stops early, and larger instances then stay where greedy left them.
        solver.parameters.linearization_level = 2
        solver.parameters.root_lp_iterations = 100_000
        status = solver.solve(self.model)
        self.left -= solver.deterministic_time
        if status == cp_model.UNKNOWN:
            return ceiling  # the search states a bound of 0 then, which means nothing
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise RuntimeError(f"the model ended {status.name}")
        plan = Draft()
        for s, site in enumerate(self.sites):
            site.read(solver, plan, s)
        plan = prune(self.instance, plan)
        self.best = max(self.best, plan, key=lambda d: merit(self.instance, d).score)
        return math.floor(solver.best_objective_bound + 1e-6)

    def _hint(self) -> None:
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for s, site in enumerate(self.sites):
            for var, value in site.hints(self.best, s):
                self.model.add_hint(var, value)


def _still_known(instance: Instance, start: Draft, known: Bounds) -> Bounds:
    """The bounds that hold whatever the search finds: none below a level that may still get better."""
    reached, sure = merit(instance, start).served, list(certain(instance).served)
    for r, bound in enumerate(known.served):
        sure[r] = min(bound, sure[r])
        if reached[r] < sure[r]:
            return Bounds(tuple(sure))
    return Bounds(tuple(sure), known.nodes, known.gpus)


def _windows(ceiling: Sequence[int]) -> Iterator[range]:
    """Runs of ranks that one objective can tell apart without large numbers."""
    first, distinct = 0, 1
    for r, most in enumerate(ceiling):
        distinct *= most + 1
        if distinct > _DISTINCT and r > first:
            yield range(first, r)
            first, distinct = r, most + 1
    if ceiling:
        yield range(first, len(ceiling))
