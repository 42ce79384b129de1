"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from simulations.baselines import greedy, nos
from simulations.scenario.scenario import Scenario
from simulations.strategies.per_pod.rules import Dra, Hami
from simulations.strategies.per_pod.strategy import PerPod
from simulations.strategies.planned import Planned
from simulations.strategies.static import Static
from simulations.strategies.strategy import Strategy
from solver.problem import Problem
from solver.solution import Solution

Plan = Callable[[Problem], Solution]


def _planned(plan: Plan) -> Callable[[Scenario], Strategy]:
    """Plans of another planner, carried out as autoslicer's are."""

    def search(problem: Problem, *, effort: int) -> Solution:
        return plan(problem)

    return lambda scenario: Planned(scenario, search)


STRATEGIES: Mapping[str, Callable[[Scenario], Strategy]] = {
    "autoslicer": Planned,
    "static": Static,
    "first-fit": _planned(greedy.first_fit),
    "best-fit": _planned(greedy.best_fit),
    "nos": _planned(partial(nos.charitable, needless=False)),
    "hami": lambda scenario: PerPod(scenario, Hami()),
    "dra": lambda scenario: PerPod(scenario, Dra()),
}
