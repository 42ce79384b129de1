"""What cannot or need not be helped causes no work: ten minutes of virtual time with nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoslicer.core.budgets import Budget
from autoslicer.core.policy import Mode, Policy
from autoslicer.core.rows import NodeRow
from simulations.cluster import Cluster
from simulations.executor import Executor
from simulations.world import Row
from tests.simulations.worlds import H100, Arrival, auto, expect, guard

MINUTES = 10
BEAT_SECONDS = 10.0
BEAT = "example.com/beat"
HOPELESS = (Arrival(0, "7g.80gb", count=3), Arrival(1, "1g.5gb"), Arrival(2, "1g.10gb", cpu=999_000))
SERVABLE = (Arrival(0, "3g.40gb"), Arrival(1, "1g.10gb"))
WORLDS: dict[str, tuple[Policy, tuple[Arrival, ...]]] = {
    "idle": (auto(), ()),
    "served": (auto(), SERVABLE),
    "hopeless": (auto(), HOPELESS),
    "hopeless beside served": (auto(cooldown_seconds=3600), (*HOPELESS, *SERVABLE)),
    "recommended": (replace(auto(), mode=Mode.RECOMMEND), SERVABLE),
    "suspended": (auto(suspend=True), SERVABLE),
    "budget closed": (auto(budgets=(Budget("0"),)), SERVABLE),
    "budget closed at this hour": (auto(budgets=(Budget("0", "0 12 * * *", 7200),)), SERVABLE),
}


def written(cluster: Cluster) -> list[str]:
    """From now on, what anybody but the nodes and their agents writes, and every event, in words."""
    found: list[str] = []

    def look(old: Row | None, new: Row | None) -> None:
        match old, new:
            case NodeRow(), NodeRow() if _beaten(old) == _beaten(new):
                return
            case _:
                row = new or old
                if type(row).__name__ != "MigNodeRow":
                    found.append(f"{type(row).__name__} at {cluster.world.clock.now}")

    cluster.world.watch(look)
    return found


def _beaten(node: NodeRow) -> NodeRow:
    others = {key: value for key, value in node.annotations.items() if key != BEAT}
    return replace(node, annotations=others, resource_version="")


def beating(cluster: Cluster) -> Callable[[], None]:
    """Every node's kubelet writes its node, which makes the controller look."""

    def beat() -> None:
        for node in list(cluster.world.nodes.values()):
            annotations = {**node.annotations, BEAT: str(cluster.world.clock.now)}
            cluster.world.write(replace(node, annotations=annotations))

    return beat


def live(cluster: Cluster, seconds: float) -> int:
    """Let a new controller live for so long, woken by heartbeats; how often it looked."""
    for number in range(int(seconds / BEAT_SECONDS) + 1):
        cluster.world.clock.after(number * BEAT_SECONDS, beating(cluster))
    looks, end = 0, cluster.world.clock.now + seconds
    for now in Executor(cluster.world).moments():
        looks += 1
        if now >= end:
            break
    return looks


def build(policy: Policy, arrivals: tuple[Arrival, ...]) -> Cluster:
    cluster = Cluster(policy)
    for name in ("node-0", "node-1"):
        cluster.add_node(name, H100, 2, "all-7g.80gb", agent=True)
    guard(cluster)
    expect(cluster, arrivals)
    return cluster


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_at_rest_stays_at_rest(name: str) -> None:
    """However often the controller looks: no object is written, no event told; heartbeats make it look."""
    cluster = build(*WORLDS[name])
    live(cluster, 120)
    found, told = written(cluster), len(cluster.world.events)
    assert live(cluster, MINUTES * 60) >= MINUTES * 60 / BEAT_SECONDS
    assert (found, cluster.world.events[told:]) == ([], [])


@pytest.mark.parametrize("name", ["idle", "hopeless"])
def test_a_pod_that_can_be_helped_ends_the_rest(name: str) -> None:
    """The same worlds, and then a change is made and told of."""
    cluster = build(*WORLDS[name])
    live(cluster, 120)
    found = written(cluster)
    expect(cluster, [Arrival(30, "2g.20gb")])
    live(cluster, 120)
    assert any(line.startswith("ReconfigurationRow") for line in found)
