"""HAMi and the DRA driver beside the other strategies, on the nodes of a scenario."""

from __future__ import annotations

import pytest

from autoslicer.core.policy import BUILT_IN
from simulations.run import run
from simulations.scenario.scenario import Node, Scenario, Timing
from simulations.strategies.registry import STRATEGIES
from simulations.workload.job import Job
from simulations.workload.source import Format, Trace
from solver.profile_name import resource_name

NAMES = pytest.mark.parametrize("name", ["hami", "dra"])


def _scenario(schedule):
    node = Node("h100-1", "NVIDIA-H100-80GB-HBM3", 1, "all-7g.80gb", 64_000, 1 << 38, {}, (), False)
    unread = Trace(path=None, format=Format.AUTOSLICER)
    return Scenario((node,), None, unread, BUILT_IN, Timing(schedule=schedule), (), 1, {})


def _jobs(*pods):
    for number, (arrival, duration, profile) in enumerate(pods):
        yield Job(f"team/pod-{number}", arrival, duration, {resource_name(profile): 1})


@NAMES
def test_gpus_are_cut_for_each_pod_without_a_change_of_the_node(name):
    """The scenario's layout does not stay, and no node is out of service for that."""
    pods = [(0.0, 50.0, "3g.40gb"), (1.0, 50.0, "1g.10gb"), (2.0, 5.0, "7g.80gb")]
    outcome = run(name, STRATEGIES[name](_scenario(0.5)), _jobs(*pods))
    assert (outcome.pods, outcome.completed, outcome.unserved) == (3, 3, 0)
    assert outcome.waits_by_profile["1g.10gb"].mean == outcome.waits_by_profile["3g.40gb"].mean == 0.5
    assert 49 < outcome.waits_by_profile["7g.80gb"].mean < 51
    assert (outcome.reshapes, outcome.node_unavailable, outcome.evictions, outcome.thought) == (0, 0, 0, 0)


@NAMES
def test_a_static_cluster_would_have_served_only_the_whole_gpu(name):
    """The same pods wait for ever where nobody cuts the GPU: what differs is the strategy."""
    pods = [(0.0, 50.0, "3g.40gb"), (1.0, 5.0, "7g.80gb")]
    assert run("static", STRATEGIES["static"](_scenario(0.5)), _jobs(*pods)).unserved == 1
    assert run(name, STRATEGIES[name](_scenario(0.5)), _jobs(*pods)).unserved == 0
