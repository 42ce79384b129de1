"""Plans one dump with the baselines: `python -m benchmarks.rivals DUMP [--cross-check PLAN]` prints JSON.

They get the problem that autoslicer's planner poses for the dump, and are timed on that alone. With
`--cross-check` the bounds of the levels are worked out as well, by `benchmarks.bound`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from autoslicer.cli.documents import read_snapshot
from autoslicer.core.demand import demand
from autoslicer.core.planning.problem import pose
from autoslicer.core.policy import BUILT_IN
from benchmarks import bound
from simulations.baselines import greedy, nos
from solver.problem import Problem
from solver.solution import Solution

CHANCES = 3
"""how often a planner runs whose plan is a matter of chance"""
PLANNERS: dict[str, tuple[Callable[[Problem], Solution], ...]] = {
    "first-fit": (greedy.first_fit,),
    "best-fit": (greedy.best_fit,),
    "nos": tuple(partial(nos.as_it_is, seed=seed) for seed in range(CHANCES)),
    "nos charitable": (nos.charitable,),
}
"""by name, each as often as it is run"""


def posed(dump: str) -> Problem:
    """The problem that `autoslicer plan -f DUMP` solves without any policy."""
    snapshot = read_snapshot(dump)
    wanted = demand(snapshot, waiting=False)
    return pose(snapshot, {BUILT_IN.name: BUILT_IN}, wanted, snapshot.newest, waiting=False).problem


def _row(name: str, plan: Callable[[Problem], Solution], problem: Problem) -> dict[str, Any]:
    start = time.perf_counter()
    solution = plan(problem)
    seconds = time.perf_counter() - start
    levels = [{"name": level.name, "rank": level.rank, "value": level.value} for level in solution.levels]
    return {"planner": name, "levels": levels, "seconds": {"solved": seconds}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__.splitlines()[0])
    parser.add_argument("dump")
    parser.add_argument("--cross-check", metavar="PLAN", help="a plan for the dump, in JSON")
    given = parser.parse_args()
    problem = posed(given.dump)
    found: dict[str, Any] = {
        "rows": [_row(name, plan, problem) for name, plans in PLANNERS.items() for plan in plans]
    }
    if given.cross_check:
        levels = json.loads(Path(given.cross_check).read_text(encoding="utf-8"))["objective"]["levels"]
        values = [level["value"] for level in levels if level["name"] == "servedWeight"]
        found["bounds"] = bound.bounds(problem, values)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
