"""A node with what a solution does to it, for the check alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from solver.problem import Counts, Gpu, Node, Pod, Problem, Tenant
from solver.solution import By, Solution

_LEAST = -(2**31)
"""the least priority that there is: headroom is above nobody"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A node with what the solution does to it.

    Attributes:
        layouts: new layouts by GPU index.
        pods: the pods placed here, by name, and how they are served; a slice of headroom is a pod as well,
            and so is a tenant's replacement.
        moved: which of them are replacements.
        evicted: the tenants that leave the node.
    """

    node: Node
    layouts: dict[int, Counts]
    pods: dict[str, tuple[Pod, By]]
    moved: frozenset[str]
    evicted: tuple[Tenant, ...]

    @property
    def gpus(self) -> list[Gpu]:
        """The GPUs that change."""
        return [gpu for gpu in self.node.gpus if gpu.index in self.layouts]

    def demand(self, by: By | None = None) -> Counter[str]:
        """The slices that the pods (served in that way) take together."""
        total: Counter[str] = Counter()
        for pod, how in self.pods.values():
            if by in (None, how):
                total.update(dict(pod.slices))
        return total

    def surviving(self) -> Counter[str]:
        """The free slices that no change touches; a negative count where a change takes what is not free."""
        left = Counter(dict(self.node.free))
        for gpu in self.gpus:
            left.subtract(dict(_idle(gpu)))
        return left

    def supply(self, *without: int) -> Counter[str]:
        """The free slices after the plan, where the GPUs `without` stay as they are."""
        total = self.surviving()
        for gpu in self.gpus:
            total.update(dict(_idle(gpu) if gpu.index in without else self.layouts[gpu.index]))
        return total


def _idle(gpu: Gpu) -> Counts:
    """The slices that a GPU which may change offers as it is."""
    return gpu.idle if gpu.tenants else gpu.layout or ()


def planned_nodes(problem: Problem, solution: Solution) -> Iterator[Planned]:
    """Each node with which something is done; the names must be known to be those of the problem."""
    pods = {pod.name: pod for pod in problem.pods}
    changes: dict[str, dict[int, Counts]] = defaultdict(dict)
    placed: dict[str, dict[str, tuple[Pod, By]]] = defaultdict(dict)
    for change in solution.changes:
        changes[change.node][change.gpu] = change.layout
    for row in solution.served:
        placed[row.node][row.pod] = pods[row.pod], row.by
    for kept in solution.headroom:
        slices = ((problem.headroom[kept.headroom].profile, 1),)
        for k in range(kept.count):
            name = f"headroom-{kept.headroom}/{kept.by}-{k}"
            placed[kept.node][name] = Pod(name, _LEAST, slices, (), frozenset({kept.node})), kept.by
    tenants = {tenant.name: tenant for tenant in problem.tenants}
    evicted: dict[str, list[Tenant]] = defaultdict(list)
    for gone in solution.evictions:
        who = tenants[gone.pod]
        evicted[gone.node].append(who)
        placed[gone.to][who.name] = Pod(who.name, who.priority, who.slices, who.resources, who.nodes), gone.by
    concerned = changes.keys() | placed.keys() | evicted.keys()
    for node in problem.nodes:
        if node.name not in concerned:
            continue
        here = placed[node.name]
        moved = frozenset(here.keys() & tenants.keys())
        yield Planned(node, changes[node.name], here, moved, tuple(evicted[node.name]))
