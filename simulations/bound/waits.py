"""A lower bound on the mean wait of pods, in any schedule, of any strategy, that starts them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from autoslicer.core.fitting import slices
from simulations.bound.list_schedule import Work
from simulations.bound.prices import best
from simulations.workload.job import Job
from solver.geometry import Geometry

EFFORT = 100_000
"""looks at a job, summed over the steps towards better prices: they make the bound better, not more valid"""
MOST_STEPS = 100
Measure = Literal["size", "compute"]
MEASURES: tuple[Measure, ...] = ("size", "compute")


@dataclass(frozen=True, slots=True)
class Bound:
    """No schedule that starts all these jobs lets them wait less.

    Attributes:
        mean_wait: seconds from creation to binding, over all jobs that ask for slices; one that can never be
            bound counts as if it waited for nothing.
        jobs: how many ask for slices.
        impossible: how many of them ask for what no GPU model here has together, or for more than there is.
    """

    mean_wait: float
    jobs: int
    impossible: int


def bound(jobs: Iterable[Job], gpus: Mapping[Geometry, int], *, schedule_seconds: float = 0.0) -> Bound:
    """A lower bound on the mean wait of the jobs, whoever cuts the GPUs, with all of the trace known before.

    A running job holds its slices from binding to its end. Of a GPU it takes at least its share of the memory
    slices, and at least its share of the compute slices, each on the model where that is least; neither adds
    up to more than the GPU. So for each of the two measures the jobs hold no more GPUs than there are
    (`prices`), and the better bound counts. Models that no job can choose between are bounded each for
    itself. Where a GPU is cut, what that costs, and resources other than slices are left out: all this can
    only make pods wait longer. A job that is never bound has no wait, so the bound speaks only of schedules
    that start all of them; and only of those that stop none, for a pod evicted and made anew may have had
    its first start earlier.

    Args:
        jobs: the trace. One that never ends holds its slices for ever; one without slices has no part in it.
        gpus: how many GPUs there are of each model.
        schedule_seconds: from creation to binding where nothing stands in the way.
    """
    crowds: defaultdict[frozenset[Geometry], list[Job]] = defaultdict(list)
    count = impossible = 0
    for job in jobs:
        models = frozenset(model for model, number in gpus.items() if _fits(job, model, number))
        count += bool(slices(job.requests))
        impossible += bool(slices(job.requests)) and not models
        if models:
            crowds[models].append(job)
    total = (count - impossible) * schedule_seconds
    for island in _islands(crowds):
        number = sum(gpus[model] for model in island)
        inside = [(models, job) for models, crowd in crowds.items() if models <= island for job in crowd]
        total += _waits(inside, number, schedule_seconds)
    return Bound(total / count if count else 0.0, count, impossible)


def _fits(job: Job, model: Geometry, number: int) -> bool:
    """The job asks for slices, and so many GPUs of the model could have them all."""
    wanted = slices(job.requests)
    return bool(wanted) and wanted.keys() <= model.names and _share(job, model, "size") <= number


def _share(job: Job, model: Geometry, measure: Measure) -> float:
    """GPUs of the model that the job's slices amount to, by their memory or by their compute slices."""
    whole = model.memory_slices if measure == "size" else model.compute_slices
    wanted = slices(job.requests)
    held = sum(getattr(profile, measure) * wanted.get(profile.name, 0) for profile in model.profiles)
    return float(held / whole)


def _islands(crowds: Iterable[frozenset[Geometry]]) -> list[frozenset[Geometry]]:
    """The models in groups between which no job can choose."""
    islands: list[frozenset[Geometry]] = []
    for models in crowds:
        touching = [island for island in islands if island & models]
        islands = [island for island in islands if not island & models]
        islands.append(models.union(*touching))
    return islands


def _waits(crowd: Sequence[tuple[frozenset[Geometry], Job]], gpus: int, schedule_seconds: float) -> float:
    """A lower bound on what the jobs wait longer than it takes to schedule them (seconds, summed)."""
    steps = min(MOST_STEPS, EFFORT // len(crowd))
    bounds = []
    for measure in MEASURES:
        works = [
            Work(
                job.arrival + schedule_seconds,
                job.duration,
                min(_share(job, model, measure) for model in models),
            )
            for models, job in crowd
        ]
        bounds.append(best(works, gpus, steps))
    return max(bounds)
