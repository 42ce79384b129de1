"""Never less served than by first-fit, best-fit or nos, and no change that helps nobody."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import pytest

from simulations.baselines import greedy, nos
from solver.check import check
from solver.geometry import by_product
from solver.problem import Gpu, Node, Pod, Problem, counts
from solver.solution import By
from solver.solve import solve

INSTANCES = 500
EFFORT = 3
MODELS = ("NVIDIA-A100-SXM4-40GB", "NVIDIA-H100-80GB-HBM3", "NVIDIA-H200", "NVIDIA-A30")
BASELINES = {
    "first-fit": greedy.first_fit,
    "best-fit": greedy.best_fit,
    "nos as it is": partial(nos.as_it_is, seed=1),
    "nos as it is, all layouts": partial(nos.as_it_is, seed=1, complete=True),
    "nos charitable": nos.charitable,
}


@pytest.fixture(scope="module")
def answers():
    """Every instance with our plan for it."""
    found = []
    for seed in range(INSTANCES):
        problem = _instance(random.Random(f"baselines {seed}"))
        found.append((problem, solve(problem, effort=EFFORT)))
    return found


def _served(solution):
    """The served levels, the most important first."""
    return [level.value for level in solution.levels if level.name == "servedWeight"]


def test_no_baseline_serves_more(answers):
    """Level by level, the most important first, ours serves at least as much as each of them, everywhere."""
    compared: Counter[str] = Counter()
    better: Counter[str] = Counter()
    fewer: Counter[str] = Counter()
    for problem, ours in answers:
        for name, plan in BASELINES.items():
            if name.startswith("nos") and any(node.min_benefit > 1 for node in problem.nodes):
                continue  # it knows no such rule and reshapes a node for a single pod
            theirs = plan(problem)
            compared[name] += 1
            assert _served(ours) >= _served(theirs), name
            better[name] += _served(ours) > _served(theirs)
            fewer[name] += _served(ours) == _served(theirs) and len(ours.changes) < len(theirs.changes)
    for name in BASELINES:
        print(
            f"against {name}, {compared[name]} clusters: more is served in {better[name]}, "
            f"as much with fewer GPUs changed in {fewer[name]}"
        )
        assert better[name] + fewer[name] > 0.2 * compared[name]


def test_every_change_helps_somebody(answers):
    """Each reshape serves a pod that the node's old layouts could not have served beside the others there."""
    changed = 0
    for problem, ours in answers:
        assert check(problem, ours) == []
        pods = {pod.name: pod for pod in problem.pods}
        nodes = {node.name: node for node in problem.nodes}
        for name in {change.node for change in ours.changes}:
            here = [row for row in ours.served if row.node == name]
            assert any(row.by is By.RESHAPE for row in here)
            wanted: Counter[str] = Counter()
            for row in here:
                wanted.update(dict(pods[row.pod].slices))
            free = dict(nodes[name].free)
            assert any(count > free.get(profile, 0) for profile, count in wanted.items())
            changed += 1
    assert changed > INSTANCES


def _instance(rng):
    """A cluster of 3 to 12 nodes with up to 60 pods of up to 12 templates, now loose, now tight."""
    models = [by_product(name) for name in rng.sample(MODELS, rng.choice((1, 1, 2, 3)))]
    benefit = rng.choice((1, 1, 1, 2))
    nodes = tuple(_node(rng, f"node-{i:02}", rng.choice(models), benefit) for i in range(rng.randint(3, 12)))
    places = [node.name for node in nodes]
    priorities = rng.choice(((0,), (0, 100), (0, 100, 1000)))
    templates = [
        {
            "priority": rng.choice(priorities),
            "slices": _slices(rng, rng.choice(models)),
            "resources": counts({"cpu": rng.choice((1, 1, 2, 4)), "pods": 1}),
            "nodes": frozenset(
                places if rng.random() < 0.7 else rng.sample(places, rng.randint(1, len(places)))
            ),
        }
        for _ in range(rng.randint(2, 12))
    ]
    pods = tuple(
        Pod(name=f"pod-{i:02}", order=rng.randrange(100), **rng.choice(templates))
        for i in range(rng.randint(5, 60))
    )
    return Problem(nodes, pods)


def _node(rng, name, model, benefit):
    layouts = model.maximal_multisets(frozenset(n for n in model.names if "+" not in n))
    gpus, free = [], Counter()
    for index in range(rng.choice((1, 2, 4, 4))):
        layout, idle = rng.choice(layouts), rng.random() < 0.7
        free.update({p: count if idle else rng.randint(0, count - 1) for p, count in layout})
        gpus.append(Gpu(index, model, layout, idle))
    resources = {"cpu": rng.choice((4, 8, 16, 64)), "pods": rng.choice((6, 110))}
    return Node(name, tuple(gpus), counts(free), counts(resources), min_benefit=benefit)


def _slices(rng, model):
    plain = sorted(n for n in model.names if "+" not in n)
    found = {rng.choice(plain): rng.choice((1, 1, 1, 2))}
    if rng.random() < 0.2:
        found[rng.choice(plain)] = 1
    return counts(found)
