"""The check refuses a valid plan as soon as one rule is broken, and says which."""

import ast
import inspect
import re
from dataclasses import replace

import pytest

from solver import check as plan_rules
from solver import check_evictions as eviction_rules
from solver import check_levels as level_rules
from solver.check import check
from solver.geometry import by_product
from solver.problem import Gpu, Headroom, Node, Pod, Problem, Tenant, counts
from solver.solution import By, Change, Eviction, Level, Reserve, Served, Solution, Status

H100 = by_product("NVIDIA-H100-80GB-HBM3")
WHOLE = (("7g.80gb", 1),)
SPLIT = (("1g.10gb", 4), ("3g.40gb", 1))
PLAIN = frozenset(name for name in H100.names if "+" not in name)


def pod(name, slices, nodes, order=0):
    return Pod(f"team/{name}", 0, counts(slices), (("cpu", 1),), frozenset(nodes), order)


def honest(problem, served, changes, headroom=(), evictions=()):
    """The solution with true levels, none of them proven."""
    plan = Solution(served, changes, (), Status.FEASIBLE, headroom, evictions)
    values = level_rules.values(problem, plan)
    return replace(plan, levels=tuple(Level(name, rank, value, None) for (name, rank), value in values))


@pytest.fixture
def problem():
    """Two whole H100 beside one in use, a node with one free slice, and pods for small and large ones."""
    in_use = Gpu(2, H100, (("1g.10gb", 7),), changeable=False)
    gpus = (Gpu(0, H100, WHOLE, changeable=True), Gpu(1, H100, WHOLE, changeable=True), in_use)
    return Problem(
        nodes=(
            Node("node-a", gpus, (("7g.80gb", 2),), (("cpu", 10),), PLAIN),
            Node("node-b", (), (("1g.10gb", 1),), (("cpu", 10),)),
        ),
        pods=(
            *(pod(f"p{i}", {"1g.10gb": 1}, ("node-a", "node-b"), order=i) for i in range(6)),
            pod("q", {"3g.40gb": 1}, ("node-a",)),
        ),
    )


@pytest.fixture
def solution(problem):
    """One GPU is split for five pods, a sixth takes the free slice, the last waits."""
    served = (
        Served("team/p0", "node-b", By.FREE),
        *(Served(f"team/p{i}", "node-a", By.RESHAPE) for i in range(1, 5)),
        Served("team/q", "node-a", By.RESHAPE),
    )
    return honest(problem, served, (Change("node-a", 0, SPLIT),))


def node_a(problem, **fields):
    """The problem with another node-a."""
    return replace(problem, nodes=(replace(problem.nodes[0], **fields), problem.nodes[1]))


def gpu_0(problem, **fields):
    """The problem with another GPU 0 on node-a."""
    first, *others = problem.nodes[0].gpus
    return node_a(problem, gpus=(replace(first, **fields), *others))


def serve(solution, name, node, by=By.RESHAPE):
    """The solution where this pod is served there."""
    others = [row for row in solution.served if row.pod != f"team/{name}"]
    served = sorted([*others, Served(f"team/{name}", node, by)], key=lambda row: row.pod)
    return replace(solution, served=tuple(served))


def unserve(solution, name):
    """The solution where this pod waits."""
    return replace(solution, served=tuple(row for row in solution.served if row.pod != f"team/{name}"))


def change(solution, *changes):
    """The solution with these changes."""
    return replace(solution, changes=changes)


def mode_off(problem):
    """The problem where GPU 0 has its MIG mode off and may be switched on."""
    switched = gpu_0(problem, layout=None)
    return node_a(switched, free=WHOLE, mode_change=True)


def asking(problem, nodes=("node-a", "node-b"), count=2):
    """The problem with headroom of one kind."""
    return replace(problem, headroom=(Headroom("1g.10gb", count, frozenset(nodes)),))


def keep(solution, *rows):
    """The solution that keeps this of it, and serves p0 no more, whose slice is free then."""
    return replace(unserve(unserve(solution, "p0"), "p5"), headroom=rows)


def free(count, node="node-b", headroom=0):
    """So many slices that are free already."""
    return Reserve(headroom, node, By.FREE, count)


def hosting(problem, priority=-1, nodes=("node-a",)):
    """The problem where a tenant uses GPU 0 of node-a; GPU 1 and node-b each have a slice for it."""
    used = node_a(
        gpu_0(problem, changeable=False, tenants=frozenset({"runs/t"})), free=WHOLE, resources=(("cpu", 5),)
    )
    other = replace(used.nodes[1], free=(("1g.10gb", 1), ("7g.80gb", 1)))
    tenant = Tenant("runs/t", priority, WHOLE, (("cpu", 1),), frozenset(nodes))
    return replace(used, nodes=(used.nodes[0], other), tenants=(tenant,))


def evict(solution, *rows):
    """The solution that evicts the tenant to the other GPU, or does this instead."""
    return replace(solution, evictions=rows or (gone("node-a"),))


def gone(to, node="node-a", pod="runs/t"):
    """An eviction."""
    return Eviction(pod, node, to, By.RESHAPE if to == node else By.FREE)


def crowded(problem, count, spaces=1):
    """The problem where so many tenants that ask for nothing use GPU 0 of node-a."""
    names = sorted(f"runs-{n % spaces}/t{n}" for n in range(count))
    used = node_a(gpu_0(problem, changeable=False, tenants=frozenset(names)), free=())
    tenants = tuple(Tenant(name, -1, (), (), frozenset(["node-a"])) for name in names)
    return replace(used, tenants=tenants)


def evict_all(problem, solution):
    """The problem, and the solution that evicts all of its tenants."""
    return problem, evict(solution, *(gone("node-a", pod=tenant.name) for tenant in problem.tenants))


def hosting_both(problem):
    """The problem where a tenant uses node-b as well."""
    asked = hosting(problem, nodes=("node-a", "node-b"))
    used = Gpu(0, H100, WHOLE, changeable=False, tenants=frozenset({"runs/u"}))
    other = replace(asked.nodes[1], gpus=(used,), free=(("7g.80gb", 2),))
    both = (asked.tenants[0], replace(asked.tenants[0], name="runs/u"))
    return replace(asked, nodes=(asked.nodes[0], other), tenants=both)


PLAN_MUTATIONS = {
    "an eviction of nobody": (
        lambda p, s: (hosting(p), evict(s, gone("node-a", pod="runs/x"))),
        ["evicted pod runs/x is no tenant in the problem"],
    ),
    "an eviction from elsewhere": (
        lambda p, s: (hosting(p), evict(s, gone("node-a", node="node-b"))),
        ["pod runs/t is evicted from node node-b, where it does not run"],
    ),
    "a replacement where it may not run": (
        lambda p, s: (hosting(p), evict(s, gone("node-b"))),
        ["the replacement of pod runs/t may not run on node node-b"],
    ),
    "an eviction twice": (
        lambda p, s: (hosting(p), evict(s, gone("node-a"), gone("node-a"))),
        ["the evictions are not sorted by pod, each once"],
    ),
    "too many evictions of a namespace": (
        lambda p, s: evict_all(crowded(p, 8), s),
        ["8 pods are evicted from node node-a, more than may go at once"],
    ),
    "too many evictions": (
        lambda p, s: evict_all(crowded(p, 15, spaces=5), s),
        ["15 pods are evicted from node node-a, more than may go at once"],
    ),
    "as many evictions as may be": (lambda p, s: evict_all(crowded(p, 14, spaces=2), s), []),
    "a replacement where others are evicted": (
        lambda p, s: (
            hosting_both(p),
            evict(
                serve(change(s, *s.changes, Change("node-b", 0, SPLIT)), "p0", "node-b"),
                gone("node-b"),
                gone("node-b", node="node-b", pod="runs/u"),
            ),
        ),
        [
            "pod runs/t is said to need no change of node node-b, which evicts pods",
            "the replacement of pod runs/t is on node node-b, which evicts pods itself",
        ],
    ),
    "a tenant that stays": (
        lambda p, s: (hosting(p), s),
        ["GPU 0 of node node-a changes though pod runs/t uses it"],
    ),
    "an eviction without a change": (
        lambda p, s: (
            hosting(p, nodes=("node-b",)),
            evict(change(s, Change("node-a", 1, SPLIT)), gone("node-b")),
        ),
        ["pod runs/t is evicted from node node-a though no GPU that it uses changes"],
    ),
    "an eviction for equals": (
        lambda p, s: (hosting(p, priority=0), evict(s)),
        ["pod runs/t is evicted from node node-a but makes room for nobody above it"],
    ),
    "a replacement without a slice": (
        lambda p, s: (node_a(hosting(p), free=()), evict(s)),
        ["the pods on node node-a take 1 x 7g.80gb of 0"],
    ),
    "a replacement without cpu": (
        lambda p, s: (node_a(hosting(p), resources=(("cpu", 4),)), evict(s)),
        ["the pods on node node-a take 6 cpu of 5"],
    ),
    "a replacement as a benefit": (
        lambda p, s: (node_a(hosting(p), min_benefit=6), evict(s)),
        ["the reshape of node node-a serves 5 pods, fewer than 6"],
    ),
    "a free slice beside an eviction": (
        lambda p, s: (hosting(p), serve(evict(s), "p1", "node-a", By.FREE)),
        ["pod team/p1 is said to need no change of node node-a, which evicts pods"],
    ),
    "headroom that nobody asks for": (
        lambda p, s: (asking(p), keep(s, free(1, headroom=1))),
        ["headroom 1 is not in the problem"],
    ),
    "headroom where it may not be": (
        lambda p, s: (asking(p, nodes=["node-a"]), keep(s, free(1))),
        ["headroom 0 may not be on node node-b"],
    ),
    "headroom of nothing": (
        lambda p, s: (asking(p), keep(s, free(0))),
        ["headroom 0 counts 0 slices on node node-b"],
    ),
    "more headroom than is asked for": (
        lambda p, s: (asking(p, count=1), keep(s, free(2))),
        ["2 slices are kept of headroom 0, which asks for fewer"],
    ),
    "headroom out of order": (
        lambda p, s: (asking(p), keep(s, free(1), Reserve(0, "node-a", By.RESHAPE, 1))),
        ["what is kept of headroom is not sorted by headroom, node and how, each once"],
    ),
    "headroom that a pod has": (
        lambda p, s: (asking(p), replace(s, headroom=(free(1),))),
        ["the pods on node node-b take 2 x 1g.10gb of 1"],
    ),
    "a served pod that is none": (
        lambda p, s: (p, serve(s, "ghost", "node-a")),
        ["served pod team/ghost is not in the problem"],
    ),
    "a pod on a node that is none": (
        lambda p, s: (p, serve(s, "p0", "node-z")),
        ["pod team/p0 is served on node node-z, which is not in the problem"],
    ),
    "a pod where it may not run": (
        lambda p, s: (p, serve(s, "q", "node-b")),
        ["pod team/q may not run on node node-b"],
    ),
    "a change of a node that is none": (
        lambda p, s: (p, change(s, *s.changes, Change("node-z", 0, SPLIT))),
        ["node node-z changes but is not in the problem"],
    ),
    "a change of a GPU that is none": (
        lambda p, s: (p, change(s, *s.changes, Change("node-a", 9, SPLIT))),
        ["node node-a has no GPU 9 to change"],
    ),
    "a pod served twice": (
        lambda p, s: (p, replace(s, served=(s.served[0], *s.served))),
        ["pod team/p0 is served 2 times"],
    ),
    "a GPU changed twice": (
        lambda p, s: (p, change(s, *s.changes, *s.changes)),
        ["GPU 0 of node node-a changes 2 times"],
    ),
    "served pods out of order": (
        lambda p, s: (p, replace(s, served=s.served[::-1])),
        ["the served pods are not sorted by name"],
    ),
    "changes out of order": (
        lambda p, s: (p, change(s, Change("node-a", 1, SPLIT), *s.changes)),
        ["the changes are not sorted by node and GPU"],
    ),
    "a GPU in use": (
        lambda p, s: (gpu_0(p, changeable=False), s),
        ["GPU 0 of node node-a may not change"],
    ),
    "a mode change that is not allowed": (
        lambda p, s: (node_a(mode_off(p), mode_change=False), s),
        ["the MIG mode of GPU 0 of node node-a may not be switched on"],
    ),
    "a change to the same": (
        lambda p, s: (p, change(s, *s.changes, Change("node-a", 1, WHOLE))),
        [
            "GPU 1 of node node-a changes to the layout that it has",
            "GPU 1 of node node-a changes though its layout serves the same pods",
        ],
    ),
    "the second of two equal GPUs": (
        lambda p, s: (p, change(s, Change("node-a", 1, SPLIT))),
        ["GPU 1 of node node-a changes before its equal GPU 0"],
    ),
    "a layout that is no multiset": (
        lambda p, s: (p, change(s, Change("node-a", 0, SPLIT[::-1]))),
        ["the new layout of GPU 0 of node node-a is not a sorted multiset of positive counts"],
    ),
    "a profile that the GPU does not have": (
        lambda p, s: (p, change(s, Change("node-a", 0, (*SPLIT, ("9g.90gb", 1))))),
        ["GPU 0 of node node-a has no profile 9g.90gb"],
    ),
    "a layout without a placement": (
        lambda p, s: (p, change(s, Change("node-a", 0, (("1g.10gb", 4), ("3g.40gb", 2))))),
        ["the new layout of GPU 0 of node node-a has no legal placement"],
    ),
    "a profile that the policy denies": (
        lambda p, s: (node_a(p, profiles=PLAIN - {"3g.40gb"}), s),
        ["profile 3g.40gb may not be used on node node-a"],
    ),
    "a layout with room": (
        lambda p, s: (p, change(unserve(s, "p4"), Change("node-a", 0, (("1g.10gb", 3), ("3g.40gb", 1))))),
        ["the new layout of GPU 0 of node node-a has room for one more 1g.10gb"],
    ),
    "a slice in use destroyed": (
        lambda p, s: (node_a(p, free=()), s),
        ["changes of node node-a take 1 x 7g.80gb that is not free"],
    ),
    "more slices than there are": (
        lambda p, s: (p, serve(s, "p5", "node-a")),
        ["the pods on node node-a take 5 x 1g.10gb of 4"],
    ),
    "more cpu than there is": (
        lambda p, s: (node_a(p, resources=(("cpu", 4),)), s),
        ["the pods on node node-a take 5 cpu of 4"],
    ),
    "a reshape that is none": (
        lambda p, s: (p, serve(s, "p0", "node-b")),
        ["pod team/p0 is served by a reshape of node node-b, which does not change"],
    ),
    "too few pods": (
        lambda p, s: (node_a(p, min_benefit=6), s),
        ["the reshape of node node-a serves 5 pods, fewer than 6"],
    ),
    "a free slice under a mode change": (
        lambda p, s: (mode_off(p), serve(s, "p1", "node-a", By.FREE)),
        ["pod team/p1 is served by a slice that the mode change of node node-a destroys"],
    ),
    "a free slice that goes": (
        lambda p, s: (p, serve(s, "p1", "node-a", By.FREE)),
        ["the pods served by free slices of node node-a take 1 x 1g.10gb more than stay"],
    ),
    "a pod claimed for the reshape": (
        lambda p, s: (node_a(p, free=(("3g.40gb", 1), ("7g.80gb", 2))), s),
        ["pod team/q counts for the reshape of node node-a though free slices that stay serve it"],
    ),
    "a node that need not change": (
        lambda p, s: (
            node_a(p, free=(("1g.10gb", 4), ("3g.40gb", 1), ("7g.80gb", 2))),
            replace(s, served=tuple(replace(row, by=By.FREE) for row in s.served)),
        ),
        [
            "the reshape of node node-a serves 0 pods, fewer than 1",
            "node node-a changes though its layouts serve the same pods",
            "GPU 0 of node node-a changes though its layout serves the same pods",
        ],
    ),
    "a GPU that need not change": (
        lambda p, s: (p, change(s, *s.changes, Change("node-a", 1, (("1g.10gb", 1), ("2g.20gb", 3))))),
        ["GPU 1 of node node-a changes though its layout serves the same pods"],
    ),
    "a pod before its elder": (
        lambda p, s: (p, serve(unserve(s, "p4"), "p5", "node-a")),
        ["pod team/p5 is served before its equal team/p4, which comes first"],
    ),
}


def level(solution, position, **fields):
    """The solution with another level at a position."""
    levels = list(solution.levels)
    levels[position] = replace(levels[position], **fields)
    return replace(solution, levels=tuple(levels))


def proven(solution):
    """The solution with every level stated as its own bound."""
    return replace(solution, levels=tuple(replace(row, bound=row.value) for row in solution.levels))


LEVELS_DUE = (
    "the levels should be servedWeight of priority 0, evictions, nodesChanged, gpusChanged, spare, "
    "in this order"
)

LEVEL_MUTATIONS = {
    "a level left out": (
        lambda s: replace(s, levels=s.levels[1:]),
        LEVELS_DUE,
    ),
    "levels in another order": (
        lambda s: replace(s, levels=s.levels[::-1]),
        LEVELS_DUE,
    ),
    "more pods than served": (
        lambda s: level(s, 0, value=7),
        "level servedWeight of priority 0 is 6, not 7",
    ),
    "an eviction": (lambda s: level(s, 1, value=1), "level evictions is 0, not 1"),
    "fewer nodes than changed": (lambda s: level(s, 2, value=0), "level nodesChanged is 1, not 0"),
    "more GPUs than changed": (lambda s: level(s, 3, value=2), "level gpusChanged is 1, not 2"),
    "leftovers that are taken": (lambda s: level(s, 4, value=16), "level spare is 0, not 16"),
    "more served than the bound": (
        lambda s: level(s, 0, bound=5),
        "level servedWeight of priority 0 is 6 and passes its bound 5",
    ),
    "fewer nodes than the bound": (
        lambda s: level(s, 2, bound=2),
        "level nodesChanged is 1 and passes its bound 2",
    ),
    "more leftovers than the bound": (
        lambda s: level(s, 4, bound=-1),
        "level spare is 0 and passes its bound -1",
    ),
    "an optimum without proof": (
        lambda s: level(replace(proven(s), status=Status.OPTIMAL), 3, bound=None),
        "the status is Optimal though level gpusChanged is not proven",
    ),
    "a proof that is not claimed": (
        lambda s: replace(proven(s), status=Status.FEASIBLE),
        "the status is Feasible though every level is proven",
    ),
}


def test_the_valid_plans_pass(problem, solution):
    """The plans that the mutations start from are legal, with and without a mode change."""
    assert check(problem, solution) == []
    switched = mode_off(problem)
    assert check(switched, honest(switched, solution.served, solution.changes)) == []
    assert check(problem, replace(proven(solution), status=Status.OPTIMAL)) == []
    for asked, to in ((hosting(problem), "node-a"), (hosting(problem, nodes=("node-b",)), "node-b")):
        assert check(asked, honest(asked, solution.served, solution.changes, (), (gone(to),))) == []


@pytest.mark.parametrize("name", PLAN_MUTATIONS)
def test_a_broken_rule_of_the_plan_is_named(problem, solution, name):
    """A valid plan in which one rule is broken is refused with exactly that rule's sentence."""
    mutate, expected = PLAN_MUTATIONS[name]
    broken, plan = mutate(problem, solution)
    names_known = {row.pod for row in plan.served} <= {row.name for row in broken.pods}
    names_known = names_known and all(row.headroom < len(broken.headroom) for row in plan.headroom)
    names_known = names_known and {r.pod for r in plan.evictions} <= {t.name for t in broken.tenants}
    if names_known:
        plan = honest(broken, plan.served, plan.changes, plan.headroom, plan.evictions)
    assert check(broken, plan) == expected


@pytest.mark.parametrize("name", LEVEL_MUTATIONS)
def test_an_untrue_level_is_named(problem, solution, name):
    """A valid plan that states one level wrongly is refused with exactly that level's sentence."""
    mutate, expected = LEVEL_MUTATIONS[name]
    assert check(problem, mutate(solution)) == [expected]


def test_every_rule_has_its_mutation():
    """Each sentence that the check can say is said about one of the mutations above."""
    said = [sentence for _, expected in PLAN_MUTATIONS.values() for sentence in expected]
    said += [sentence for _, sentence in LEVEL_MUTATIONS.values()]
    rules = (plan_rules, eviction_rules, level_rules)
    for sentence in (one for module in rules for one in _sentences(module)):
        assert any(re.fullmatch(sentence, one) for one in said), sentence


def _sentences(module):
    """The sentences that a module of rules yields, as patterns."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr):
            parts = (re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in node.value.values)
            yield "".join(parts)
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Constant):
            yield re.escape(node.value.value)
