"""From a relaxation to a plan: what is whole in it stays, the few other sites are searched again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from solver.instance import Instance
from solver.linear.backend import Found, search
from solver.linear.program import Floor, Objective, Placed, Program, columns_of, program, read

NEAR = 1e-6
"""a value so near a whole number counts as whole"""
CHUNK = 8000
"""columns that are searched together, a second a thousand where it is hard; smaller searches lose more"""
NODES = 60
"""branch-and-bound nodes of one search"""
GAP = 0.9
"""a search ends once nothing can be better by so much of a pod of the least important kind"""

Plan = dict[int, Placed]
"""what each site gets, by position in the instance; sites that get nothing are out"""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a search maximises: pods by class, less what the changes cost.

    Attributes:
        pods: what one pod is worth, by class; missing ones are worth nothing.
        node: what the change of a node costs.
        gpu: what the change of a GPU costs.
    """

    pods: Mapping[int, float]
    node: float
    gpu: float

    def objective(self, made: Program) -> Objective:
        """The goal in a program's columns."""
        worth = {column: self.pods[q] for (_, q), column in made.pods.items() if self.pods.get(q)}
        worth |= {column: -self.node for column in made.opened.values() if self.node}
        worth |= {column: -self.gpu for column in made.changed.values() if self.gpu}
        return worth


FloorOf = Callable[[Program, Mapping[int, int]], Sequence[Floor]]
"""the floors of a program of some sites, where the others place so many pods of each class"""


def loose(made: Program, values: Sequence[float]) -> list[int]:
    """The sites of the program that have a value which is not whole, but for whether they change."""
    found = set()
    for known in (made.pods, made.changed, made.packed):
        for key, column in known.items():
            if abs(values[column] - round(values[column])) > NEAR:
                found.add(key[0])
    return sorted(found)


def rounded(
    made: Program,
    values: Sequence[float],
    wanted: Mapping[int, int],
    goal: Goal,
    floors: FloorOf,
    least: Mapping[int, int] | None = None,
) -> tuple[Plan | None, float]:
    """A plan near the relaxation, and the work it took; None where the search found none.

    The sites that are not whole are searched in chunks. Each chunk may place what the relaxation places on it
    and the chunks before, rounded down, and the last one whatever is left.
    """
    sites = loose(made, values)
    kept = set(made.sites) - set(sites)
    plan = {s: placed for s, placed in read(made, values).items() if s in kept}
    share: Counter[int] = Counter()
    work = 0.0
    chunks = list(_chunks(made.instance, sites))
    for chunk in chunks:
        for (s, q), column in made.pods.items():
            if s in chunk:
                share[q] += values[column]  # type: ignore[assignment]
        used = placed_pods(plan, sites)
        last = chunk is chunks[-1]
        outside = placed_pods(plan)
        allowed = {
            q: count - outside[q] if last else min(count - outside[q], int(share[q] + NEAR) - used[q])
            for q, count in wanted.items()
        }
        rows = floors if last else _none
        here, spent = _searched(made.instance, chunk, allowed, goal, rows, outside, {}, least)
        work += spent
        if here is None:
            return None, work
        plan |= here
    return plan, work


def fewer(instance: Instance, sites: Sequence[int]) -> list[int]:
    """As many of the sites, the first ones first, as may be searched together; sorted."""
    return next(_chunks(instance, dict.fromkeys(sites)), [])


def _chunks(instance: Instance, sites: Iterable[int]) -> Iterator[list[int]]:
    """The sites in groups that may be searched together, each sorted."""
    group: list[int] = []
    columns = 0
    for s in sites:
        site = instance.sites[s]
        own = len(site.fits) + sum(1 + len(gpu.packings) for gpu in site.gpus)
        if group and columns + own > CHUNK:
            yield sorted(group)
            group, columns = [], 0
        group.append(s)
        columns += own
    if group:
        yield sorted(group)


def improved(
    instance: Instance,
    plan: Plan,
    sites: Sequence[int],
    wanted: Mapping[int, int],
    goal: Goal,
    floors: FloorOf,
    least: Mapping[int, int] | None = None,
) -> tuple[Plan, float]:
    """The plan with these sites searched anew while all others stay, and the work it took."""
    outside = {s: placed for s, placed in plan.items() if s not in set(sites)}
    used = placed_pods(outside)
    allowed = {q: count - used[q] for q, count in wanted.items()}
    inside = {s: plan[s] for s in sites if s in plan}
    here, work = _searched(instance, sites, allowed, goal, floors, used, inside, least)
    return (plan if here is None else outside | here), work


def placed_pods(plan: Plan, sites: Sequence[int] | None = None) -> Counter[int]:
    """Pods of each class that the plan places, on all sites or on some."""
    total: Counter[int] = Counter()
    for s in plan if sites is None else sites:
        if s in plan:
            total.update(plan[s].pods)
    return total


def _none(made: Program, outside: Mapping[int, int]) -> Sequence[Floor]:
    return ()


def _searched(
    instance: Instance,
    sites: Sequence[int],
    allowed: Mapping[int, int],
    goal: Goal,
    floors: FloorOf,
    outside: Mapping[int, int],
    inside: Plan,
    least: Mapping[int, int] | None = None,
) -> tuple[Plan | None, float]:
    part = program(instance, sorted(sites), allowed, least)
    if not part.upper:
        return {}, 0.0
    hint = columns_of(part, inside) if inside else None
    answer: Found = search(part, goal.objective(part), floors(part, outside), hint=hint, gap=GAP, nodes=NODES)
    return (None if answer.values is None else read(part, answer.values)), answer.work
