"""Placements and layouts as a solution in the solver's terms, so that every planner is judged alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from simulations.baselines.cutting import covers
from simulations.baselines.end import End, first_twins
from solver.problem import Counts, Node, Pod, Problem, Rank
from solver.solution import By, Change, Level, Served, Solution, Status


def by_importance(problem: Problem) -> list[Pod]:
    """The pods, higher ranks first, then older ones, then by name."""
    return sorted(problem.pods, key=importance)


def importance(pod: Pod) -> tuple[int, bool, int, str]:
    """Sorts pods by importance."""
    return -pod.priority, not pod.starved, pod.order, pod.name


def outcome(
    problem: Problem,
    placed: Mapping[str, str],
    layouts: Mapping[str, Mapping[int, Counts]],
    *,
    needless: bool = False,
) -> Solution:
    """The plan in the solver's terms.

    Among equal pods the older ones count as served, and among equal GPUs of a node the first ones change. A
    reshape that serves fewer pods than the node's `min_benefit` is dropped. What is free in the end goes to
    pods that were not placed, as the scheduler would give it.

    Args:
        problem: what was asked.
        placed: the node of each served pod.
        layouts: by node, the new layout of each GPU that changes.
        needless: keep changes that serve nobody.
    """
    pods: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in by_importance(problem):
        if pod.name in placed:
            pods[placed[pod.name]].append(pod)
    ends: list[End] = []
    for node in problem.nodes:
        end = End(node, tuple(pods[node.name]), first_twins(node, layouts.get(node.name, {})))
        if not needless:
            end = end.without_needless().if_worthwhile()
        ends.append(end)
    ends = scheduled(problem, ends)
    rows = [(pod, end.node.name, by) for end in ends for pod, by in end.attributed()]
    served = sorted(_oldest_first(problem, rows), key=lambda row: row.pod)
    changes = [
        Change(end.node.name, index, layout) for end in ends for index, layout in sorted(end.layouts.items())
    ]
    return Solution(tuple(served), tuple(changes), _levels(problem, served, changes), Status.FALLBACK)


def scheduled(problem: Problem, ends: Sequence[End]) -> list[End]:
    """The ends, one a node, once the scheduler has given what is free there to pods that have no place yet.

    The most important pod goes first, to the first node by name where it fits.
    """
    served = {pod.name for end in ends for pod in end.pods}
    left = {end.node.name: (end.supply() - end.demand(), end.resources()) for end in ends}
    more: defaultdict[str, list[Pod]] = defaultdict(list)
    open_nodes: dict[object, list[str]] = {}
    for pod in by_importance(problem):
        if pod.name in served:
            continue
        key = (pod.slices, pod.resources, pod.nodes)
        if key not in open_nodes:
            open_nodes[key] = [end.node.name for end in reversed(ends) if end.node.name in pod.nodes]
        nodes = open_nodes[key]
        while nodes and not (
            covers(left[nodes[-1]][0], pod.slices) and covers(left[nodes[-1]][1], pod.resources)
        ):
            nodes.pop()  # what is left only shrinks
        if nodes:
            slices, resources = left[nodes[-1]]
            slices.subtract(dict(pod.slices))
            resources.subtract(dict(pod.resources))
            more[nodes[-1]].append(pod)
    return [replace(end, pods=(*end.pods, *more[end.node.name])) for end in ends]


def _oldest_first(problem: Problem, rows: Iterable[tuple[Pod, str, By]]) -> Iterator[Served]:
    """The places of equal pods, given to the oldest of them."""
    groups: defaultdict[object, list[Pod]] = defaultdict(list)
    for pod in by_importance(problem):
        groups[_kind(pod)].append(pod)
    turn = {kind: iter(pods) for kind, pods in groups.items()}
    for pod, node, by in rows:
        yield Served(next(turn[_kind(pod)]).name, node, by)


def _kind(pod: Pod) -> tuple[object, ...]:
    return pod.rank, pod.weight, pod.slices, pod.resources, pod.nodes


def _levels(problem: Problem, served: Sequence[Served], changes: Sequence[Change]) -> tuple[Level, ...]:
    """What the plan reaches on each level; a baseline proves nothing."""
    pods = {pod.name: pod for pod in problem.pods}
    reached: Counter[Rank] = Counter()
    for row in served:
        reached[pods[row.pod].rank] += pods[row.pod].weight
    return (
        *(Level("servedWeight", rank, reached[rank], None) for rank in problem.ranks),
        Level("evictions", None, 0, None),
        Level("nodesChanged", None, len({change.node for change in changes}), None),
        Level("gpusChanged", None, len(changes), None),
        Level("spare", None, _spare(problem, served, changes), None),
    )


def _spare(problem: Problem, served: Sequence[Served], changes: Sequence[Change]) -> int:
    """Squared memory units of the slices of changed GPUs that stay free; pods take others first."""
    slices = {pod.name: pod.slices for pod in problem.pods}
    taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in served:
        taken[row.node].update(dict(slices[row.pod]))
    new: defaultdict[str, dict[int, Counts]] = defaultdict(dict)
    for change in changes:
        new[change.node][change.gpu] = change.layout
    return sum(
        _spare_of(node, new[node.name], taken[node.name]) for node in problem.nodes if node.name in new
    )


def _spare_of(node: Node, layouts: Mapping[int, Counts], taken: Mapping[str, int]) -> int:
    sizes: dict[str, int] = {}
    elsewhere, made = Counter(dict(node.free)), Counter[str]()
    for gpu in node.gpus:
        for profile in gpu.geometry.profiles:
            sizes[profile.name] = min(profile.size, sizes.get(profile.name, profile.size))
        if gpu.index in layouts:
            elsewhere.subtract(dict(gpu.layout or ()))
            made.update(dict(layouts[gpu.index]))
    free = {name: count - max(0, taken.get(name, 0) - elsewhere[name]) for name, count in made.items()}
    return sum(sizes.get(name, 0) ** 2 * max(0, count) for name, count in free.items())
