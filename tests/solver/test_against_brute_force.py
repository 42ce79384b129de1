"""The solver against a brute force that knows nothing of it."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from solver import greedy
from solver.check import check
from solver.check_levels import values
from solver.instance import aggregate, undisturbed
from solver.merit import certain, merit
from solver.solution import Level, Status
from solver.solve import solve
from tests.solver import brute
from tests.solver.tiny import cluster, problem

INSTANCES = 2000
JUDGED = 150
"""instances on which every feature is left out once, to see whether it matters"""

LEAVE_OUT = {
    "cpu and pods": lambda nodes, pods, *rest: (nodes, _every(pods, resources={}), *rest),
    "selectors": lambda nodes, pods, *rest: (nodes, _every(pods, nodes=_names(nodes)), *rest),
    "priorities": lambda nodes, pods, *rest: (nodes, _every(pods, priority=0), *rest),
    "weights": lambda nodes, pods, *rest: (nodes, _every(pods, weight=1), *rest),
    "starvation": lambda nodes, pods, *rest: (nodes, _every(pods, starved=False), *rest),
    "profiles": lambda nodes, *rest: (_every(nodes, profiles=None), *rest),
    "minBenefit": lambda nodes, *rest: (_every(nodes, minBenefit=1), *rest),
    "modeChange": lambda nodes, *rest: (_every(nodes, modeChange=False), *rest),
    "headroom": lambda nodes, pods, headroom, tenants: (nodes, pods, [], tenants),
    "evictions": lambda nodes, pods, headroom, tenants: (nodes, pods, headroom, []),
    "tenants' priorities": lambda nodes, pods, headroom, tenants: (
        nodes,
        pods,
        headroom,
        _every(tenants, priority=-(2**31)),
    ),
    "tenants' selectors": lambda nodes, pods, headroom, tenants: (
        nodes,
        pods,
        headroom,
        _every(tenants, nodes=_names(nodes)),
    ),
}
"""what a solver that does not know a feature would be asked"""


def levels(solution, tenants=False):
    """A solution's levels as the brute force names them."""
    value = {level.name: level.value for level in solution.levels}
    served = {level.rank: level.value for level in solution.levels if level.name == "servedWeight"}
    return {
        "served": served,
        **({"headroom": value["headroom"]} if "headroom" in value else {}),
        **({"evictions": value["evictions"]} if tenants else {}),
        "nodes": value["nodesChanged"],
        "gpus": value["gpusChanged"],
        "spare": value["spare"],
    }


def greedy_levels(asked):
    """What greedy reaches by itself, without the leftovers."""
    instance = undisturbed(aggregate(asked))
    reached = merit(instance, greedy.draft(instance))
    served = dict(zip(instance.ranks, reached.served, strict=True))
    kept = {"headroom": served.pop(None)} if None in served else {}
    return {"served": served, **kept, "nodes": reached.nodes, "gpus": reached.gpus}


def test_every_level_is_the_best_there_is(capsys):
    """On 2,000 random tiny clusters each level of the solver's plan is exactly the brute force's."""
    reshaped = lost = evicts = 0
    mattered: Counter[str] = Counter()
    for seed in range(INSTANCES):
        plain = cluster(random.Random(seed))
        asked = problem(*plain)
        solution, best = solve(asked), brute.optimum(*plain)
        assert levels(solution, bool(plain[3])) == best, f"instance {seed}"
        assert solution.status is Status.OPTIMAL, f"instance {seed}"
        assert check(asked, solution) == [], f"instance {seed}"
        reshaped += best["nodes"] > 0
        reached = greedy_levels(asked)
        evicts += best.get("evictions", 0) > 0
        lost += any(reached[level] != best[level] for level in reached)
        if seed < JUDGED:
            blind = {name: solve(problem(*left_out(*plain))) for name, left_out in LEAVE_OUT.items()}
            mattered.update(name for name, plan in blind.items() if not as_good(asked, plan, solution))
    with capsys.disabled():
        print(f"\n{INSTANCES} tiny clusters: {reshaped} need a reshape, {evicts} an eviction")
        print(f"on {lost} greedy alone loses a level")
        print(f"of the first {JUDGED}, a solver blind to it fails on: {dict(mattered.most_common())}")
    assert reshaped >= INSTANCES / 3
    assert lost >= INSTANCES / 4
    assert mattered.keys() == LEAVE_OUT.keys()


def as_good(asked, plan, best):
    """Whether the plan is legal for what is asked, and on no level short of the best.

    Of headroom it is enough that nothing else is changed for its sake: what is free need not be claimed.
    """
    if asked.headroom and not plan.headroom:
        asked, best = replace(asked, headroom=()), replace(best, levels=_without_headroom(best))
    reached = values(asked, plan)
    levels = tuple(Level(name, rank, value, None) for (name, rank), value in reached)
    legal = not check(asked, replace(plan, levels=levels, status=Status.FEASIBLE))
    return legal and [value for _, value in reached] == [level.value for level in best.levels]


def _without_headroom(solution):
    return tuple(level for level in solution.levels if level.name != "headroom")


def _names(nodes):
    return [node["name"] for node in nodes]


def _every(rows, **fields):
    return [row | fields for row in rows]


@pytest.mark.parametrize("effort", [0.0, 1e-4, 1e-3])
def test_bounds_of_a_search_cut_short_hold(effort):
    """Whatever a starved search reaches, the plan is legal and no plan is better than its bounds say."""
    open_levels = 0
    for seed in range(60):
        plain = cluster(random.Random(seed))
        asked = problem(*plain)
        solution, best = solve(asked, effort=effort), brute.optimum(*plain)
        assert check(asked, solution) == [], f"instance {seed}"
        kept = [best["headroom"]] if "headroom" in best else []
        optimal = [
            *best["served"].values(),
            *kept,
            best.get("evictions", 0),
            best["nodes"],
            best["gpus"],
            best["spare"],
        ]
        for level, value in zip(solution.levels, optimal, strict=True):
            if level.bound is not None and level.name in ("servedWeight", "headroom", "spare"):
                assert value <= level.bound, f"instance {seed}: {level}"
            elif level.bound is not None:
                assert value >= level.bound, f"instance {seed}: {level}"
            if level.value != value:
                break
        open_levels += solution.status is Status.FEASIBLE
    assert open_levels > 0


def test_what_is_certain_without_search_is_true():
    """The bound on served pods that needs no search is never below the best, and often is the best."""
    tight = 0
    for seed in range(100):
        plain = cluster(random.Random(seed))
        best = brute.optimum(*plain)
        instance = aggregate(problem(*plain))
        known = dict(zip(instance.ranks, certain(instance).served, strict=True))
        reached = {**best["served"], **({None: best["headroom"]} if "headroom" in best else {})}
        assert all(weight <= known[rank] for rank, weight in reached.items()), f"instance {seed}"
        tight += reached == known
    assert tight > 0
