"""One more pod for a solved problem: free slices first, then a search among a few nodes, never all of it.

What is promised: the answer is legal, the bounds of its levels hold, and it is no worse than before. That is
less than solving all of it anew promises, so that small problems, and those to which much has come since they
were solved as a whole, are left to that.

Why the bounds hold: a plan with the new pod is, without it, a plan that was possible before. So its own level
can be better by this pod, and no other by anything: as long as no level above has become worse, and below its
own level as long as that has become better, for else the pod may stand in the place of another.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from solver.check import check
from solver.check_levels import COSTS, LevelKey, values
from solver.known import Group, Known, Occupied, group, occupied, with_pod
from solver.problem import Node, Pod, Problem, Rank
from solver.solution import By, Change, Level, Served, Solution, Status
from solver.solve import fallback, solve

SMALL = 25
"""nodes; a problem with no more is soon solved as a whole"""
_MUCH = 16
"""pods, or a hundredth of all: after so many more the problem is solved as a whole"""
_ALONE, _TOGETHER = 6, 3
"""nodes that are tried one by one for a pod that no free slices serve, and then as one"""
_EFFORT = 1

_Value = dict[LevelKey, int]


def extend(before: Known, problem: Problem, pods: Iterable[Pod]) -> Known | None:
    """The problem with these pods more; None where it must be solved as a whole.

    Args:
        before: solved, with nothing but these pods missing.
        problem: with them.
        pods: those that came.
    """
    # where a change must serve several pods, one more can make it worth while
    alone = all(node.min_benefit <= 1 for node in problem.nodes)
    if not alone or len(problem.nodes) <= SMALL or before.solution.status is Status.FALLBACK:
        return None
    # a pod may take the place of headroom or of a tenant, which the bounds below do not know of
    if problem.headroom or problem.tenants:
        return None
    found: Known | None = before
    for pod in sorted(pods, key=_precedence):
        if found is not None:
            found = _one(with_pod(found, problem, pod), pod)
    if found is None or found.added > max(_MUCH, len(problem.pods) // 100):
        return None
    return found


def _one(before: Known, came: Pod) -> Known | None:
    """The pod served, or not; None where the answer is not legal."""
    before = _levelled(before, came.rank)
    open_to = [place for place in before.nodes.values() if place.node.name in came.nodes]
    place = next((place for place in open_to if not place.changes and place.fits(came)), None)
    if place is not None:
        sub = _part(before, [place.node], [came])
        here = _rows(place)
        now = (*here.served, Served(came.name, place.node.name, By.FREE))
        return _merged(before, sub, replace(here, served=now), came)
    able = [place for place in open_to if place.may_hold(came)]
    if not able:
        # no layout of any node holds it, so that nothing can be better than before
        return replace(before, added=before.added - 1)
    sub, found = _searched(before, came, able)
    return _merged(before, sub, found, came)


def _searched(before: Known, came: Pod, able: Sequence[Occupied]) -> tuple[Problem, Solution]:
    """The best that few nodes can do: one by one, where nobody has to go; else some of them together."""
    roomy = sorted(able, key=lambda place: (not place.changes, -_slack(before, place), place.node.name))
    tried: list[tuple[tuple[int, ...], Problem, Solution]] = []
    for place in roomy[:_ALONE]:
        sub = _part(before, [place.node], [came])
        if _slack(before, place) >= 0 and len((found := fallback(sub)).served) == len(sub.pods):
            tried.append((_gain(before, sub, found), sub, found))
    if tried:
        _, sub, found = max(tried, key=lambda one: one[0])
    else:
        lower = sorted(able, key=lambda place: (-_lower(before, place, came), place.node.name))
        sub = _part(before, sorted((place.node for place in lower[:_TOGETHER]), key=_name), [came])
        found = _rows(*(before.nodes[node.name] for node in sub.nodes))
    better = solve(sub, effort=_EFFORT)
    return sub, max(found, better, key=lambda one: _gain(before, sub, one))


def _slack(before: Known, place: Occupied) -> int:
    """Slices of all sizes that could be left at most, by their number."""
    return sum(place.most.values()) - sum(
        count for name in place.pods for _, count in before.pods[name].slices
    )


def _lower(before: Known, place: Occupied, came: Pod) -> int:
    """Pods of lower rank on a node."""
    return sum(before.pods[name].rank < came.rank for name in place.pods)


def _part(before: Known, nodes: Sequence[Node], came: Iterable[Pod]) -> Problem:
    """A few nodes, sorted by name, with the pods that are there and those that came."""
    here = frozenset(node.name for node in nodes)
    pods = [before.pods[name] for node in nodes for name in before.nodes[node.name].pods]
    mine = (replace(pod, nodes=pod.nodes & here) for pod in (*pods, *came))
    return Problem(tuple(nodes), tuple(sorted(mine, key=_name)))


def _rows(*places: Occupied) -> Solution:
    """What is done on a few nodes, without levels."""
    served = [Served(pod, place.node.name, by) for place in places for pod, by in place.pods.items()]
    return Solution(tuple(served), tuple(c for place in places for c in place.changes), (), Status.FEASIBLE)


def _gain(before: Known, sub: Problem, found: Solution) -> tuple[int, ...]:
    """How good a part's solution is, level by level; greater is better."""
    value: _Value = dict(values(sub, found))
    levels = (level for level in before.solution.levels)
    return tuple(_sign(level) * value.get((level.name, level.rank), 0) for level in levels)


def _sign(level: Level) -> int:
    return -1 if level.name in COSTS else 1


def _merged(before: Known, sub: Problem, found: Solution, came: Pod) -> Known | None:
    """The part's solution in the place of what was there; None where it is not legal."""
    names = [node.name for node in sub.nodes]
    old = _rows(*(before.nodes[name] for name in names))
    served = {row.pod: row for row in found.served}
    gone = [row for row in old.served if row.pod not in served]
    places = dict(before.places)
    for row in gone:
        del places[row.pod]
    places.update((row.pod, row.node) for row in found.served)
    nodes = {**before.nodes, **occupied(sub.nodes, before.pods, found.served, found.changes)}
    made = replace(before, places=places, nodes=nodes)
    for key in dict.fromkeys(group(before.pods[name]) for name in (came.name, *(row.pod for row in gone))):
        made = _in_order(made, key)
    touched = [name for name in before.nodes if made.nodes[name] is not before.nodes[name]]
    if _illegal(made, touched):
        return None
    solution = Solution(
        _respelled(before, made, touched),
        _rechanged(before, made, names),
        _revalued(before, dict(values(sub, old)), dict(values(sub, found)), came),
        Status.FEASIBLE,
    )
    proven = all(level.value == level.bound for level in solution.levels if level.name != "spare")
    return replace(made, solution=replace(solution, status=Status.OPTIMAL) if proven else solution)


def _in_order(made: Known, key: Group) -> Known:
    """Of pods that are interchangeable the first in order are those that are served."""
    rows = [name for _, name in made.groups[key]]
    served = [name for name in rows if name in made.places]
    first = rows[: len(served)]
    early = [name for name in first if name not in made.places]
    late = [name for name in served if name not in set(first)]
    if not early:
        return made
    places, nodes = dict(made.places), dict(made.nodes)
    for come, go in zip(early, late, strict=True):
        node = places.pop(go)
        places[come] = node
        pods = dict(nodes[node].pods)
        pods[come] = pods.pop(go)
        nodes[node] = replace(nodes[node], pods=pods)
    return replace(made, places=places, nodes=nodes)


def _illegal(made: Known, touched: Sequence[str]) -> bool:
    """The independent check refuses what is done on the nodes that were touched."""
    part = _part(made, [made.nodes[name].node for name in sorted(touched)], [])
    found = _rows(*(made.nodes[node.name] for node in part.nodes))
    levels = tuple(Level(name, priority, value, None) for (name, priority), value in values(part, found))
    ordered = sorted(found.served, key=lambda row: row.pod)
    return bool(check(part, replace(found, served=tuple(ordered), levels=levels)))


def _respelled(before: Known, made: Known, touched: Sequence[str]) -> tuple[Served, ...]:
    """All rows of served pods, sorted, with those of the touched nodes as they are now."""
    rows = list(before.solution.served)
    for name in touched:
        for pod in before.nodes[name].pods:
            del rows[bisect_left(rows, pod, key=_pod)]
    for name in touched:
        for pod, by in made.nodes[name].pods.items():
            rows.insert(bisect_left(rows, pod, key=_pod), Served(pod, name, by))
    return tuple(rows)


def _rechanged(before: Known, made: Known, names: Sequence[str]) -> tuple[Change, ...]:
    if all(made.nodes[name].changes == before.nodes[name].changes for name in names):
        return before.solution.changes
    kept = [change for change in before.solution.changes if change.node not in names]
    new = [change for name in names for change in made.nodes[name].changes]
    return tuple(sorted((*kept, *new), key=lambda change: (change.node, change.gpu)))


def _revalued(before: Known, old: _Value, new: _Value, came: Pod) -> tuple[Level, ...]:
    """The levels with what the part has gained, and the bounds that still hold."""
    levels: list[Level] = []
    open_below = False
    for level in before.solution.levels:
        key = level.name, level.rank
        gain = new.get(key, 0) - old.get(key, 0)
        weight = came.weight if key == ("servedWeight", came.rank) else 0
        bound = None if open_below else level.bound
        if bound is not None:
            bound += weight
        if level.name in COSTS and level.value + gain == 0:
            bound = 0
        levels.append(Level(level.name, level.rank, level.value + gain, bound))
        open_below = open_below or _sign(level) * gain < weight
    return tuple(levels)


def _levelled(before: Known, rank: Rank) -> Known:
    """With a level for the rank."""
    levels = before.solution.levels
    served = [level for level in levels if level.name == "servedWeight"]
    if any(level.rank == rank for level in served):
        return before
    at = sum(level.rank is not None and level.rank > rank for level in served)
    new = (*levels[:at], Level("servedWeight", rank, 0, 0), *levels[at:])
    return replace(before, solution=replace(before.solution, levels=new))


def _precedence(pod: Pod) -> tuple[int, bool, int, str]:
    return -pod.priority, not pod.starved, pod.order, pod.name


def _name(one: Node | Pod) -> str:
    return one.name


def _pod(row: Served) -> str:
    return row.pod
