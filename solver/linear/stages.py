"""The levels of a large instance: a plan from relaxations, and proofs of how little it could still gain."""

from __future__ import annotations

import math
import operator
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from solver.draft import Draft
from solver.instance import Instance
from solver.linear.backend import Relaxed, relax, search
from solver.linear.blocks import blocks, room, shares
from solver.linear.plans import draft, placed, poor
from solver.linear.program import NEVER, Floor, Program, columns_of, program, read
from solver.linear.rounding import FloorOf, Goal, Plan, fewer, improved, loose, placed_pods, rounded
from solver.merit import Bounds, certain, merit

TOGETHER = 3
"""ranks that one relaxation tells apart"""
BASE = 100.0
"""how much more a pod counts than one of the next rank"""
NODE, GPU = 0.09, 0.01
"""what a change costs, in pods of the least rank: no plan leaves a pod out to save one node"""
NEAR = 1e-6
"""a bound so near below a whole number is that number"""
SMALL = 150
"""sites that are searched as a whole for a rank that is not proven"""
STRIDE = 5
"""of so many sites one is searched again, beside those that the relaxation leaves open"""
ATTEMPTS = 4
"""times that a site whose change serves too few is searched again before it may not change"""
PATIENCE = 60.0
"""work after which nothing more is proven, unless there is more effort"""
ALL_BUT_ONE, NODES_OF_ALL, SLACK = 0.999, 500, 1e-4
"""when a search of all sites for one rank ends, its most nodes, and what tolerances may hide of its bound"""
ROUNDS = 3
"""searches for one level at most"""


def improve(instance: Instance, start: Draft, effort: float) -> tuple[Draft, Bounds, float]:
    """A good plan, the bounds of its levels, and the effort spent; always legal.

    A plan is made whatever the effort, and its bounds and one attempt to reach each where that does not take
    too long; only what is left goes into more attempts.

    Args:
        instance: what is asked.
        start: a legal plan; the answer is never worse.
        effort: counted work, in units of about a second of a slow core.
    """
    found = _Search(instance, start, effort)
    for first in range(0, len(found.ranks), TOGETHER):
        found.plan_for(found.ranks[first : first + TOGETHER])
    bounds = found.bounds()
    return found.best, bounds, found.work


class _Search:
    """The best plan known of an instance."""

    def __init__(self, instance: Instance, start: Draft, effort: float) -> None:
        self.instance, self.best, self.effort, self.work = instance, start, effort, 0.0
        self.least: dict[int, int] = {}
        self.open: set[int] = set()
        self.above: dict[int, tuple[int, ...]] = {}  # by rank, what plans serve above that its bound is of
        self.blocks = blocks(instance)
        self.rooms = [room(instance, block) for block in self.blocks]
        self.wanted = {q: len(group.pods) for q, group in enumerate(instance.classes)}
        self.ranks = sorted({group.rank for group in instance.classes})
        self.small = len(self.blocks) == 1 and len(instance.sites) <= SMALL

    @property
    def served(self) -> tuple[int, ...]:
        """The weight of the pods that the best plan serves, by rank."""
        return merit(self.instance, self.best).served

    def plan_for(self, window: Sequence[int]) -> None:
        """Serve as much as possible of these ranks, in this order, and no less of those before."""
        goal, floors = _goal(self.instance, window), self._floors(range(window[0]))
        plan = placed(self.instance, self.best)
        for number, block in enumerate(self.blocks):
            inside = placed_pods(plan, block)
            outside = placed_pods(plan) - inside
            here = self._share(number, inside, outside)
            made = program(self.instance, block, here, self.least)
            relaxed = relax(made, goal.objective(made), floors(made, outside))
            if relaxed is None:
                continue
            self.open |= set(loose(made, relaxed.values))
            found, spent = rounded(made, relaxed.values, here, goal, _beside(floors, outside), self.least)
            self.work += relaxed.work + spent
            if found is not None:
                plan = {s: one for s, one in plan.items() if s not in set(block)} | found
        self._accept(plan)

    def bounds(self) -> Bounds:
        """What no plan can pass, by level; the best plan gets better on the way as the effort allows."""
        ceiling = certain(self.instance).served
        served = tuple(self._reached(r, most) for r, most in enumerate(ceiling))
        final = self.served
        # a bound tells of plans that serve no less above: nothing, where some of that was given up since
        served = tuple(
            most if all(map(operator.ge, final, self.above.get(r, ()))) else ceiling[r]
            for r, most in enumerate(served)
        )
        if served != self.served:
            return Bounds(served)
        every = range(len(ceiling))
        nodes, _ = self._bound(Goal({}, 1.0, 0.0), every)
        gpus, _ = self._bound(Goal({}, 0.0, 1.0), every)
        return Bounds(served, _at_least(nodes), _at_least(gpus))

    def _reached(self, r: int, most: int) -> int:
        """A bound of what a rank serves, as far as the effort goes until the best plan reaches it."""
        for attempt in range(ROUNDS):
            if self.served[r] >= most or self.work >= max(PATIENCE, self.effort):
                break
            self.above[r] = tuple(map(max, self.served[:r], self.above.get(r, self.served)))
            bound, left = self._bound(self._only(r), range(r))
            most = min(most, _at_most(bound + NEAR))
            if self.served[r] >= most or (attempt and self.work >= self.effort):
                break
            if attempt == 0 and self.small:
                most = min(most, self._whole(r))
            else:
                self._again(r, attempt, left)
        return most

    def _bound(self, goal: Goal, kept: range) -> tuple[float, list[int]]:
        """What no plan that serves no less of the ranks in `kept` is worth more than; and the open sites.

        Where the sites are too many to relax them together, the prices of one block stand for those of all:
        any prices prove a bound, and blocks look alike.
        """
        floors = self._floors(kept)
        plan, block = placed(self.instance, self.best), self.blocks[0]
        inside = placed_pods(plan, block)
        outside = placed_pods(plan) - inside
        made = program(self.instance, block, self._share(0, inside, outside))
        relaxed = relax(made, goal.objective(made), floors(made, outside))
        if relaxed is None:
            return math.inf, []
        self.work += relaxed.work
        if len(self.blocks) == 1:
            return relaxed.bound, loose(made, relaxed.values)
        return self._priced(goal, relaxed, kept), []

    def _priced(self, goal: Goal, prices: Relaxed, kept: range) -> float:
        """The bound that prices prove: pods and floors are paid for, so that every block is on its own."""
        classes, served = self.instance.classes, self.served
        total = [prices.pods.get(q, 0.0) * count for q, count in self.wanted.items()]
        total += [-prices.ranks.get(r, 0.0) * served[r] for r in kept]
        net = {
            q: goal.pods.get(q, 0.0)
            - prices.pods.get(q, 0.0)
            + prices.ranks.get(group.rank, 0.0) * group.weight
            for q, group in enumerate(classes)
        }
        for block in self.blocks:
            made = program(self.instance, block, self.wanted, coupled=False)
            relaxed = relax(made, replace(goal, pods=net).objective(made))
            if relaxed is None:
                return math.inf
            total.append(relaxed.bound)
            self.work += relaxed.work
        return math.fsum(total)

    def _whole(self, r: int) -> int:
        """Search all sites for this rank alone; then, with what that serves, for a plan with few changes."""
        goal, whole = self._only(r), not self.least
        made = program(self.instance, self.blocks[0], self.wanted, self.least)
        hint = columns_of(made, placed(self.instance, self.best))
        floors = self._floors(range(r))(made, {})
        found = search(made, goal.objective(made), floors, hint=hint, gap=ALL_BUT_ONE, nodes=NODES_OF_ALL)
        self.work += found.work
        before = self.served
        if found.values is not None:
            self._accept(read(made, found.values))
        if self.served > before and (lower := [rank for rank in self.ranks if rank > r]):
            self.plan_for(lower[:TOGETHER])
        return _at_most(found.bound + SLACK) if whole else sys.maxsize

    def _again(self, r: int, attempt: int, left: Iterable[int]) -> None:
        """Search the sites that relaxations leave open, and some others, for this rank and those after it."""
        some = range(attempt, len(self.instance.sites), STRIDE) if attempt else ()
        sites = fewer(self.instance, [*left, *sorted(self.open), *some])
        goal = _goal(self.instance, [rank for rank in self.ranks if rank >= r][:TOGETHER])
        plan = placed(self.instance, self.best)
        plan, spent = improved(
            self.instance, plan, sites, self.wanted, goal, self._floors(range(r)), self.least
        )
        self.work += spent
        self._accept(plan)

    def _share(self, number: int, inside: Mapping[int, int], outside: Mapping[int, int]) -> dict[int, int]:
        """The pods that a block may place: those that it has, and its part of those without a place."""
        there: Counter[int] = Counter()
        for later in self.rooms[number + 1 :]:
            there.update(later)
        left = {q: count - outside.get(q, 0) - inside.get(q, 0) for q, count in self.wanted.items()}
        more = shares(left, self.rooms[number], there)
        return {q: more[q] + inside.get(q, 0) for q in self.wanted}

    def _only(self, r: int) -> Goal:
        classes = enumerate(self.instance.classes)
        return Goal({q: float(group.weight) for q, group in classes if group.rank == r}, 0.0, 0.0)

    def _floors(self, ranks: Iterable[int]) -> FloorOf:
        """Rows that keep what the best plan serves of these ranks."""
        classes, served = self.instance.classes, self.served
        least = {r: served[r] for r in ranks if served[r]}

        def rows(made: Program, outside: Mapping[int, int]) -> Sequence[Floor]:
            terms: dict[int, dict[int, float]] = {r: {} for r in least}
            for (_, q), column in made.pods.items():
                if (r := classes[q].rank) in terms:
                    terms[r][column] = float(classes[q].weight)
            elsewhere: Counter[int] = Counter()
            for q, count in outside.items():
                elsewhere[classes[q].rank] += count * classes[q].weight
            return [
                Floor(r, terms[r], float(value - elsewhere[r]))
                for r, value in least.items()
                if value > elsewhere[r]
            ]

        return rows

    def _accept(self, plan: Plan) -> None:
        """Keep the plan where it is better than the best.

        Sites whose change serves too few beside what their other slices serve are searched again: they must
        get so many pods more, and after some attempts they may not change.
        """
        found = draft(self.instance, plan)
        attempts: Counter[int] = Counter()
        while bad := poor(self.instance, found):
            attempts.update(bad.keys())
            for s, lack in bad.items():
                present = self.least.get(s, self.instance.sites[s].node.min_benefit)
                self.least[s] = present + lack if attempts[s] < ATTEMPTS else NEVER
            plan = {s: here for s, here in placed(self.instance, found).items() if s not in bad}
            goal, some = _goal(self.instance, self.ranks[:TOGETHER]), fewer(self.instance, sorted(bad))
            plan, spent = improved(self.instance, plan, some, self.wanted, goal, _none, self.least)
            self.work += spent
            found = draft(self.instance, plan)
        self.best = max(self.best, found, key=lambda d: merit(self.instance, d).score)
        self.least = {s: asked for s, asked in self.least.items() if s not in self.best.layouts}


def _at_most(bound: float) -> int:
    return math.floor(bound) if math.isfinite(bound) else sys.maxsize


def _at_least(bound: float) -> int | None:
    return math.ceil(-bound - NEAR) if math.isfinite(bound) else None


def _none(made: Program, outside: Mapping[int, int]) -> Sequence[Floor]:
    return ()


def _beside(floors: FloorOf, outside: Counter[int]) -> FloorOf:
    """The floors where these pods are placed beside all others."""
    return lambda made, more: floors(made, outside + Counter(more))


def _goal(instance: Instance, window: Sequence[int]) -> Goal:
    """Serve these ranks, a pod of each being worth far more than one of the next, with few changes."""
    value = {rank: BASE**k for k, rank in enumerate(reversed(window))}
    classes = enumerate(instance.classes)
    worth = {q: group.weight * value[group.rank] for q, group in classes if group.rank in value}
    return Goal(worth, NODE, GPU)
