"""A solved problem taken apart by node, so that a little of it can be solved again."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from solver.geometry import Geometry
from solver.instance import may_change
from solver.problem import Counts, Node, Pod, Problem, Rank
from solver.solution import By, Change, Served, Solution

Group = tuple[Rank, int, Counts, Counts, frozenset[str]]
"""pods that agree in this are served in their order: rank, weight, slices, resources, nodes"""


def group(pod: Pod) -> Group:
    """The pods that are interchangeable with this one."""
    return pod.rank, pod.weight, pod.slices, pod.resources, pod.nodes


@dataclass(frozen=True, slots=True)
class Occupied:
    """A node as a solution leaves it.

    Attributes:
        node: as it is now.
        pods: that the solution puts there, by name, and how each is served.
        changes: of its GPUs.
        free: slices that are left; nothing is told of a node that changes.
        resources: that are left.
        most: the most slices of each profile that any layouts could give the node while nothing is served.
    """

    node: Node
    pods: Mapping[str, By] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    free: Mapping[str, int] = field(default_factory=dict)
    resources: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)

    def may_hold(self, pod: Pod) -> bool:
        """The node could serve the pod if it served no other; false is certain, true is not."""
        if any(self.most.get(name, 0) < count for name, count in pod.slices):
            return False
        have = dict(self.node.resources)
        return all(have.get(name, 0) >= count for name, count in pod.resources)

    def fits(self, pod: Pod) -> bool:
        """Free slices that stay as they are serve the pod beside all others."""
        return all(self.free.get(name, 0) >= count for name, count in pod.slices) and all(
            self.resources.get(name, 0) >= count for name, count in pod.resources
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A solved problem.

    Attributes:
        problem: that was solved.
        solution: that is known of it.
        nodes: every node as the solution leaves it.
        pods: by name.
        places: the node of each pod that is served.
        groups: the names of interchangeable pods, each with its order, in that order.
        added: pods that came to the problem since all of it was solved.
    """

    problem: Problem
    solution: Solution
    nodes: Mapping[str, Occupied]
    pods: Mapping[str, Pod]
    places: Mapping[str, str]
    groups: Mapping[Group, tuple[tuple[int, str], ...]]
    added: int = 0


def known(problem: Problem, solution: Solution) -> Known:
    """The solved problem, taken apart."""
    pods = {pod.name: pod for pod in problem.pods}
    groups: defaultdict[Group, list[tuple[int, str]]] = defaultdict(list)
    for pod in problem.pods:
        groups[group(pod)].append((pod.order, pod.name))
    return Known(
        problem,
        solution,
        occupied(problem.nodes, pods, solution.served, solution.changes),
        pods,
        {row.pod: row.node for row in solution.served},
        {key: tuple(sorted(rows)) for key, rows in groups.items()},
    )


def with_pod(before: Known, problem: Problem, pod: Pod) -> Known:
    """The problem with one more pod, which is not served."""
    rows = list(before.groups.get(group(pod), ()))
    insort(rows, (pod.order, pod.name))
    return replace(
        before,
        problem=problem,
        pods={**before.pods, pod.name: pod},
        groups={**before.groups, group(pod): tuple(rows)},
        added=before.added + 1,
    )


def occupied(
    nodes: Iterable[Node], pods: Mapping[str, Pod], served: Iterable[Served], changes: Iterable[Change]
) -> dict[str, Occupied]:
    """Each of these nodes with what a solution does there; other nodes in the solution do not matter."""
    there: defaultdict[str, dict[str, By]] = defaultdict(dict)
    changed: defaultdict[str, list[Change]] = defaultdict(list)
    for row in served:
        there[row.node][row.pod] = row.by
    for change in changes:
        changed[change.node].append(change)
    return {node.name: _occupied(node, pods, there[node.name], tuple(changed[node.name])) for node in nodes}


def _occupied(
    node: Node, pods: Mapping[str, Pod], there: Mapping[str, By], changes: tuple[Change, ...]
) -> Occupied:
    if not there and not changes:
        return Occupied(node, there, changes, dict(node.free), dict(node.resources), most_slices(node))
    free, resources = Counter(dict(node.free)), Counter(dict(node.resources))
    for name in there:
        free.subtract(dict(pods[name].slices))
        resources.subtract(dict(pods[name].resources))
    return Occupied(node, there, changes, {} if changes else free, resources, most_slices(node))


def most_slices(node: Node) -> dict[str, int]:
    """The most slices of each profile that any layouts could give the node while nothing is served."""
    most = dict(node.free)
    for gpu in node.gpus:
        if may_change(node, gpu):
            present = dict(gpu.layout or ())
            for name, count in _best(gpu.geometry, node.profiles).items():
                most[name] = most.get(name, 0) + max(0, count - present.get(name, 0))
    return most


@cache
def _best(geometry: Geometry, allowed: frozenset[str] | None) -> Mapping[str, int]:
    """The most instances of each profile in any one layout."""
    best: dict[str, int] = {}
    for layout in geometry.maximal_multisets(allowed):
        for name, count in layout:
            best[name] = max(count, best.get(name, 0))
    return best
