"""A backlog costs what its kinds cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from simulations.clock import Clock
from simulations.scheduler import Scheduler
from simulations.scheduler.filters import Filters
from simulations.scheduler.kinds import Kind
from simulations.world import World
from tests.simulations.scheduler.rows import SLICE, node, pod

KINDS = ({SLICE: 1, "pods": 1}, {SLICE: 1, "cpu": 1000, "pods": 1}, {SLICE: 2, "pods": 1})
PODS = 600


@pytest.mark.parametrize("freed", [0, 1, 3])
def test_an_event_has_one_pod_of_each_kind_tried_and_those_that_fit(
    monkeypatch: pytest.MonkeyPatch, freed: int
) -> None:
    """With 600 pods that wait, what comes free goes to the oldest, and hardly more pods are looked at."""
    world, tried = World(Clock(0.0)), Counter[str]()
    Scheduler(world)
    world.write(node("n", slices=3))
    holders = [f"holder-{number}" for number in range(3)]
    for name in (*holders, *(f"p{number:03}" for number in range(PODS))):
        number = 0 if name in holders else int(name[1:])
        world.write(pod(name, KINDS[number % 2 + number % 5 // 4], world.clock.now))
        world.clock.jump(world.clock.now + 0.1)
    looking = Filters.reject

    def reject(filters: Filters, kind: Kind, key: str) -> None:
        tried[key] += 1
        looking(filters, kind, key)

    monkeypatch.setattr(Filters, "reject", reject)
    for name in holders[:freed]:
        world.write(replace(world.pods[f"team/{name}"], phase="Succeeded"))
    world.write(replace(world.nodes["n"], taints=()))
    world.clock.jump(world.clock.now + 60)
    bound = {row.name for row in world.pods.values() if row.node and row.name not in holders}
    assert bound == {f"p{number:03}" for number in range(freed)}
    assert len(tried) == (len(KINDS) if freed else 0)
