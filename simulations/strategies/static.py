"""Nobody does anything: every node keeps the layout that it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autoslicer.core.reasons import Reason
from simulations.building import build
from simulations.gpu import Gpu
from simulations.scenario.scenario import Scenario
from simulations.workload.job import Job
from simulations.world import World


class Static:
    """A scenario's cluster, left to its scheduler; see `strategy.Strategy`.

    Args:
        scenario: what is simulated.
        operated: see `Cluster`.
    """

    def __init__(self, scenario: Scenario, *, operated: bool = True) -> None:
        self._cluster = build(scenario, operated=operated)
        moves = (at for node in scenario.nodes for at in (node.joins, node.leaves) if at is not None)
        self._settled = self.world.clock.now + max(moves, default=0.0)

    @property
    def thought(self) -> float:
        """Nobody plans."""
        return 0.0

    @property
    def world(self) -> World:
        """The objects and the clock."""
        return self._cluster.world

    @property
    def gpus(self) -> Mapping[str, Sequence[Gpu]]:
        """The GPUs of each node that is there or was, by name."""
        return self._cluster.gpus

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Nobody says any."""
        return {}

    @property
    def settled(self) -> float:
        """When the last node joins or leaves (seconds since the epoch)."""
        return self._settled

    def admit(self, job: Job) -> None:
        """Create the pod of a job now."""
        self._cluster.admit(job)

    def moments(self) -> Iterator[float]:
        """Live: each moment (seconds since the epoch) at which something happens."""
        return self.world.clock.moments()
