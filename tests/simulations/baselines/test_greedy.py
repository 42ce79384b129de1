"""First-fit and best-fit: legal plans that do what the names say."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from simulations.baselines.greedy import best_fit, first_fit
from solver.check import check
from solver.geometry import by_product
from solver.problem import Gpu, Node, Pod, Problem, counts
from solver.solution import By, Change, Served
from tests.solver import tiny

H100 = by_product("NVIDIA-H100-80GB-HBM3")
PLANNERS = pytest.mark.parametrize("planner", [first_fit, best_fit])
AMPLE = counts({"cpu": 64, "pods": 110})


def _node(name, *layouts, frozen=(), free=()):
    """A node of idle H100s with these layouts, beside frozen ones, which have `free` slices left."""
    every = [*layouts, *frozen]
    gpus = tuple(Gpu(index, H100, counts(layout), index < len(layouts)) for index, layout in enumerate(every))
    total = Counter(dict(free))
    for layout in layouts:
        total.update(layout)
    return Node(name, gpus, counts(total), AMPLE)


def _problem(nodes, *wanted):
    """Pods pod-0, pod-1, ... that ask for (slices, priority), the older first."""
    places = frozenset(node.name for node in nodes)
    return Problem(
        tuple(nodes),
        tuple(
            Pod(f"pod-{i}", priority, counts(slices), counts({"cpu": 1, "pods": 1}), places, i)
            for i, (slices, priority) in enumerate(wanted)
        ),
    )


@PLANNERS
def test_plans_on_random_clusters_are_legal(planner):
    """The independent check accepts every plan, whatever the cluster holds."""
    rng = random.Random(5)
    for _ in range(300):
        problem = tiny.problem(*tiny.tiny(rng))
        assert check(problem, planner(problem)) == []


@PLANNERS
def test_what_is_free_goes_to_whom_it_fits(planner):
    """No pod is left out that fits on what the plan leaves free."""
    rng = random.Random(6)
    turned_away = 0
    for _ in range(200):
        problem = tiny.problem(*tiny.tiny(rng))
        solution = planner(problem)
        left = {node.name: Counter(dict(node.free)) for node in problem.nodes}
        rest = {node.name: Counter(dict(node.resources)) for node in problem.nodes}
        gpus = {(node.name, gpu.index): gpu for node in problem.nodes for gpu in node.gpus}
        for change in solution.changes:
            left[change.node].subtract(dict(gpus[change.node, change.gpu].layout or ()))
            left[change.node].update(dict(change.layout))
        pods = {pod.name: pod for pod in problem.pods}
        for row in solution.served:
            pod = pods.pop(row.pod)
            left[row.node].subtract(dict(pod.slices))
            rest[row.node].subtract(dict(pod.resources))
        for pod in pods.values():
            turned_away += 1
            for node in pod.nodes:
                fits = all(left[node][name] >= count for name, count in pod.slices)
                assert not (fits and all(rest[node][name] >= count for name, count in pod.resources))
    assert turned_away > 50


@PLANNERS
def test_the_plan_depends_on_the_problem_alone(planner):
    """Twice the same problem gives twice the same plan."""
    problem = tiny.problem(*tiny.tiny(random.Random(1)))
    assert planner(problem) == planner(replace(problem))


def test_free_slices_come_before_a_change():
    """A pod that fits somewhere as the GPUs are cut causes no change elsewhere; to first-fit it does."""
    nodes = [_node("a", {"7g.80gb": 1}), _node("b", {"1g.10gb": 7})]
    problem = _problem(nodes, ({"1g.10gb": 1}, 0))
    tight, first = best_fit(problem), first_fit(problem)
    assert (tight.served, tight.changes) == ((Served("pod-0", "b", By.FREE),), ())
    assert first.served == (Served("pod-0", "a", By.RESHAPE),)


@PLANNERS
def test_a_gpu_that_is_cut_anew_serves_later_pods(planner):
    """Eight small pods change two GPUs of one node, not eight."""
    nodes = [_node(name, *[{"7g.80gb": 1}] * 4) for name in "ab"]
    solution = planner(_problem(nodes, *[({"1g.10gb": 1}, 0)] * 8))
    assert [(change.node, change.gpu) for change in solution.changes] == [("a", 0), ("a", 1)]
    assert solution.changes[0] == Change("a", 0, (("1g.10gb", 7),))


@PLANNERS
def test_the_higher_priority_goes_first(planner):
    """Where one of two pods can be served, it is the more important one, and then the older one."""
    nodes = [_node("a", {"7g.80gb": 1})]
    whole = {"7g.80gb": 1}
    assert planner(_problem(nodes, (whole, 0), (whole, 9), (whole, 9))).served[0].pod == "pod-1"


def test_best_fit_takes_the_tightest_place_where_first_fit_takes_the_first():
    """A small pod goes into the gap of a GPU in use, not onto an idle one that comes first."""
    nodes = [_node("a", {"1g.10gb": 7}), _node("b", frozen=[{"1g.10gb": 7}], free={"1g.10gb": 1})]
    problem = _problem(nodes, ({"1g.10gb": 1}, 0))
    assert first_fit(problem).served[0].node == "a"
    assert best_fit(problem).served[0].node == "b"


def test_both_are_greedy():
    """Neither sees ahead: the older small pod takes the GPU that the large one would need."""
    nodes = [_node("a", {"7g.80gb": 1})]
    problem = _problem(nodes, ({"3g.40gb": 1}, 0), ({"7g.80gb": 1}, 0), ({"7g.80gb": 1}, 1))
    for planner in (first_fit, best_fit):
        assert [row.pod for row in planner(problem).served] == ["pod-2"]
    later = replace(problem, pods=problem.pods[:2])
    assert [row.pod for row in first_fit(later).served] == ["pod-0"]
