"""The virtual cluster of a scenario."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

from simulations.cluster import Cluster
from simulations.dump import read_dump
from simulations.pace import Pace
from simulations.restoring import restore
from simulations.scenario.scenario import Node, Scenario


def build(scenario: Scenario, *, operated: bool = True) -> Cluster:
    """The cluster as it is when the first job may come; nodes that join or leave later will do so.

    Args:
        scenario: what is simulated.
        operated: see `Cluster`.

    Raises:
        InputError: the dump cannot be read.
    """
    timing = scenario.timing
    pace = Pace(timing.schedule, timing.apply, timing.plugin, timing.reboot)
    luck = Luck(scenario.seed, timing.failure_rate)
    if scenario.snapshot is not None:
        return restore(read_dump(scenario.snapshot), scenario.policy, pace, luck, operated=operated).cluster
    cluster = Cluster(scenario.policy, pace, luck, operated)
    after = cluster.world.clock.after
    for node in scenario.nodes:
        if node.joins is None:
            _join(cluster, node)
        else:
            after(node.joins, partial(_join, cluster, node))
        if node.leaves is not None:
            after(node.leaves, partial(cluster.remove_node, node.name))
    return cluster


def _join(cluster: Cluster, node: Node) -> None:
    cluster.add_node(
        node.name,
        node.product,
        node.gpus,
        node.config,
        cpu=node.cpu,
        memory=node.memory,
        agent=node.agent,
        labels=node.labels,
        taints=node.taints,
    )


class Luck:
    """Draws whether a run of mig-manager fails: of the n-th run on a node always the same.

    Args:
        seed: of the draws.
        rate: the part of the runs that fail, from 0 to 1.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self._seed, self._rate = seed, rate
        self._runs: Counter[str] = Counter()

    def __call__(self, node: str) -> bool:
        """The next run on that node fails."""
        self._runs[node] += 1
        return Random(f"{self._seed}/{node}/{self._runs[node]}").random() < self._rate
