"""A trace streams through a simulation: what pods leave behind does not grow with how many have come."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from simulations.run import run
from simulations.strategies.registry import STRATEGIES
from simulations.workload.job import Job
from solver.profile_name import resource_name
from tests.simulations.test_run import H100_NODE, scenario

JOBS = 2000
LOOKS = 5
"""how often memory is looked at, at equal distances"""


def fed(duration: float | None, looks: list[int]) -> Iterator[Job]:
    """A pod every ten seconds, read one at a time; `looks` gets how many objects live now and then."""
    for number in range(JOBS):
        if number % (JOBS // LOOKS) == 0:
            gc.collect()
            looks.append(sys.getallocatedblocks())
        yield Job(f"team/{number}", 10.0 * number, duration, {resource_name("1g.10gb"): 1, "cpu": 1000})


def grown(name: str, duration: float | None) -> Sequence[float]:
    """How many objects more there are for each pod that came, from look to look; the first fills caches."""
    looks = list[int]()
    machines = [replace(H100_NODE, gpus=2, config="all-1g.10gb"), H100_NODE]
    outcome = run(name, STRATEGIES[name](scenario(machines)), fed(duration, looks))
    assert (outcome.pods, len(looks)) == (JOBS, LOOKS)
    return [(after - before) * LOOKS / JOBS for before, after in pairwise(looks[1:])]


@pytest.mark.parametrize("name", STRATEGIES)
def test_pods_that_end_leave_nothing_behind(name: str) -> None:
    """Between two looks at the memory hundreds of pods come and go, and not one object stays for each."""
    assert min(grown(name, 40.0)) < 0.1


def test_pods_that_stay_are_seen_to_take_memory() -> None:
    """The measure is able to tell: each pod that never ends keeps many objects alive."""
    assert min(grown("static", None)) > 10
