"""Whether a solution is legal, worked out from the rules alone: nothing here is shared with the search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from solver.check_evictions import wrong_evictions, wrong_places, wrong_tenants
from solver.check_levels import wrong_levels
from solver.check_node import Planned, planned_nodes
from solver.geometry import Geometry
from solver.problem import Counts, Pod, Problem, Rank
from solver.solution import By, Solution


def check(problem: Problem, solution: Solution) -> list[str]:
    """Every rule that the solution breaks, one sentence each; empty where it is legal and its levels true."""
    broken = [*_wrong_names(problem, solution)]
    if broken:
        return broken
    for planned in planned_nodes(problem, solution):
        broken += [*_wrong_changes(planned), *_wrong_layouts(planned), *wrong_evictions(planned)]
        broken += [*_overcommitted(planned), *_wrong_attribution(planned), *_needless(planned)]
    broken += [*wrong_places(solution), *_wrong_order(problem, solution)]
    broken += wrong_levels(problem, solution)
    return broken


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
    yield from wrong_tenants(problem, solution)
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


def _wrong_changes(planned: Planned) -> Iterator[str]:
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


def _wrong_layouts(planned: Planned) -> Iterator[str]:
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
    if layout in geometry.refused or any(count > profiles[name].max_count for name, count in layout):
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


def _overcommitted(planned: Planned) -> Iterator[str]:
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


def _wrong_attribution(planned: Planned) -> Iterator[str]:
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


def _needless(planned: Planned) -> Iterator[str]:
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
