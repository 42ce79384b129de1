"""The one way to ask the solver: free slices and greedy first, then relaxations, then the exact model."""

from __future__ import annotations

from dataclasses import dataclass

from solver import greedy
from solver.draft import Draft, changes, evictions, of_solution, reserved, served
from solver.instance import Instance, aggregate, split, undisturbed
from solver.merit import Bounds, certain, merit
from solver.problem import Problem
from solver.solution import Level, Solution, Status

DEFAULT_EFFORT = 12
"""Counted work: at most some twenty seconds of search on a slow core, and mostly done long before."""
SIMPLE = 150
"""columns, see `_columns`, up to which the exact model is quick by itself"""
EXACT = 3000
"""columns up to which the exact model proves most levels"""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The plan for one part of the instance, which shares no pod with the others."""

    part: Instance
    plan: Draft
    bounds: Bounds
    failed: bool = False


def solve(problem: Problem, *, effort: int = DEFAULT_EFFORT, start: Solution | None = None) -> Solution:
    """The best plan found; always legal, and the same for the same problem and effort on any machine.

    Where the search fails, for whatever reason, the simple plan is the answer and its status says so.

    Args:
        problem: what is asked.
        effort: how much work the search may do, in units of about a second of a slow core; at least 1.
        start: a legal solution that evicts nobody, of which only the pods served and the changes are read; no
            answer is worse.
    """
    parts = split(aggregate(problem))
    answers = []
    saved, size = 0.0, sum(_size(part) for part in parts)
    for part in parts:
        share = saved + effort * _size(part) / size
        first = None if start is None else of_solution(part, start)
        answer, spent = _answer(part, share, effort / 8, first)
        answers.append(answer)
        saved = max(0.0, share - spent)
    return _solution(problem, answers)


def fallback(problem: Problem) -> Solution:
    """The simple plan, for a caller whose check of the best one failed; its status says so."""
    parts = split(aggregate(problem))
    answers = [_Answer(part, _simple(part), certain(part), failed=True) for part in parts]
    return _solution(problem, answers)


def _solution(problem: Problem, answers: list[_Answer]) -> Solution:
    return Solution(
        served=tuple(sorted((s for a in answers for s in served(a.part, a.plan)), key=lambda s: s.pod)),
        changes=tuple(
            sorted((c for a in answers for c in changes(a.part, a.plan)), key=lambda c: (c.node, c.gpu))
        ),
        levels=(levels := _levels(problem, answers)),
        status=_status(levels, answers),
        headroom=tuple(sorted(r for a in answers for r in reserved(a.part, a.plan))),
        evictions=tuple(sorted((e for a in answers for e in evictions(a.part, a.plan)), key=lambda e: e.pod)),
    )


def _size(part: Instance) -> int:
    return sum(len(site.fits) for site in part.sites)


def _answer(part: Instance, effort: float, exact: float, start: Draft | None = None) -> tuple[_Answer, float]:
    """The plan for one part, and the effort that it took.

    Where it must be searched for, relaxations come first in all but the smallest parts: they are quick, and
    what they prove the exact model need not prove again. The largest parts are beyond the exact model, which
    alone evicts tenants.

    Args:
        part: what is asked.
        effort: for all of it.
        exact: of that, the most for the exact model, which proves what it can prove soon or not at all.
        start: a legal plan that evicts nobody, if one is known.
    """
    size, calm = _columns(part), undisturbed(part)
    plan = greedy.draft(calm) if size <= SIMPLE else greedy.free(calm)
    if start is not None:
        plan = max(plan, start, key=lambda draft: merit(calm, draft).score)
    if _all_free(calm, plan):
        return _Answer(part, plan, Bounds(merit(part, plan).served, 0, 0, 0)), 0.0
    bounds, spent = certain(part), 0.0
    try:
        if size > SIMPLE:
            from solver import linear  # here, for importing ortools takes longer than most answers

            plan, found, spent = linear.improve(calm, plan, effort)
            bounds = found if calm is part else bounds
        if size <= EXACT:
            from solver import model

            plan, bounds, more = model.improve(part, plan, max(0.0, min(exact, effort - spent)), bounds)
            spent += more
    except Exception:
        best = max(plan, _simple(part), key=lambda draft: merit(part, draft).score)
        return _Answer(part, best, certain(part), failed=True), spent
    return _Answer(part, plan, bounds), spent


def _simple(part: Instance) -> Draft:
    """A legal plan without any search; where greedy would take minutes, one that changes nothing."""
    calm = undisturbed(part)
    return greedy.draft(calm) if _columns(part) <= EXACT else greedy.free(calm)


def _all_free(part: Instance, plan: Draft) -> bool:
    """The plan serves every pod and changes nothing."""
    placed = sum(count for pods in plan.pods.values() for count in pods.values())
    return not plan.layouts and placed == sum(len(group.pods) for group in part.classes)


def _columns(part: Instance) -> int:
    """How many numbers a plan consists of: pods by class and site, packings by GPU class and site."""
    return sum(len(site.fits) + sum(len(gpu.packings) for gpu in site.gpus) for site in part.sites)


def _levels(problem: Problem, answers: list[_Answer]) -> tuple[Level, ...]:
    """The levels of all parts together.

    Sums of the parts' bounds hold only while every level above is proven: after that another share-out of the
    same total between the parts could do better, and all that is left is what is certain of each part.
    """
    merits = [merit(a.part, a.plan) for a in answers]
    levels: list[Level] = []
    proven = True
    for r, rank in enumerate(problem.goals):
        alone = proven or len(answers) == 1
        bounds = [(a.bounds if alone else certain(a.part)).served[r] for a in answers]
        value = sum(m.served[r] for m in merits)
        levels.append(Level("headroom" if rank is None else "servedWeight", rank, value, sum(bounds)))
        proven = proven and value == sum(bounds)
    gone = sum(m.evictions for m in merits)
    fewest = sum(a.bounds.evictions for a in answers) if proven else 0
    levels.append(Level("evictions", None, gone, fewest))
    proven = proven and gone == fewest
    for name in ("nodes", "gpus", "spare"):
        known = [getattr(a.bounds, name) for a in answers]
        value = sum(getattr(m, name) for m in merits)
        bound = sum(known) if proven and None not in known else None
        if value == 0 and (name != "spare" or levels[-1].value == 0):
            bound = 0
        levels.append(Level(name if name == "spare" else f"{name}Changed", None, value, bound))
        proven = proven and value == bound
    return tuple(levels)


def _status(levels: tuple[Level, ...], answers: list[_Answer]) -> Status:
    if any(answer.failed for answer in answers):
        return Status.FALLBACK
    ranked = (level for level in levels if level.name != "spare")
    return Status.OPTIMAL if all(level.value == level.bound for level in ranked) else Status.FEASIBLE
