"""One more pod for a solved problem, against the brute force."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from solver import extend as extension
from solver.check import check
from solver.extend import extend
from solver.known import known
from solver.problem import Headroom, Problem, Tenant
from solver.solution import Status
from solver.solve import fallback, solve
from tests.solver import brute
from tests.solver.test_against_brute_force import levels
from tests.solver.tiny import problem, tiny

INSTANCES = 250


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    """Tiny problems are extended too."""
    monkeypatch.setattr(extension, "SMALL", 0)


def cluster(seed):
    """A tiny cluster whose changes may serve a single pod: (nodes, pods) in the brute force's words."""
    nodes, pods = tiny(random.Random(seed))
    return [{**node, "minBenefit": 1} for node in nodes], pods


def without(asked, *names):
    """The problem without some pods."""
    return Problem(asked.nodes, tuple(pod for pod in asked.pods if pod.name not in names))


def ranked(solution):
    """The values of the levels, so that more is better."""
    costs = ("evictions", "nodesChanged", "gpusChanged")
    return [(level, -level.value if level.name in costs else level.value) for level in solution.levels]


def best_values(nodes, pods):
    """The same of the best plan, by level's name and priority."""
    best = brute.optimum(nodes, pods)
    costs = {"evictions": 0, "nodesChanged": -best["nodes"], "gpusChanged": -best["gpus"]}
    served = {("servedWeight", priority): count for priority, count in best["served"].items()}
    return served | {(name, None): value for name, value in costs.items()} | {("spare", None): best["spare"]}


def test_an_extended_plan_is_legal_and_its_bounds_hold(capsys):
    """Whatever pod comes: the check passes all of it, no bound lies, and nothing above the pod gets worse."""
    seen = Counter()
    for seed in range(INSTANCES):
        nodes, pods = cluster(seed)
        asked = problem(nodes, pods)
        came = random.Random(seed).choice(asked.pods)
        before = without(asked, came.name)
        first = solve(before)
        after = extend(known(before, first), asked, [came])
        assert after is not None, f"instance {seed}"
        assert check(asked, after.solution) == [], f"instance {seed}"
        mine, best = ranked(after.solution), best_values(nodes, pods)
        for level, value in mine:
            goal = best[level.name, level.rank]
            if level.bound is not None:
                bound = level.bound if level.name in ("servedWeight", "spare") else -level.bound
                assert goal <= bound, f"instance {seed}: {level}"
            if goal < value:
                break  # bounds of the levels below are for plans no worse on this one
        served = len(after.solution.served) - len(first.served)
        seen["served"] += served > 0
        seen["in the place of another"] += served <= 0 and after.solution.served != first.served
        seen["best"] += levels(after.solution)["served"] == brute.optimum(nodes, pods)["served"]
        seen["proven"] += after.solution.status is Status.OPTIMAL
        if after.solution.status is Status.OPTIMAL:
            found, truth = levels(after.solution), brute.optimum(nodes, pods)
            assert all(found[name] == truth[name] for name in ("served", "nodes", "gpus")), f"instance {seed}"
    with capsys.disabled():
        print(f"\n{INSTANCES} extensions: {dict(sorted(seen.items()))}")
    assert seen["served"] > INSTANCES / 4
    assert seen["in the place of another"]
    assert seen["best"] > INSTANCES * 0.9


def test_a_cluster_filled_pod_by_pod():
    """Each step from the last one's answer: all of it stays legal, and no pod is forgotten."""
    for seed in range(60):
        asked = problem(*cluster(seed))
        empty = Problem(asked.nodes, ())
        state = known(empty, solve(empty))
        for count in range(1, len(asked.pods) + 1):
            step = Problem(asked.nodes, asked.pods[:count])
            state = extend(state, step, [asked.pods[count - 1]])
            assert state is not None, f"instance {seed}"
            assert check(step, state.solution) == [], f"instance {seed}, {count} pods"
            assert state.places == {row.pod: row.node for row in state.solution.served}


def test_what_is_left_to_a_whole_search(monkeypatch):
    """Small problems, plans without a search, changes for several pods, headroom, tenants, much that came."""
    asked = problem(*cluster(3))
    came = asked.pods[0]
    before = without(asked, came.name)
    state = known(before, solve(before))
    assert extend(state, asked, [came]) is not None
    assert extend(known(before, fallback(before)), asked, [came]) is None
    assert extend(replace(state, added=100), asked, [came]) is None
    several = Problem(tuple(replace(node, min_benefit=2) for node in asked.nodes), asked.pods)
    assert extend(state, several, [came]) is None
    wanted = replace(asked, headroom=(Headroom("1g.10gb", 1, frozenset()),))
    assert extend(state, wanted, [came]) is None
    hosting = replace(asked, tenants=(Tenant("runs/t", 0, (), (), frozenset()),))
    assert extend(state, hosting, [came]) is None
    monkeypatch.setattr(extension, "SMALL", 3)
    assert extend(state, asked, [came]) is None
