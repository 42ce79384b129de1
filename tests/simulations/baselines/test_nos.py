"""The nos baseline against what was observed of the program, and what the charitable one does better."""

from __future__ import annotations

import random

import pytest

from simulations.baselines.nos import as_it_is, charitable
from simulations.baselines.nos_layouts import layouts
from solver.check import check
from solver.geometry import by_product, models
from solver.problem import Gpu, Node, Pod, Problem, counts
from solver.solve import solve
from tests.solver import tiny

A100 = by_product("NVIDIA-A100-SXM4-40GB")


def _problem(nodes, gpus, pods, slices, present=(("7g.40gb", 1),)):
    """Equal idle nodes and equal pods."""
    names = [f"node-{i}" for i in range(nodes)]
    free = counts({name: count * gpus for name, count in present})
    cluster = tuple(
        Node(name, tuple(Gpu(i, A100, present, True) for i in range(gpus)), free, counts({"pods": 110}))
        for name in names
    )
    waiting = tuple(
        Pod(f"pod-{i:02}", 0, counts(slices), counts({"pods": 1}), frozenset(names), i) for i in range(pods)
    )
    return Problem(cluster, waiting)


def _changes(solution):
    """(GPUs, nodes) that change."""
    return len(solution.changes), len({change.node for change in solution.changes})


@pytest.mark.parametrize(
    ("nodes", "gpus", "pods", "slices", "observed", "repaired"),
    [
        (5, 1, 10, {"1g.5gb": 1}, (5, 5), (2, 2)),
        (10, 8, 60, {"1g.5gb": 1}, (17, 10), (9, 2)),
        (10, 8, 20, {"3g.20gb": 1}, (26, 10), (10, 2)),
    ],
)
def test_it_changes_as_many_gpus_as_the_program_did(nodes, gpus, pods, slices, observed, repaired):
    """GPUs and nodes changed are those of the Go binary; without its slips they are what is needed."""
    problem = _problem(nodes, gpus, pods, slices)
    assert {_changes(as_it_is(problem, seed)) for seed in range(10)} == {observed}
    assert _changes(charitable(problem, complete=False)) == repaired
    assert _changes(solve(problem)) == repaired


def test_as_it_is_the_plan_is_a_matter_of_chance():
    """Many runs on one problem give many plans, each of which its seed gives again."""
    problem = _problem(5, 1, 10, {"1g.5gb": 1})
    plans = [as_it_is(problem, seed).changes for seed in range(25)]
    assert len(set(plans)) > 10
    assert plans == [as_it_is(problem, seed).changes for seed in range(25)]


def test_slices_that_nobody_can_use_hide_what_is_lacking():
    """As it is, a free slice on a full node makes pods lack nothing and causes no plan."""
    full = Node("node-0", (Gpu(0, A100, (("3g.20gb", 2),), False),), (("3g.20gb", 1),), ())
    idle = tuple(_whole(node) for node in _problem(3, 1, 0, {}).nodes[1:])
    pods = _problem(3, 1, 3, {"3g.20gb": 1}).pods
    problem = Problem((full, *idle), pods)
    assert as_it_is(problem, 1).changes == ()
    assert len(charitable(problem, complete=False).served) == 3


def _whole(node):
    layout = (("7g.40gb", 1),)
    return Node(node.name, (Gpu(0, A100, layout, True),), layout, node.resources)


def test_all_slices_of_a_pod_must_lie_on_one_gpu():
    """A pod of three 3g.20gb fits on two GPUs together, and nos never cuts them for it; we do."""
    problem = _problem(1, 2, 1, {"3g.20gb": 3})
    assert not charitable(problem).served
    assert len(solve(problem).served) == 1


def test_what_the_scheduler_can_place_is_placed_first():
    """Pods that fit what is free take it, and no new layout takes it from them."""
    present = (("3g.20gb", 2),)
    problem = _problem(1, 1, 3, {"3g.20gb": 1}, present=present)
    for solution in (as_it_is(problem, 1), charitable(problem)):
        assert (len(solution.served), solution.changes) == (2, ())


def test_free_slices_that_a_layout_destroys_cost_nothing():
    """It gives up a whole free GPU for one small slice more, where two slices of a cut one are free."""
    nodes = tuple(
        Node(name, (Gpu(0, A100, layout, True),), layout, (("pods", 110),))
        for name, layout in (("a", (("7g.40gb", 1),)), ("b", (("3g.20gb", 2),)))
    )
    pods = (
        Pod("pod-0", 0, (("2g.10gb", 1),), (("pods", 1),), frozenset("ab"), 0),
        Pod("pod-1", 0, (("7g.40gb", 2),), (("pods", 1),), frozenset("ab"), 1),
    )
    changed = {change.node for change in charitable(Problem(nodes, pods)).changes}
    assert changed == {"a"}


@pytest.mark.parametrize("complete", [True, False])
def test_plans_are_legal_but_for_changes_that_serve_nobody(complete):
    """On random clusters the check finds no fault beside needless changes, which are nos's own cost."""
    rng = random.Random(8)
    needless = ("serves the same pods", "serve the same pods")
    found = 0
    for seed in range(150):
        problem = tiny.problem(*tiny.tiny(rng))
        for solution in (as_it_is(problem, seed, complete=complete), charitable(problem, complete=complete)):
            broken = check(problem, solution)
            assert [f for f in broken if not f.endswith(needless) and "fewer than" not in f] == []
            found += bool(broken)
    assert found > 20


def test_its_layouts_are_legal_and_leave_no_room():
    """On every model each layout can be placed, and nothing can be added to it."""
    for geometry in models():
        plain = frozenset(name for name in geometry.names if "+" not in name)
        for complete in (True, False):
            choice = layouts(geometry, None, complete=complete)
            assert choice
            assert set(choice) <= set(geometry.maximal_multisets(plain))
    assert len(layouts(A100, None, complete=False)) == 6
    assert layouts(A100, frozenset({"7g.40gb"}), complete=True) == ((("7g.40gb", 1),),)
