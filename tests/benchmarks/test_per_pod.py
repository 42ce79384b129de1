"""The comparison with MIGBench's figures replays jobs as the per-pod strategies do."""

from __future__ import annotations

import random

import pytest

from benchmarks.per_pod import GPUS, NODES, waits
from simulations.strategies.per_pod.rules import Dra, Hami
from simulations.strategies.per_pod.system import CREATE_SECONDS
from simulations.workload.job import Job
from solver.profile_name import resource_name
from tests.simulations.strategies.per_pod.test_system import Site


@pytest.mark.parametrize("rule", [Hami(), Dra()], ids=lambda rule: rule.name)
def test_by_age_it_waits_exactly_as_long_as_the_strategy(rule):
    """A figure printed beside a published one is that of the strategy which simulations use."""
    rng = random.Random(7)
    pods = []
    for second in sorted(rng.sample(range(900), 120)):
        profile = rng.choice(["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"])
        pods.append((float(second), float(rng.randint(50, 500)), {profile: 1}, 0))
    site = Site(rule, [(f"node-{n}", GPUS, 64) for n in range(NODES)], pods).live()
    found = waits(
        [
            Job(f"team/pod-{n:03}", at, seconds, {resource_name(p): 1 for p in slices})
            for n, (at, seconds, slices, _) in enumerate(pods)
        ],
        rule,
        lambda numbers: numbers,
    )
    expected = [site.bound[f"team/pod-{n:03}"][0] - pod[0] + CREATE_SECONDS for n, pod in enumerate(pods)]
    assert found == pytest.approx(expected)
    assert sum(wait > 1 for wait in found) > 20
