"""Studies to report on: one that was simulated, and one that is as large as histories get."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from simulations.history.bands import MOST_CHANGES, MOST_LAYOUTS
from simulations.history.history import (
    MOST_NODES,
    QUANTILES,
    Band,
    Change,
    Distribution,
    History,
    NodeBands,
    Supply,
)
from simulations.history.steps import MOST_BINS, Course
from simulations.report.page import Study
from simulations.run import Outcome
from simulations.scenario.load import load
from simulations.scenario.scenario import digest
from simulations.strategies.registry import STRATEGIES
from simulations.study import preview, recordings
from simulations.summary import summary
from simulations.workers import Processes
from solver.problem import Counts

SHIPPED = Path(__file__).parents[3] / "simulations" / "scenarios"
SIZES = {"1g.10gb": 1, "1g.20gb": 2, "2g.20gb": 2, "3g.40gb": 4, "4g.40gb": 4, "7g.80gb": 8}
HOSTILE = "<script>alert(1)</script>\"'&"


@cache
def simulated(name: str = "trace") -> Study:
    """Every strategy on a shipped scenario."""
    scenario = load(SHIPPED / f"{name}.yaml", [f"compare=[{', '.join(STRATEGIES)}]"])
    (found,) = recordings([(scenario, digest(scenario))], Processes(1), lenient=False)
    outcomes, histories = zip(*found, strict=True)
    bound = preview(scenario, lenient=False).mean_wait
    return Study(outcomes, histories, scenario.document, digest(scenario), bound)


def restless(strategy: str) -> History:
    """As much as a history may hold: every figure changes in every span, every GPU at every moment."""
    seconds = 1e6
    width = seconds / MOST_BINS
    layouts: list[Counts] = [(("1g.10gb", 7),), (("3g.40gb", 1), ("4g.40gb", 1)), (("2g.20gb", 3),), ()]

    def course(most: int) -> Course:
        values = tuple(float(index * 7 % (most + 1)) for index in range(MOST_BINS))
        return Course(width, values, values, values)

    def band(number: int) -> Band:
        step = seconds / MOST_LAYOUTS
        return Band(8, tuple((index * step, layouts[(index + number) % 4]) for index in range(MOST_LAYOUTS)))

    def node(number: int) -> NodeBands:
        step = seconds / MOST_CHANGES
        away = tuple(Change(index * step, index * step + 60) for index in range(MOST_CHANGES))
        gpus = tuple(band(number + gpu) for gpu in range(8))
        return NodeBands(f"node-{number}", 8 * MOST_LAYOUTS, gpus, away, 9999)

    waits = Distribution(100_000, 500, tuple(float(rank**2) for rank in range(1, QUANTILES + 1)))
    return History(
        strategy=strategy,
        seconds=seconds,
        there=Course(width, *(3 * ((80_000.0,) * MOST_BINS,))),
        sizes=SIZES,
        used=course(80_000),
        stranded=course(9_000),
        supplies={name: Supply(course(90), course(7_000), course(5_000), course(1_000)) for name in SIZES},
        waits=dict.fromkeys(SIZES, waits),
        nodes=tuple(node(number) for number in range(MOST_NODES)),
        nodes_in_all=10_000,
    )


def large(strategies: int) -> Study:
    """So many strategies on the largest cluster."""
    names = [f"strategy-{number}" for number in range(strategies)]
    waits = summary([1.0, 100_000.0])
    outcomes = [
        Outcome(name, 9, 8, 1, waits, dict.fromkeys(SIZES, waits), 1e6, 9, 9, 9.0, 0, 0.5, 0.0)
        for name in names
    ]
    return Study(outcomes, [restless(name) for name in names], {}, "sha256:0", 10.0)
