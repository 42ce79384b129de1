"""Strategies meet scenarios, each in a world of its own, side by side if there are cores."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from simulations.arrivals import operands, staying
from simulations.bound.waits import bound
from simulations.dump import read_dump
from simulations.history.history import History
from simulations.restoring import Restored, restore
from simulations.run import Outcome, recorded, run, to_one_end
from simulations.scenario.points import Point
from simulations.scenario.scenario import Scenario, digest
from simulations.strategies.registry import STRATEGIES
from simulations.strategies.strategy import Strategy
from simulations.workers import Workers
from simulations.workload.generate import Generation
from simulations.workload.job import Job
from simulations.workload.lines import called
from simulations.workload.mistakes import InputError, Kind
from simulations.workload.source import Trace, jobs
from solver import geometry
from solver.geometry import Geometry

T = TypeVar("T")

MOST_BOUNDED = 20_000
"""jobs: a bound on the waits of more of them would need them all at once"""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a scenario's jobs before anybody meets them.

    Attributes:
        skipped: lines of the trace that are left out, by kind of mistake.
        mean_wait: seconds that pods wait on average at least, whatever is done; None where there are too many
            jobs to tell, the cluster comes from a dump, or a node leaves.
        restored: what came from the dump; None without one.
    """

    skipped: Counter[Kind] = field(default_factory=Counter)
    mean_wait: float | None = None
    restored: Restored | None = None


@dataclass(frozen=True, slots=True)
class Simulated:
    """A scenario of a study, and how its strategies did.

    Attributes:
        point: the scenario, and which of the study's it is.
        digest: of the scenario.
        ahead: what was known of its jobs before.
        outcomes: one a strategy, in the scenario's order.
    """

    point: Point
    digest: str
    ahead: Preview
    outcomes: Sequence[Outcome]


def previews(scenarios: Iterable[Scenario], *, lenient: bool) -> list[Preview]:
    """Read the workload of each scenario, and no workload twice.

    Raises:
        InputError: a line is wrong, and `lenient` is false.
    """
    known: dict[str, Preview] = {}
    found = []
    for scenario in scenarios:
        key = _looked_at(scenario)
        if key not in known:
            known[key] = preview(scenario, lenient=lenient)
        found.append(known[key])
    return found


def _looked_at(scenario: Scenario) -> str:
    """Equal for scenarios with equal previews."""
    parts = [scenario.document[part] for part in ("cluster", "workload")]
    if scenario.snapshot is not None:
        parts.append(scenario.document["policy"])
    seed = scenario.workload.seed if isinstance(scenario.workload, Generation) else None
    return json.dumps([parts, scenario.timing.schedule, seed])


def preview(scenario: Scenario, *, lenient: bool) -> Preview:
    """Read the whole workload once.

    Raises:
        InputError: a line is wrong, and `lenient` is false; or the dump cannot be read.
    """
    restored = None
    if scenario.snapshot is not None:
        restored = restore(read_dump(scenario.snapshot), scenario.policy, operated=False)
    skipped = Counter[Kind]()
    there = staying(restored.cluster.world.pods.values()) if restored else operands(scenario)
    found = jobs(scenario.workload, skipped if lenient else None, there)
    first = list(islice(found, MOST_BOUNDED + 1))
    leaving = any(node.leaves is not None for node in scenario.nodes)
    if len(first) > MOST_BOUNDED or restored is not None or leaving:
        deque(found, maxlen=0)  # every line is to be read, for its mistakes
        return Preview(skipped, restored=restored)
    waits = bound(first, _gpus(scenario), schedule_seconds=scenario.timing.schedule)
    return Preview(skipped, waits.mean_wait)


def outcome(scenario: Scenario, strategy: str, *, lenient: bool) -> Outcome:
    """How one strategy does.

    Raises:
        InputError: the workload is not as it must be.
    """
    found = STRATEGIES[strategy](scenario)
    return run(strategy, found, _jobs(scenario, found, lenient=lenient))


def recording(scenario: Scenario, strategy: str, *, lenient: bool) -> tuple[Outcome, History]:
    """How one strategy does, and the history of its run.

    Raises:
        InputError: the workload is not as it must be.
    """
    found = STRATEGIES[strategy](scenario)
    return recorded(strategy, found, _jobs(scenario, found, lenient=lenient))


@dataclass(frozen=True, slots=True)
class Task:
    """One strategy meets one scenario.

    Attributes:
        scenario: what is simulated.
        digest: the scenario's, when it was read.
        strategy: its name.
        lenient: lines of a trace that are wrong are left out.
    """

    scenario: Scenario
    digest: str
    strategy: str
    lenient: bool

    def __str__(self) -> str:
        """What there is to simulate."""
        return f"{self.strategy} with seed {self.scenario.seed} ({self.digest[:19]})"


def carried_out(task: Task) -> Outcome:
    """How the task's strategy does.

    Raises:
        InputError: the workload is not as it must be, or not the one that was read before.
    """
    _same_files(task)
    return outcome(task.scenario, task.strategy, lenient=task.lenient)


def carried_out_recording(task: Task) -> tuple[Outcome, History]:
    """How the task's strategy does, and the history of its run.

    Raises:
        InputError: as `carried_out` does.
    """
    _same_files(task)
    return recording(task.scenario, task.strategy, lenient=task.lenient)


def _same_files(task: Task) -> None:
    if digest(task.scenario) != task.digest:
        raise InputError(f"{_files(task.scenario)}: holds something else than when the simulation began")


def outcomes(
    scenarios: Iterable[tuple[Scenario, str]],
    workers: Workers,
    *,
    lenient: bool,
    done: Callable[[], None] = lambda: None,
) -> list[list[Outcome]]:
    """How each strategy does in each of the scenarios, in their order, however many work at a time.

    Args:
        scenarios: what is simulated, and its digest.
        workers: carry it out.
        lenient: lines of a trace that are wrong are left out.
        done: called when a strategy is through.

    Raises:
        InputError: a workload is not as it must be.
        WorkersLostError: a strategy cannot be carried out.
    """
    found = _each(carried_out, scenarios, workers, lenient, done)
    return [to_one_end(of_one) for of_one in found]


def recordings(
    scenarios: Iterable[tuple[Scenario, str]],
    workers: Workers,
    *,
    lenient: bool,
    done: Callable[[], None] = lambda: None,
) -> list[list[tuple[Outcome, History]]]:
    """The same, each with the history of its run."""
    found = _each(carried_out_recording, scenarios, workers, lenient, done)
    return [
        list(zip(to_one_end([one for one, _ in of_one]), (seen for _, seen in of_one), strict=True))
        for of_one in found
    ]


def _each(
    function: Callable[[Task], T],
    scenarios: Iterable[tuple[Scenario, str]],
    workers: Workers,
    lenient: bool,
    done: Callable[[], None],
) -> list[list[T]]:
    asked = [[Task(one, sure, name, lenient) for name in one.compare] for one, sure in scenarios]
    found = iter(workers.results(function, [task for tasks in asked for task in tasks], done))
    return [[next(found) for _ in tasks] for tasks in asked]


def _files(scenario: Scenario) -> str:
    """The files that a scenario names."""
    named = [scenario.snapshot, scenario.workload.path if isinstance(scenario.workload, Trace) else None]
    return " or ".join(called(path) for path in named if path is not None)


def _jobs(scenario: Scenario, strategy: Strategy, *, lenient: bool) -> Iterator[Job]:
    """Those that a strategy which has not begun will meet."""
    there = {**operands(scenario), **staying(strategy.world.pods.values())}
    return jobs(scenario.workload, Counter() if lenient else None, there)


def _gpus(scenario: Scenario) -> Counter[Geometry]:
    """How many GPUs there are of each model once every node has joined."""
    found = Counter[Geometry]()
    for node in scenario.nodes:
        if (model := geometry.by_product(node.product)) is not None:
            found[model] += node.gpus
    return found
