"""HAMi and the DRA driver as strategies: a scenario's nodes, with their scheduler and agents on them."""

from __future__ import annotations

from simulations.scenario.scenario import Scenario
from simulations.strategies.per_pod.rules import Rule
from simulations.strategies.per_pod.system import System
from simulations.strategies.static import Static


class PerPod(Static):
    """A scenario's nodes under a per-pod system; what its GPUs were cut into is gone at once.

    Args:
        scenario: what is simulated; its policy counts for nothing here.
        rule: where instances go.
    """

    def __init__(self, scenario: Scenario, rule: Rule) -> None:
        super().__init__(scenario, operated=False)
        self._system = System(self.world, self.gpus, rule, scenario.timing.schedule)
