"""The real `decide` and `advance` in a virtual cluster, with autoslicer's planner or with another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from autoslicer.core.planner import Search
from autoslicer.core.reasons import Reason
from simulations.executor import Executor
from simulations.scenario.scenario import Scenario
from simulations.strategies.static import Static
from solver.solve import solve


class Planned(Static):
    """A scenario's cluster whose nodes are cut anew as a planner says, under the rules of its policy.

    Args:
        scenario: what is simulated.
        search: the planner.
    """

    def __init__(self, scenario: Scenario, search: Search = solve) -> None:
        super().__init__(scenario)
        self._executor = Executor(self.world, search=search, reaction=scenario.timing.reaction)

    @property
    def thought(self) -> float:
        """Real seconds that the core has taken."""
        return self._executor.thought

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """By pod, why the last cycle did not serve it."""
        decision = self._executor.decision
        return {} if decision is None else {verdict.name: verdict.reason for verdict in decision.unserved}

    def moments(self) -> Iterator[float]:
        """Live: each moment (seconds since the epoch) at which something happens."""
        return self._executor.moments()
