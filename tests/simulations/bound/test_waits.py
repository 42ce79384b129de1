"""The bound on the mean wait: never above what a schedule can reach, and of use where GPUs are scarce."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from simulations.bound.waits import bound
from simulations.workload.job import Job
from solver import geometry
from solver.geometry import Geometry
from solver.profile_name import resource_name
from tests.simulations.bound.schedules import least_sum


def _model(product: str) -> Geometry:
    found = geometry.by_product(product)
    assert found is not None
    return found


H100, A30 = _model("NVIDIA-H100-80GB-HBM3"), _model("NVIDIA-A30")
A100 = _model("NVIDIA-A100-SXM4-80GB")
PROFILES = {
    H100: ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    A30: ("1g.6gb", "2g.12gb", "4g.24gb"),
}


def _job(name: int, arrival: float, duration: float | None, **slices: int) -> Job:
    return Job(f"a/{name}", arrival, duration, {resource_name(p): n for p, n in slices.items()})


def _one(name: int, arrival: float, duration: float | None, profile: str = "7g.80gb") -> Job:
    return _job(name, arrival, duration, **{profile: 1})


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Job], list[Geometry]]:
    """A few jobs that come close together, and one or two GPUs that have each job's profile between them."""
    gpus = draw(st.sampled_from([[H100], [A30], [H100, H100], [A30, A30], [H100, A30]]))
    profiles = sorted({profile for gpu in gpus for profile in PROFILES[gpu]})
    large = [profile for profile in profiles if profile[0] in "347"]
    jobs = [
        _one(
            number,
            float(draw(st.integers(0, 6))),
            float(draw(st.integers(1, 12))),
            draw(st.sampled_from(profiles + large)),
        )
        for number in range(draw(st.integers(1, 5 if len(gpus) == 1 else 4)))
    ]
    return jobs, gpus


@given(crowds())
@settings(max_examples=250, deadline=None)
def test_no_schedule_waits_less_than_the_bound(crowd: tuple[list[Job], list[Geometry]]) -> None:
    """Whoever reads a bound beside a result may rely on that no strategy ever gets below it."""
    jobs, gpus = crowd
    best = least_sum(jobs, gpus) / len(jobs)
    found = bound(sorted(jobs, key=lambda job: job.arrival), Counter(gpus))
    assert found.jobs == len(jobs)
    assert 0 <= found.mean_wait <= best + 1e-9 * (1 + best)
    event("tight" if found.mean_wait >= best - 1e-6 else "positive" if found.mean_wait > 1e-6 else "zero")
    event("waits are needed" if best else "nobody has to wait")


def test_the_bound_is_close_for_whole_gpus_that_come_at_once() -> None:
    """On one GPU, jobs of 10 s, 20 s and 30 s that each take all of it wait 0 s, 10 s and 30 s at best."""
    jobs = [_one(number, 0.0, duration) for number, duration in enumerate((30.0, 10.0, 20.0))]
    assert 12.0 < bound(jobs, {H100: 1}).mean_wait <= 40 / 3


def test_where_all_jobs_fit_at_once_nobody_must_wait() -> None:
    """The bound of a GPU just full is 0, and above it as soon as there are more jobs than that."""
    jobs = [_one(number, 0.0, 100.0, "1g.10gb") for number in range(7)]
    assert bound(jobs, {H100: 1}).mean_wait == 0
    assert bound([*jobs, *(_one(7 + n, 0.0, 100.0, "1g.10gb") for n in range(7))], {H100: 1}).mean_wait > 0


def test_a_queue_on_one_model_counts_beside_idle_gpus_of_another() -> None:
    """Jobs that only an H100 can hold wait for it, however many A30s stand by."""
    jobs = [_one(number, 0.0, 60.0) for number in range(10)]
    alone = bound(jobs, {H100: 1})
    assert alone.mean_wait > 200
    assert bound(jobs, {H100: 1, A30: 50}) == alone


def test_a_job_that_may_choose_between_models_joins_their_queues() -> None:
    """Slices of one name that two models have are bounded over the GPUs of both."""
    jobs = [_one(number, 0.0, 60.0) for number in range(30)]
    alone, both = bound(jobs, {H100: 1}), bound(jobs, {H100: 1, A100: 1})
    assert both.mean_wait == bound(jobs, {H100: 2}).mean_wait < alone.mean_wait


def test_scheduling_takes_its_time_for_everybody() -> None:
    """What it takes to bind a pod where nothing stands in the way is part of every wait."""
    jobs = [_one(number, 5.0 * number, 2.0) for number in range(4)]
    assert bound(jobs, {H100: 1}).mean_wait == 0
    assert bound(jobs, {H100: 1}, schedule_seconds=0.25).mean_wait == 0.25


def test_jobs_that_cannot_run_here_wait_for_nothing_and_are_counted() -> None:
    """What no GPU can hold lowers the mean as if it waited for nothing; what asks for no slice is no part."""
    possible = [_one(number, 0.0, 60.0) for number in range(4)]
    others = [_one(7, 0.0, 1.0, "9g.99gb"), _job(8, 0.0, 1.0, **{"7g.80gb": 2}), _job(9, 0.0, 1.0)]
    alone, found = bound(possible, {H100: 1}), bound([*possible, *others], {H100: 1})
    assert (found.jobs, found.impossible) == (6, 2)
    assert 0 < found.mean_wait * 6 <= alone.mean_wait * 4 + 1e-6


def test_a_job_that_never_ends_goes_last() -> None:
    """Behind a job without end nothing starts any more, so that with one GPU it waits for all others."""
    jobs = [_one(number, 0.0, 100.0) for number in range(3)]
    assert 180 < bound([_one(9, 0.0, None), *jobs], {H100: 1}).mean_wait * 4 / 3 <= 200


def test_the_bound_is_the_same_whenever_the_trace_begins() -> None:
    """Only distances in time count."""
    jobs = [_one(number, 3.0 * number, 10.0 + number) for number in range(8)]
    later = [replace(job, arrival=job.arrival + 40.0) for job in jobs]
    assert abs(bound(jobs, {H100: 1}).mean_wait - bound(later, {H100: 1}).mean_wait) < 2


def test_no_jobs_wait_for_nothing() -> None:
    """An empty trace has a bound too."""
    assert bound([], {H100: 1}).mean_wait == 0
