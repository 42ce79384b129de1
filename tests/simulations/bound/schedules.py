"""The best schedule of a few jobs, found by trying all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations, product

from autoslicer.core.fitting import slices
from simulations.workload.job import Job
from solver.geometry import Geometry

_Run = tuple[float, float, str]


def least_sum(jobs: Sequence[Job], gpus: Sequence[Geometry]) -> float:
    """The least sum of waits that any schedule reaches; each job has one slice, and all its time on one GPU.

    Where a GPU's slices lie does not count, and cutting takes no time. Jobs are set in every order onto every
    choice of GPUs, each as early as the layout of its GPU stays legal: moving a job of any schedule to the
    left, in the order of starts, keeps it legal, so that one of these is best.
    """
    choices = [[n for n, gpu in enumerate(gpus) if _profile(job) in gpu.names] for job in jobs]
    return min(
        sum(_waits(jobs, order, gpus, chosen))
        for chosen in product(*choices)
        for order in permutations(range(len(jobs)))
    )


def _waits(
    jobs: Sequence[Job], order: Sequence[int], gpus: Sequence[Geometry], chosen: Sequence[int]
) -> list[float]:
    runs: dict[int, list[_Run]] = {gpu: [] for gpu in chosen}
    waits = []
    for index in order:
        job, gpu = jobs[index], chosen[index]
        start = _earliest(job, runs[gpu], gpus[gpu])
        runs[gpu].append((start, start + _seconds(job), _profile(job)))
        waits.append(start - job.arrival)
    return waits


def _earliest(job: Job, runs: Sequence[_Run], gpu: Geometry) -> float:
    candidates = sorted({job.arrival, *(end for _, end, _ in runs if end >= job.arrival)})
    return next(start for start in candidates if _legal(job, start, runs, gpu))


def _legal(job: Job, start: float, runs: Sequence[_Run], gpu: Geometry) -> bool:
    end = start + _seconds(job)
    moments = [start, *(begun for begun, _, _ in runs if start < begun < end)]
    return all(
        gpu.legal(
            Counter([_profile(job), *(profile for begun, ended, profile in runs if begun <= at < ended)])
        )
        for at in moments
    )


def _profile(job: Job) -> str:
    return next(iter(slices(job.requests)))


def _seconds(job: Job) -> float:
    assert job.duration is not None, "a job that never ends may leave no schedule for the others"
    return job.duration
