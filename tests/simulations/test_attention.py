"""A controller that looks only when something may call for an action does what one does that looks always."""

from __future__ import annotations

from itertools import islice

from hypothesis import event, given, settings
from hypothesis import strategies as st

from simulations.cluster import Cluster
from simulations.executor import Executor
from simulations.world import Row
from tests.simulations.test_world import scenes
from tests.simulations.worlds import H100, Arrival, Machine, Scene, auto


def lived(
    cluster: Cluster, *, after: int, restless: bool
) -> tuple[list[tuple[float, Row | None, Row | None]], int]:
    """What a controller makes of a cluster that another one has left after so many moments.

    Everything that is written until nothing more happens, and how often the controller thought.
    """
    for _ in islice(Executor(cluster.world).moments(), after):
        pass
    written: list[tuple[float, Row | None, Row | None]] = []
    cluster.world.watch(lambda old, new: written.append((cluster.world.clock.now, old, new)))
    executor, decisions = Executor(cluster.world), set[int]()
    kept = []
    for _ in executor.moments():
        kept.append(executor.decision)
        decisions.add(id(executor.decision))
        executor._attention.asked |= restless
    return written, len(decisions)


@settings(max_examples=40, deadline=None)
@given(scenes, st.just(0) | st.integers(1, 60))
def test_looking_when_it_matters_misses_nothing(scene: Scene, after: int) -> None:
    """The same writes at the same times, object by object, with fewer cycles, whenever it begins."""
    calm, few = lived(scene.build(), after=after, restless=False)
    restless, many = lived(scene.build(), after=after, restless=True)
    assert calm == restless
    assert few <= many
    event("cycles were saved" if few < many else "no cycle could be saved")


def test_a_controller_that_begins_late_knows_who_waits() -> None:
    """A pod that waited before is served as soon as the pod that was in its way has ended."""
    machine = Machine(H100, gpus=1, config="all-7g.80gb", cpu=64, agent=False)
    runs, waits = Arrival(0.0, "7g.80gb", 1, 0, 0, 100.0), Arrival(1.0, "1g.10gb", 1, 0, 0, 20.0)
    cluster = Scene(auto(pending_seconds=0), (machine,), (runs, waits)).build()
    world, start = cluster.world, cluster.world.clock.now
    world.clock.jump(start + 50)
    bound = next(
        at
        for at in Executor(world).moments()
        if any(pod.node and "mig-1g.10gb" in " ".join(pod.requests) for pod in world.pods.values())
    )
    assert bound - start < 150
