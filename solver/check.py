"""Whether a solution is legal, worked out from the rules alone: nothing here is shared with the search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from solver.check_levels import wrong_levels
from solver.geometry import Geometry
from solver.problem import Counts, Gpu, Node, Pod, Problem, Rank, Tenant
from solver.solution import By, Solution

_LEAST = -(2**31)
"""the least priority that there is: headroom is above nobody"""


def check(problem: Problem, solution: Solution) -> list[str]:
    """Every rule that the solution breaks, one sentence each; empty where it is legal and its levels true."""
    broken = [*_wrong_names(problem, solution)]
    if broken:
        return broken
    for planned in _planned(problem, solution):
        broken += [*_wrong_changes(planned), *_wrong_layouts(planned), *_wrong_evictions(planned)]
        broken += [*_overcommitted(planned), *_wrong_attribution(planned), *_needless(planned)]
    broken += [*_wrong_places(solution), *_wrong_order(problem, solution)]
    broken += wrong_levels(problem, solution)
    return broken


@dataclass(frozen=True, slots=True)
class _Planned:
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


def _planned(problem: Problem, solution: Solution) -> Iterator[_Planned]:
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
    for node in problem.nodes:
        here = placed[node.name]
        moved = frozenset(here.keys() & tenants.keys())
        yield _Planned(node, changes[node.name], here, moved, tuple(evicted[node.name]))


def _wrong_names(problem: Problem, solution: Solution) -> Iterator[str]:
    pods = {pod.name: pod for pod in problem.pods}
    gpus = {node.name: {gpu.index for gpu in node.gpus} for node in problem.nodes}
    for row in solution.served:
        if row.pod not in pods:
            yield f"served pod {row.pod} is not in the problem"
        elif row.node not in gpus:
            yield f"pod {row.pod} is served on node {row.node}, which is not in the problem"
        elif row.node not in pods[row.pod].nodes:
            yield f"pod {row.pod} may not run on node {row.node}"
    for change in solution.changes:
        if change.node not in gpus:
            yield f"node {change.node} changes but is not in the problem"
        elif change.gpu not in gpus[change.node]:
            yield f"node {change.node} has no GPU {change.gpu} to change"
    yield from _wrong_headroom(problem, solution)
    yield from _wrong_tenants(problem, solution)
    served = [row.pod for row in solution.served]
    changed = [(change.node, change.gpu) for change in solution.changes]
    for pod, count in sorted(Counter(served).items()):
        if count > 1:
            yield f"pod {pod} is served {count} times"
    for (node, gpu), count in sorted(Counter(changed).items()):
        if count > 1:
            yield f"GPU {gpu} of node {node} changes {count} times"
    if served != sorted(served):
        yield "the served pods are not sorted by name"
    if changed != sorted(changed):
        yield "the changes are not sorted by node and GPU"


def _wrong_headroom(problem: Problem, solution: Solution) -> Iterator[str]:
    nodes = {node.name for node in problem.nodes}
    kept: Counter[int] = Counter()
    for row in solution.headroom:
        if not 0 <= row.headroom < len(problem.headroom):
            yield f"headroom {row.headroom} is not in the problem"
            return
        if row.node not in nodes & problem.headroom[row.headroom].nodes:
            yield f"headroom {row.headroom} may not be on node {row.node}"
        if row.count < 1:
            yield f"headroom {row.headroom} counts {row.count} slices on node {row.node}"
        kept[row.headroom] += row.count
    for position, count in sorted(kept.items()):
        if count > problem.headroom[position].count:
            yield f"{count} slices are kept of headroom {position}, which asks for fewer"
    rows = [(row.headroom, row.node, row.by) for row in solution.headroom]
    if rows != sorted(set(rows)):
        yield "what is kept of headroom is not sorted by headroom, node and how, each once"


def _wrong_tenants(problem: Problem, solution: Solution) -> Iterator[str]:
    tenants = {tenant.name: tenant for tenant in problem.tenants}
    home = {name: node.name for node in problem.nodes for gpu in node.gpus for name in gpu.tenants}
    nodes = {node.name for node in problem.nodes}
    for row in solution.evictions:
        if row.pod not in tenants:
            yield f"evicted pod {row.pod} is no tenant in the problem"
        elif row.node != home.get(row.pod):
            yield f"pod {row.pod} is evicted from node {row.node}, where it does not run"
        elif row.to not in nodes & tenants[row.pod].nodes:
            yield f"the replacement of pod {row.pod} may not run on node {row.to}"
    names = [row.pod for row in solution.evictions]
    if names != sorted(set(names)):
        yield "the evictions are not sorted by pod, each once"


def _wrong_places(solution: Solution) -> Iterator[str]:
    evicting = {row.node for row in solution.evictions}
    for row in solution.evictions:
        if row.to != row.node and row.to in evicting:
            yield f"the replacement of pod {row.pod} is on node {row.to}, which evicts pods itself"


def _wrong_evictions(planned: _Planned) -> Iterator[str]:
    node, gone = planned.node, {tenant.name for tenant in planned.evicted}
    for gpu in planned.gpus:
        for name in sorted(gpu.tenants - gone):
            yield f"GPU {gpu.index} of node {node.name} changes though pod {name} uses it"
    for tenant in planned.evicted:
        used = [gpu.index for gpu in planned.gpus if tenant.name in gpu.tenants]
        if not used:
            yield f"pod {tenant.name} is evicted from node {node.name} though no GPU that it uses changes"
            continue
        above: Counter[str] = Counter()
        for name, (pod, _) in planned.pods.items():
            if name not in planned.moved and pod.priority > tenant.priority:
                above.update(dict(pod.slices))
        kept = planned.supply(*used)
        if all(kept[name] >= count for name, count in above.items()):
            yield f"pod {tenant.name} is evicted from node {node.name} but makes room for nobody above it"


def _wrong_changes(planned: _Planned) -> Iterator[str]:
    node = planned.node
    for gpu in planned.gpus:
        if not gpu.changeable and not gpu.tenants:
            yield f"GPU {gpu.index} of node {node.name} may not change"
        if gpu.layout is None and not node.mode_change:
            yield f"the MIG mode of GPU {gpu.index} of node {node.name} may not be switched on"
        if planned.layouts[gpu.index] == gpu.layout:
            yield f"GPU {gpu.index} of node {node.name} changes to the layout that it has"
    for kept in node.gpus:
        twins = [
            gpu.index
            for gpu in planned.gpus
            if kept.changeable
            and gpu.changeable
            and (gpu.geometry, gpu.layout) == (kept.geometry, kept.layout)
        ]
        if kept.index not in planned.layouts and any(index > kept.index for index in twins):
            yield f"GPU {max(twins)} of node {node.name} changes before its equal GPU {kept.index}"


def _wrong_layouts(planned: _Planned) -> Iterator[str]:
    node = planned.node
    for gpu in planned.gpus:
        layout, where = planned.layouts[gpu.index], f"GPU {gpu.index} of node {node.name}"
        names = [name for name, _ in layout]
        has = {profile.name for profile in gpu.geometry.profiles}
        if names != sorted(set(names)) or any(count < 1 for _, count in layout):
            yield f"the new layout of {where} is not a sorted multiset of positive counts"
        elif missing := [name for name in names if name not in has]:
            yield f"{where} has no profile {missing[0]}"
        elif not _placeable(gpu.geometry, layout):
            yield f"the new layout of {where} has no legal placement"
        else:
            allowed = has if node.profiles is None else has & node.profiles
            if denied := [name for name in names if name not in allowed]:
                yield f"profile {denied[0]} may not be used on node {node.name}"
            for name in sorted(allowed):
                if _placeable(gpu.geometry, tuple(sorted((Counter(dict(layout)) + Counter([name])).items()))):
                    yield f"the new layout of {where} has room for one more {name}"
                    break


@cache
def _placeable(geometry: Geometry, layout: Counts) -> bool:
    """Whether disjoint placements realise the layout on an empty GPU, within every limit; tries them all."""
    profiles = {profile.name: profile for profile in geometry.profiles}
    instances = [profiles[name] for name, count in layout for _ in range(count)]
    engines = Counter[str]()
    for profile in instances:
        engines.update(dict(profile.engines))
    if any(count > profiles[name].max_count for name, count in layout):
        return False
    if any(count > dict(geometry.engines_total)[engine] for engine, count in engines.items()):
        return False
    if sum(profile.compute for profile in instances) > geometry.compute_slices:
        return False
    instances.sort(key=lambda profile: -profile.size)

    def place(position: int, taken: frozenset[int]) -> bool:
        if position == len(instances):
            return True
        profile = instances[position]
        units = (frozenset(range(start, start + profile.size)) for start in profile.starts)
        return any(not unit & taken and place(position + 1, taken | unit) for unit in units)

    return place(0, frozenset())


def _overcommitted(planned: _Planned) -> Iterator[str]:
    node, surviving, supply = planned.node, planned.surviving(), planned.supply()
    for name in sorted(surviving):
        if surviving[name] < 0:
            yield f"changes of node {node.name} take {-surviving[name]} x {name} that is not free"
    for name, count in sorted(planned.demand().items()):
        if count > supply[name]:
            yield f"the pods on node {node.name} take {count} x {name} of {supply[name]}"
    left = Counter(dict(node.resources))
    for tenant in planned.evicted:
        left.update(dict(tenant.resources))
    wanted: Counter[str] = Counter()
    for pod, _ in planned.pods.values():
        wanted.update(dict(pod.resources))
    for name, count in sorted(wanted.items()):
        if count > left.get(name, 0):
            yield f"the pods on node {node.name} take {count} {name} of {left.get(name, 0)}"


def _wrong_attribution(planned: _Planned) -> Iterator[str]:
    node, name = planned.node, planned.node.name
    reshaped = sorted(pod for pod, (_, how) in planned.pods.items() if how is By.RESHAPE)
    if not planned.layouts:
        if reshaped:
            yield f"pod {reshaped[0]} is served by a reshape of node {name}, which does not change"
        return
    benefit = len([pod for pod in reshaped if pod not in planned.moved])
    if benefit < node.min_benefit:
        yield f"the reshape of node {name} serves {benefit} pods, fewer than {node.min_benefit}"
    free = sorted(pod for pod, (_, how) in planned.pods.items() if how is By.FREE)
    if any(gpu.layout is None for gpu in planned.gpus):
        if free:
            yield f"pod {free[0]} is served by a slice that the mode change of node {name} destroys"
        return
    if planned.evicted:
        if free:
            yield f"pod {free[0]} is said to need no change of node {name}, which evicts pods"
        return
    left = planned.surviving()
    left.subtract(planned.demand(By.FREE))
    for profile, count in sorted(left.items()):
        if count < 0 and planned.demand(By.FREE)[profile]:
            yield f"the pods served by free slices of node {name} take {-count} x {profile} more than stay"
    if any(count < 0 for count in left.values()):
        return
    for pod in reshaped:
        if all(left[profile] >= count for profile, count in planned.pods[pod][0].slices):
            yield f"pod {pod} counts for the reshape of node {name} though free slices that stay serve it"


def _needless(planned: _Planned) -> Iterator[str]:
    node, demand = planned.node, planned.demand()
    if planned.layouts and all(dict(node.free).get(name, 0) >= count for name, count in demand.items()):
        yield f"node {node.name} changes though its layouts serve the same pods"
    for gpu in planned.gpus:
        kept = planned.supply(gpu.index)
        if all(kept[name] >= count for name, count in demand.items()):
            yield f"GPU {gpu.index} of node {node.name} changes though its layout serves the same pods"


def _wrong_order(problem: Problem, solution: Solution) -> Iterator[str]:
    served = {row.pod for row in solution.served}
    groups: dict[tuple[Rank, int, Counts, Counts, frozenset[str]], list[Pod]] = defaultdict(list)
    for pod in problem.pods:
        groups[pod.rank, pod.weight, pod.slices, pod.resources, pod.nodes].append(pod)
    for pods in groups.values():
        pods.sort(key=lambda pod: (pod.order, pod.name))
        for first, second in pairwise(pods):
            if second.name in served and first.name not in served:
                yield f"pod {second.name} is served before its equal {first.name}, which comes first"
