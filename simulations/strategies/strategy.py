"""What a strategy is: a virtual cluster with whatever reacts to the demand there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from autoslicer.core.reasons import Reason
from simulations.gpu import Gpu
from simulations.workload.job import Job
from simulations.world import World


class Strategy(Protocol):
    """A virtual cluster that lives by rules of its own; jobs are put into it, and it is watched."""

    @property
    def thought(self) -> float:
        """Real seconds that its planning has taken."""

    @property
    def world(self) -> World:
        """The virtual cluster's objects and clock."""

    @property
    def gpus(self) -> Mapping[str, Sequence[Gpu]]:
        """The GPUs of each node that is there or was, by name."""

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """By pod, why it is not served now, as far as the strategy says."""

    @property
    def settled(self) -> float:
        """When the last node joins or leaves (seconds since the epoch)."""

    def admit(self, job: Job) -> None:
        """Create the pod of a job now."""

    def moments(self) -> Iterator[float]:
        """Live: each moment (seconds since the epoch) at which something happens, after all of it."""
