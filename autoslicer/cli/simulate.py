"""`autoslicer simulate`: what would have happened, without a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from autoslicer.cli import output, report
from autoslicer.cli.failures import BadInputError, CommandError, UnreachableError
from autoslicer.cli.options import LenientOption, first_given
from autoslicer.cli.output import Format, say
from autoslicer.cli.stopwatch import Stopwatch
from autoslicer.cli.wording import number, skipped

if TYPE_CHECKING:
    from rich.progress import Progress

    from simulations.run import Outcome
    from simulations.scenario.points import Point
    from simulations.scenario.scenario import Scenario
    from simulations.study import Preview, Simulated
    from simulations.workers import Workers

T = TypeVar("T")


def simulate(
    given: typer.Context,
    scenario: Annotated[Path, typer.Argument(help="A Scenario as YAML.", show_default=False)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Set a field, such as timing.applySeconds=60."),
    ] = None,
    sweeps: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="PATH=VALUE,...",
            help="Simulate with each of these values of a field; several sweeps: with every combination.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Simulate under so many seeds, from the scenario's on.")
    ] = 1,
    lenient: LenientOption = False,
    output_as: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar=report.FORMATS,
            help="wide shows the waits of each profile too; html=FILE also writes a report with pictures.",
        ),
    ] = Format.TABLE.value,
    processes: Annotated[
        int, typer.Option("--processes", min=0, help="How many simulations run at a time; 0: one a core.")
    ] = 0,
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask", metavar="ADDRESS", help="Simulate on the Dask cluster of this scheduler instead."
        ),
    ] = None,
    timings: Annotated[
        bool, typer.Option("--timings", help="Say on stderr how long each part of the work took.")
    ] = False,
) -> None:
    """Let autoslicer and others meet the same pods in the same virtual cluster, and compare them.

    Nothing is read but the files that the scenario names, and nothing is written but a report that is asked
    for.
    """
    from simulations.scenario.scenario import digest
    from simulations.study import Simulated, previews, recordings
    from simulations.study import outcomes as outcomes_of
    from simulations.workers import NoSchedulerError, WorkersLostError
    from simulations.workload.mistakes import InputError

    if dask is not None and first_given(given, ["processes"]):
        raise BadInputError(
            "--processes: with --dask as many simulations run at a time as its workers take; leave it out"
        )
    form, file = report.asked(output_as, alone=not sweeps and seeds == 1)
    watch = Stopwatch()
    try:
        # whoever simulates elsewhere finds the files that the scenario names by their full names
        found = _loaded(
            scenario if dask is None else scenario.absolute(), settings or (), sweeps or (), seeds
        )
        sure = [digest(one.scenario) for one in found]
        watch.lap("read")
        ahead = previews((one.scenario for one in found), lenient=lenient)
        _tell(ahead)
        if seeds > 1:
            _tell_of_seeds(found[0].scenario)
        watch.lap("bounded")
        tasks = [(one.scenario, now) for one, now in zip(found, sure, strict=True)]
        with _workers(dask, processes or os.cpu_count() or 1) as workers:
            if file is None:
                outcomes = _each(outcomes_of, tasks, workers, lenient=lenient)
            else:
                (recorded,) = _each(recordings, tasks, workers, lenient=lenient)
                outcomes = [[outcome for outcome, _ in recorded]]
        watch.lap("simulated")
    except InputError as error:
        raise BadInputError(str(error)) from None
    except WorkersLostError as error:
        raise CommandError(str(error)) from None
    except NoSchedulerError as error:
        raise UnreachableError(str(error)) from None
    try:
        if file is not None:
            report.write(file, *tasks[0], recorded, ahead[0].mean_wait, lenient=lenient)
    finally:  # what came out is told even where there is no report of it
        _show([Simulated(*one) for one in zip(found, sure, ahead, outcomes, strict=True)], form)
    if timings:
        say(f"timings: {watch}; of it planning {_thought(outcomes)}")


def _loaded(file: Path, settings: Sequence[str], sweeps: Sequence[str], seeds: int) -> list[Point]:
    from simulations.scenario.points import points

    return points(file, settings, sweeps, seeds)


def _tell(ahead: Iterable[Preview]) -> None:
    """Say on stderr what was left out of the traces, and what the dumps bring; everything once."""
    for sentence in dict.fromkeys(chain.from_iterable(map(_worth_telling, ahead))):
        say(sentence)


def _worth_telling(ahead: Preview) -> Iterator[str]:
    if (restored := ahead.restored) is not None:
        runs = f"{number(restored.running, 'pod')} with slices run{'s' if restored.running == 1 else ''}"
        waits = f"{restored.waiting} wait{'s' if restored.waiting == 1 else ''}"
        yield (
            f"of the dump {runs} and {waits}; "
            "those without a job of their name that arrives at 0 run for ever, and waits count from the start"
        )
        for note, count in sorted(restored.notes.items()):
            yield f"dump: {number(count, note.one, note.several)}"
    if ahead.skipped:
        yield skipped(ahead.skipped)


def _tell_of_seeds(scenario: Scenario) -> None:
    """Say on stderr what seeds do not change."""
    from simulations.workload.source import Trace

    if isinstance(scenario.workload, Trace):
        differs = "only the failures differ" if scenario.timing.failure_rate else "and nothing else differs"
        say(f"warning: a trace has the same jobs under every seed, {differs}")


def _workers(dask: str | None, processes: int) -> AbstractContextManager[Workers]:
    """Those of a Dask cluster, or so many processes."""
    if dask is not None:
        from simulations.dask_cluster import cluster

        return cluster(dask)
    from simulations.workers import Processes

    return nullcontext(Processes(processes))


def _each(
    study: Callable[..., list[list[T]]],
    tasks: Sequence[tuple[Scenario, str]],
    workers: Workers,
    *,
    lenient: bool,
) -> list[list[T]]:
    """What a study finds of each strategy in each scenario."""
    with _progress(sum(len(one.compare) for one, _ in tasks)) as progress:
        return study(tasks, workers, lenient=lenient, done=lambda: progress.advance(progress.task_ids[0]))


@contextmanager
def _progress(simulations: int) -> Iterator[Progress]:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        progress.add_task("simulating", total=simulations)
        yield progress


def _show(several: Sequence[Simulated], form: Format) -> None:
    """Write what came out, one result as such and several as a list, to stdout."""
    from simulations.result import document, listed

    first, *others = several
    if form.for_people:
        from autoslicer.cli import render_simulation, render_study

        wide = form == Format.WIDE
        bound = first.ahead.mean_wait
        output.drawn(
            lambda console: (
                render_study.draw(console, several, wide=wide)
                if others
                else render_simulation.draw(console, first.outcomes, bound, wide=wide)
            )
        )
        return
    documents = [document(one.digest, one.outcomes, one.ahead.mean_wait) for one in several]
    points = [(one.point.settings(), one.point.scenario.seed) for one in several]
    listing = ((found, *point) for found, point in zip(documents, points, strict=True))
    output.data(listed(listing) if others else documents[0], form)


def _thought(outcomes: Sequence[Sequence[Outcome]]) -> str:
    """The time that planning took each strategy."""
    seconds: dict[str, float] = {}
    for one in chain.from_iterable(outcomes):
        seconds[one.strategy] = seconds.get(one.strategy, 0.0) + one.thought
    return ", ".join(f"{strategy} {spent:.2f} s" for strategy, spent in seconds.items())
