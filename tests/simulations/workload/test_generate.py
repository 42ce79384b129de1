"""Generated workloads: what a seed gives, and that it is what was asked for."""

from __future__ import annotations

import hashlib
import io
import math
import statistics
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.workload.draws import Draws
from simulations.workload.generate import Constant, Durations, Exponential, Generation, Lognormal, generate
from simulations.workload.job import Job
from simulations.workload.native import read_native, write_native
from simulations.workload.source import jobs

MANY = Generation(
    seed=1,
    pods=20_000,
    arrival_rate=0.5,
    durations=Exponential(600),
    profiles={"1g.10gb": 3, "3g.40gb": 1, "7g.80gb": 0},
    priorities={"0": 9, "100": 1},
    namespaces={"red": 1, "blue": 1},
    cpu=1500,
)


def _trace(wanted: Generation) -> str:
    file = io.StringIO()
    write_native(generate(wanted), file)
    return file.getvalue()


def test_a_seed_gives_the_same_jobs_everywhere() -> None:
    """A simulation that somebody repeats on another machine or Python has the same jobs to the byte."""
    wanted = replace(MANY, pods=500, durations=Lognormal(60, 1.5), shift_to={"7g.80gb": 1})
    digest = hashlib.sha256(_trace(wanted).encode()).hexdigest()
    assert digest == "b1a01686a0b8d45cc0bfc1389039c0a6a4f127d2ca469cf3e01b4459e75d199c"
    assert _trace(replace(wanted, seed=2)) != _trace(wanted)


def test_the_order_of_weights_does_not_matter() -> None:
    """A document whose keys were sorted by some tool is still the same simulation."""
    other = replace(MANY, pods=99, profiles=dict(reversed(MANY.profiles.items())))
    assert _trace(other) == _trace(replace(MANY, pods=99))


def test_what_is_changed_changes_alone() -> None:
    """Runs that differ in the profiles compare the same arrivals and durations."""
    first, second = (
        list(generate(replace(MANY, pods=99, profiles=weights)))
        for weights in ({"1g.10gb": 1}, {"7g.80gb": 1})
    )
    assert [replace(job, requests={}) for job in first] == [replace(job, requests={}) for job in second]
    assert first != second


def _near(found: float, expected: float, part: float = 0.05) -> bool:
    return math.isclose(found, expected, rel_tol=part)


def test_jobs_come_and_ask_as_often_as_was_said() -> None:
    """Rates and weights are those of the scenario."""
    found = list(generate(MANY))
    gaps = [after.arrival - before.arrival for before, after in pairwise(found)]
    assert min(gaps) >= 0
    assert _near(statistics.fmean(gaps), 2)
    assert _near(statistics.stdev(gaps), 2)
    asked = Counter(profile for job in found for profile in job.requests)
    assert asked.keys() == {"cpu", "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"}
    assert _near(asked["nvidia.com/mig-1g.10gb"], 15_000)
    assert _near(sum(job.priority == 100 for job in found), 2_000)
    assert _near(sum(job.pod.startswith("red/") for job in found), 10_000)
    assert len({job.pod for job in found}) == len(found)
    assert found[0].requests["cpu"] == 1500


@pytest.mark.parametrize(
    ("durations", "mean", "median"),
    [
        (Constant(300), 300, 300),
        (Exponential(600), 600, 600 * math.log(2)),
        (Lognormal(600, 1), 600 * math.exp(0.5), 600),
    ],
)
def test_durations_have_the_distribution_that_was_asked_for(
    durations: Durations, mean: float, median: float
) -> None:
    """Mean and median of what runs are as documented."""
    found = [job.duration for job in generate(replace(MANY, durations=durations))]
    assert None not in found
    numbers = [duration for duration in found if duration is not None]
    assert _near(statistics.fmean(numbers), mean)
    assert _near(statistics.median(numbers), median)


def test_profiles_shift_evenly_to_the_last_pod() -> None:
    """A day that begins with large pods and ends with small ones has as many of both in its middle."""
    found = list(generate(replace(MANY, profiles={"7g.80gb": 5}, shift_to={"1g.10gb": 1})))
    large = [int("nvidia.com/mig-7g.80gb" in job.requests) for job in found]
    assert [large[0], large[-1]] == [1, 0]
    for start, part in ((0, 0.875), (5_000, 0.625), (10_000, 0.375), (15_000, 0.125)):
        assert _near(statistics.fmean(large[start : start + 5_000]), part, 0.1)


def test_jobs_are_made_one_at_a_time() -> None:
    """A hundred million pods begin to come at once."""
    first = next(iter(jobs(replace(MANY, pods=100_000_000))))
    assert first.pod.endswith("/job-000000001")


def test_a_name_of_the_dump_is_not_generated() -> None:
    """Nobody waits for the name of a pod that never ends: a number behind it makes another one."""
    wanted = replace(MANY, pods=3)
    plain = list(generate(wanted))
    second = plain[1].pod
    found = list(generate(wanted, {second, f"{second}-1"}))
    assert [job.pod for job in found] == [plain[0].pod, f"{second}-2", plain[2].pod]
    assert [replace(job, pod="") for job in found] == [replace(job, pod="") for job in plain]


@given(st.integers(0, 2**63 - 1), st.floats(1e-3, 1e3), st.floats(0.1, 1e7), st.floats(0, 5))
def test_what_is_generated_can_be_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rate: float, median: float, sigma: float
) -> None:
    """A generated workload that was saved and edited replays, whatever was generated."""
    wanted = replace(MANY, seed=seed, pods=9, arrival_rate=rate, durations=Lognormal(median, sigma))
    path = tmp_path_factory.getbasetemp() / "generated.jsonl"
    path.write_text(_trace(wanted), encoding="utf-8")
    made: list[Job] = list(generate(wanted))
    assert list(read_native(path)) == made


def test_normal_draws_are_normal() -> None:
    """The numbers behind lognormal durations have the mean, spread and tails of the normal law."""
    draws = Draws(3, "test")
    found = [draws.normal() for _ in range(20_000)]
    expected = statistics.NormalDist()
    assert abs(statistics.fmean(found)) < 0.03
    assert _near(statistics.stdev(found), 1, 0.02)
    for limit in (-2, -1, 0, 1, 2):
        assert abs(sum(number < limit for number in found) / len(found) - expected.cdf(limit)) < 0.01


def test_streams_of_one_seed_are_independent() -> None:
    """Numbers for one purpose tell nothing of those for another."""
    first, second = ([draws.uniform() for _ in range(5_000)] for draws in (Draws(1, "a"), Draws(1, "b")))
    assert abs(statistics.correlation(first, second)) < 0.05
    assert list(islice(first, 3)) != list(islice(second, 3))


def test_a_choice_of_no_weight_is_never_made() -> None:
    """A weight of 0 takes a profile out of a workload."""
    draws = Draws(1, "test")
    weights = {"a": 0.0, "b": 1e-9, "c": 0.1, "d": 0.0}
    assert {draws.choice(weights) for _ in range(2_000)} <= {"b", "c"}
