"""The rules about evictions, for the check alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from solver.check_node import Planned
from solver.problem import MOST_EVICTED, MOST_OF_NAMESPACE, Problem
from solver.solution import Solution


def wrong_tenants(problem: Problem, solution: Solution) -> Iterator[str]:
    """Who is evicted from where, and where the replacement may be at all."""
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


def wrong_places(solution: Solution) -> Iterator[str]:
    """A replacement is where its tenant was, or where nobody has to go."""
    evicting = {row.node for row in solution.evictions}
    for row in solution.evictions:
        if row.to != row.node and row.to in evicting:
            yield f"the replacement of pod {row.pod} is on node {row.to}, which evicts pods itself"


def wrong_evictions(planned: Planned) -> Iterator[str]:
    """Just the tenants of GPUs that change go, few, each for pods above it that lack slices otherwise."""
    node, gone = planned.node, {tenant.name for tenant in planned.evicted}
    spaces = Counter(name.partition("/")[0] for name in gone)
    if len(gone) > MOST_EVICTED or max(spaces.values(), default=0) > MOST_OF_NAMESPACE:
        yield f"{len(gone)} pods are evicted from node {node.name}, more than may go at once"
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
