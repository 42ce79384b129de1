"""Virtual clusters for tests, guarded by what must hold at every moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from autoslicer.core import names
from autoslicer.core.actions import Action
from autoslicer.core.changes.transition import tainted
from autoslicer.core.fitting import slices
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import live, started
from autoslicer.core.policy import BUILT_IN, Mode, Policy
from autoslicer.core.rows import NodeRow, PodRow
from simulations.cluster import START, Cluster
from simulations.executor import Executor, undisturbed
from simulations.world import Row

H100, A30 = "NVIDIA-H100-80GB-HBM3", "NVIDIA-A30"
LONGEST = 20_000.0
"""virtual seconds after which a world that still moves never rests"""


def auto(**fields: Any) -> Policy:
    """A policy in mode Auto without windows, budgets, canary and cooldown, but for the given fields."""
    return replace(BUILT_IN, name="default", uid="policy-default", mode=Mode.AUTO, **fields)


@dataclass(frozen=True)
class Arrival:
    """A pod that comes so many seconds after the start; `duration` is None for one that runs on."""

    at: float
    profile: str
    count: int = 1
    cpu: int = 0
    priority: int = 0
    duration: float | None = None


@dataclass(frozen=True)
class Machine:
    """A node to build."""

    product: str
    gpus: int
    config: str
    cpu: int
    agent: bool


@dataclass(frozen=True)
class Scene:
    """A cluster to build, and the pods that come."""

    policy: Policy
    machines: tuple[Machine, ...]
    arrivals: tuple[Arrival, ...]

    def build(self) -> Cluster:
        """The cluster, guarded, at its beginning."""
        cluster = Cluster(self.policy)
        for number, machine in enumerate(self.machines):
            name = f"node-{number}"
            cpu = machine.cpu * 1000
            cluster.add_node(
                name, machine.product, machine.gpus, machine.config, cpu=cpu, agent=machine.agent
            )
        guard(cluster)
        expect(cluster, self.arrivals)
        return cluster


def expect(cluster: Cluster, arrivals: Sequence[Arrival]) -> None:
    """Let pods come at their times; they are called team/0, team/1 and so on."""
    for number, arrival in enumerate(arrivals):

        def submit(key: str = f"team/{number}", pod: Arrival = arrival) -> None:
            wanted = {pod.profile: pod.count}
            cluster.submit(key, wanted, cpu=pod.cpu, priority=pod.priority, duration=pod.duration)

        cluster.world.clock.after(arrival.at, submit)


def guard(cluster: Cluster) -> None:
    """From now on every write fails after which the world is as it must never be."""
    world = cluster.world

    def look(old: Row | None, new: Row | None) -> None:
        for node in world.nodes.values():
            alive = [change for change in world.changes.values() if change.node == node.name and live(change)]
            assert len(alive) <= 1, f"{node.name} is in two changes at once"
            ours = any(taint.key == names.TAINT for taint in node.taints)
            assert not ours or (alive and tainted(node, alive[0])), "the taint outlives its change"
            marked = names.MARKS in node.annotations
            assert not marked or (alive and started(alive[0])), "the marks outlive their change"
            assert evidence.state(node) != "failed", "mig-manager was asked for what it cannot do"
        for pod in world.pods.values():
            assert pod.phase != "Failed", f"{pod.key} was bound where its slices are not"

    world.watch(look)


def hold_slices(cluster: Cluster) -> None:
    """Every running pod has the slices that it asked for, on its node."""
    for pod in pods(cluster):
        if pod.phase == "Running":
            instances = [i for gpu in cluster.gpus[pod.node] for i in gpu.instances or ()]
            held = Counter(instance.profile for instance in instances if instance.holder == pod.key)
            assert held == slices(pod.requests), f"{pod.key} has lost a slice"


def rest(cluster: Cluster, before: Any = undisturbed) -> Executor:
    """Live until nothing more happens; all is in order then, and nothing more could be served by a change."""
    executor = Executor(cluster.world, before=before)
    last = cluster.world.clock.now
    for now in executor.moments():
        assert last <= now, "time ran back"
        assert now - START < LONGEST, "the world does not come to rest"
        last = now
        hold_slices(cluster)
    assert not [change.name for change in cluster.world.changes.values() if live(change)]
    for name, node in cluster.world.nodes.items():
        assert not node.taints
        assert evidence.settled(node)
        assert not evidence.paused(node)
        assert evidence.advertised(node) == evidence.promised(gpu.layout for gpu in cluster.gpus[name])
    assert executor.decision is not None
    assert not executor.decision.plan.reshapes
    return executor


def pods(cluster: Cluster) -> list[PodRow]:
    """The pods that ask for slices."""
    return [pod for pod in cluster.world.pods.values() if slices(pod.requests)]


def run(cluster: Cluster, seconds: float) -> None:
    """Let the cluster live without a controller."""
    cluster.world.clock.jump(cluster.world.clock.now + seconds)


def amend(cluster: Cluster, node: str, **fields: Any) -> NodeRow:
    """Somebody writes the node; its labels are added to those it has."""
    row = cluster.world.nodes[node]
    labels = {**row.labels, **fields.pop("labels", {})}
    cluster.world.write(replace(row, labels=labels, **fields))
    return cluster.world.nodes[node]


def disturb(cluster: Cluster, action: Action) -> None:
    """Somebody else writes the object that the action is about, so that its precondition fails."""
    world = cluster.world
    node, change = getattr(action, "node", ""), getattr(action, "name", "")
    if node:
        row = world.nodes[node]
        world.write(replace(row, annotations={**row.annotations, "example.com/beat": row.resource_version}))
    elif change in world.changes:
        found = world.changes[change]
        world.changes[change] = replace(found, resource_version=f"{found.resource_version}-other")
