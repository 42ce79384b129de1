"""The virtual scheduler binds what the real one binds, after the same event and to the same node."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from autoslicer.core.rows import PodRow
from simulations.clock import Clock
from simulations.scheduler import Scheduler, scheduler, scores
from simulations.scheduler.backoff import INITIAL_SECONDS
from simulations.scheduler.kinds import Kind
from simulations.scheduler.nodes import Amounts, Nodes
from simulations.world import Row, World
from tests.cluster.fixture import Cluster
from tests.simulations.scheduler.real import KINDS, SMALL, Machine, Real, Step, draw

EMPTY: Machine = ({"cpu": "8", "memory": "32Gi"}, {}, ())
ONE = {SMALL: "1"}
BACKOFF_SECONDS = INITIAL_SECONDS + 1.5
"""so long after a first try nothing is left of its backoff, nor of the second in which that ended"""


class Draw:
    """Among the best nodes takes the one that the real scheduler drew, if it is one of them."""

    def __init__(self, drawn: dict[str, str]) -> None:
        self._drawn = drawn
        self.seen: Counter[str] = Counter()
        self.scheduler: Scheduler | None = None

    def __call__(self, nodes: Nodes, kind: Kind, chosen: Amounts) -> int:
        """In place of `scores.best`."""
        assert self.scheduler is not None
        pod = self.scheduler._informer.tried.partition("/")[2]
        wanted = nodes.index.get(self._drawn.get(pod, ""), -1)
        found = scores.total(nodes, kind, chosen)
        best = chosen[found == found.max()]
        self.seen["one best node of several" if len(best) < len(chosen) else "all equal"] += 1
        return wanted if wanted in best else int(best[0])


def replayed(real: Real, drawing: Draw, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the virtual scheduler binds after each step, when the same is done at the same times."""
    steps = real.steps
    world, bound = World(Clock(float(math.floor(steps[0].at)))), list[dict[str, str]]()

    def record(old: Row | None, new: Row | None) -> None:
        if isinstance(old, PodRow) and isinstance(new, PodRow) and new.node and not old.node:
            bound[-1][new.name] = new.node

    world.watch(record)
    drawing.scheduler = Scheduler(world)
    for node in real.nodes:
        world.write(node)
    ends = [*(step.at for step in steps[1:]), steps[-1].at + 1]
    with monkeypatch.context() as patched:
        patched.setattr(scheduler, "best", drawing)
        for step, end in zip(steps, ends, strict=True):
            world.clock.jump(step.at)
            bound.append({})
            _do(world, step)
            world.clock.jump(end)
    return bound


def _do(world: World, step: Step) -> None:
    pods = {pod.name: pod for pod in world.pods.values()}
    if step.came is not None:
        world.write(step.came)
    elif step.node is not None:
        world.write(step.node)
    elif step.ended in pods:
        world.delete(pods[step.ended])
    elif step.promised[0] in pods:
        world.write(replace(pods[step.promised[0]], nominated=step.promised[1]))


def odd(real: Real, virtual: list[dict[str, str]], *, by_kind: bool = False) -> set[str]:
    """The pods that were not bound after the same step to the same node, or to one of the same kind.

    What the real scheduler bound may have been seen a step late.
    """

    def placed(steps: list[dict[str, str]]) -> dict[str, tuple[object, int]]:
        found = ((pod, node, at) for at, bound in enumerate(steps) for pod, node in bound.items())
        return {pod: (int(node[-2:]) % len(KINDS) if by_kind else node, at) for pod, node, at in found}

    ours, theirs = placed(virtual), placed([step.bound for step in real.steps])
    alike = {
        pod
        for pod in ours.keys() & theirs.keys()
        if ours[pod][0] == theirs[pod][0] and 0 <= theirs[pod][1] - ours[pod][1] <= 1
    }
    return (ours.keys() | theirs.keys()) - alike


def test_pods_go_where_the_real_scheduler_binds_them(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 95 % of the pods are bound after the same event to the same node, ties being drawn alike."""
    real = Real(cluster, KINDS * 2)
    draw(real, seed=1, coming=130, ending=60)
    drawing = Draw(real.bound)
    different = odd(real, replayed(real, drawing, monkeypatch))
    unaided = odd(real, replayed(real, Draw({}), monkeypatch), by_kind=True)
    came = sum(step.came is not None for step in real.steps)
    waited = sum(step.came is None or step.came.name != pod for step in real.steps for pod in step.bound)
    print(f"{came} pods, {len(real.bound)} bound, {waited} of them after a wait; {dict(drawing.seen)}")
    print(
        f"{1 - len(different) / came:.1%} alike, by kind of node {1 - len(unaided) / came:.1%} with own draws"
    )
    assert waited >= 15
    assert drawing.seen["one best node of several"] >= 30
    assert len(different) <= 0.05 * came


def unhinted(real: Real) -> None:
    """The oldest gets the slice."""
    real.offer("node-00", SMALL, 1)


def hinted(real: Real) -> None:
    """The nominated pod gets it before those that are older."""
    real.promise("hinted", "node-00")
    real.offer("node-00", SMALL, 1)


def urgent_rival(real: Real) -> None:
    """A pod of higher priority gets it all the same, once its backoff is over: in one, age would decide."""
    real.come("urgent", ONE, real.rank(100, "PreemptLowerPriority"))
    time.sleep(BACKOFF_SECONDS)
    hinted(real)


def another_node(real: Real) -> None:
    """On a node that nobody was promised the oldest gets it; the nomination of the other is lost by that."""
    real.promise("hinted", "node-00")
    real.offer("node-01", SMALL, 1)
    real.offer("node-00", SMALL, 1)


def two_slices(real: Real) -> None:
    """One for the nominated pod, the other for the oldest."""
    real.promise("hinted", "node-00")
    real.offer("node-00", SMALL, 2)


def withdrawn(real: Real) -> None:
    """Once the nominated pod is gone, what was kept for it is free."""
    real.promise("hinted", "node-00")
    real.end("hinted")
    real.offer("node-00", SMALL, 1)


PROMISES: dict[Callable[[Real], None], set[str]] = {
    unhinted: {"rival-0"},
    hinted: {"hinted"},
    urgent_rival: {"urgent"},
    another_node: {"rival-0", "rival-1"},
    two_slices: {"hinted", "rival-0"},
    withdrawn: {"rival-0"},
}


@pytest.mark.parametrize("what", PROMISES, ids=lambda what: what.__name__)
def test_nominations_do_what_they_do_on_the_real_scheduler(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, what: Callable[[Real], None]
) -> None:
    """Who gets a slice that comes up, beside three older rivals, when one pod is nominated to its node."""
    real = Real(cluster, (EMPTY, EMPTY))
    for name in ("rival-0", "rival-1", "rival-2", "hinted"):
        real.come(name, ONE)
    what(real)
    real.wait_bound(PROMISES[what])
    virtual = replayed(real, Draw(real.bound), monkeypatch)
    assert real.bound.keys() == PROMISES[what]
    assert {pod: node for bound in virtual for pod, node in bound.items()} == real.bound
