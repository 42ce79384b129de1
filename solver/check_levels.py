"""Whether the levels that a solution states are those that it reaches, worked out from the solution alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from solver.problem import Counts, Node, Problem, Rank
from solver.solution import Level, Solution, Status

COSTS = ("evictions", "nodesChanged", "gpusChanged")

LevelKey = tuple[str, Rank | None]
"""the name of a level, and the rank where it is one of several"""


def wrong_levels(problem: Problem, solution: Solution) -> Iterator[str]:
    """A sentence for each level that is missing, untrue or beyond its bound.

    The names in the solution must be known to be those of the problem.
    """
    due = values(problem, solution)
    if [(level.name, level.rank) for level in solution.levels] != [key for key, _ in due]:
        names = ", ".join(_title(key) for key, _ in due)
        yield f"the levels should be {names}, in this order"
        return
    for level, (key, value) in zip(solution.levels, due, strict=True):
        if level.value != value:
            yield f"level {_title(key)} is {value}, not {level.value}"
        elif level.bound is not None and _beyond(level, level.bound):
            yield f"level {_title(key)} is {level.value} and passes its bound {level.bound}"
    ranked = [level for level in solution.levels if level.name != "spare"]
    if solution.status is Status.OPTIMAL:
        for level in ranked:
            if level.bound != level.value:
                title = _title((level.name, level.rank))
                yield f"the status is Optimal though level {title} is not proven"
    elif solution.status is Status.FEASIBLE and all(level.bound == level.value for level in ranked):
        yield "the status is Feasible though every level is proven"


def _title(key: LevelKey) -> str:
    name, rank = key
    if rank is None:
        return name
    return f"{name} of {'starved pods of ' if rank.starved else ''}priority {rank.priority}"


def _beyond(level: Level, bound: int) -> bool:
    return level.value < bound if level.name in COSTS else level.value > bound


def values(problem: Problem, solution: Solution) -> list[tuple[LevelKey, int]]:
    """What a solution reaches on each level, in order, each with the level's name and rank."""
    pods = {pod.name: pod for pod in problem.pods}
    served: Counter[Rank] = Counter()
    for row in solution.served:
        served[pods[row.pod].rank] += pods[row.pod].weight
    ranks = sorted({pod.rank for pod in problem.pods}, reverse=True)
    levels: list[tuple[LevelKey, int]] = [(("servedWeight", rank), served[rank]) for rank in ranks]
    if problem.headroom:
        levels.append((("headroom", None), sum(row.count for row in solution.headroom)))
    levels.append((("evictions", None), len(solution.evictions)))
    levels.append((("nodesChanged", None), len({change.node for change in solution.changes})))
    levels.append((("gpusChanged", None), len(solution.changes)))
    levels.append((("spare", None), _spare(problem, solution)))
    return levels


def _spare(problem: Problem, solution: Solution) -> int:
    """Squared memory units of the instances of changed GPUs that stay free; pods take others first."""
    layouts: dict[str, dict[int, Counts]] = defaultdict(dict)
    for change in solution.changes:
        layouts[change.node][change.gpu] = change.layout
    slices = {pod.name: pod.slices for pod in problem.pods}
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    for row in solution.served:
        taken[row.node].update(dict(slices[row.pod]))
    for kept in solution.headroom:
        taken[kept.node][problem.headroom[kept.headroom].profile] += kept.count
    tenants = {tenant.name: tenant.slices for tenant in problem.tenants}
    for gone in solution.evictions:
        taken[gone.to].update(dict(tenants[gone.pod]))
    changed = (node for node in problem.nodes if node.name in layouts)
    return sum(_spare_of(node, layouts[node.name], taken[node.name]) for node in changed)


def _spare_of(node: Node, layouts: dict[int, Counts], taken: Counter[str]) -> int:
    elsewhere = Counter(dict(node.free))
    new: Counter[str] = Counter()
    size: dict[str, int] = {}
    for gpu in node.gpus:
        for profile in gpu.geometry.profiles:
            size[profile.name] = min(profile.size, size.get(profile.name, profile.size))
        if gpu.index in layouts:
            elsewhere.subtract(dict(gpu.idle if gpu.tenants else gpu.layout or ()))
            new.update(dict(layouts[gpu.index]))
    total = 0
    for name, count in new.items():
        from_new = max(0, taken[name] - elsewhere[name])
        total += size.get(name, 0) ** 2 * max(0, count - from_new)
    return total
