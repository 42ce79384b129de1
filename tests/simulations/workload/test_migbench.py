"""MIGBench's jobs: profile and duration as its own model has them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.workload.job import Job
from simulations.workload.migbench import read_migbench
from simulations.workload.mistakes import Kind
from tests.simulations.workload.traces import refusal, skipped, trace


def _line(**fields: object) -> str:
    record = {
        "jobID": "job-1",
        "format": "resource-bound-v2",
        "arrivalMS": 37_318,
        "computeCoreMS": 19_177_620,
    }
    return json.dumps({**record, "memoryMB": 20_480, "new": True, **fields})


def test_a_job_is_read_as_migbench_means_it(tmp_path: Path) -> None:
    """A run of MIGBench's trace is like for like: its profile, and its run time in whole milliseconds."""
    job = Job("migbench/job-1", 37.318, 684.915, {"nvidia.com/mig-2g.20gb": 1})
    assert list(read_migbench(trace(tmp_path, _line()))) == [job]


@given(memory=st.integers(0, 81_920), work=st.integers(0, 10**9))
def test_the_smallest_profile_with_enough_memory_is_taken(
    tmp_path_factory: pytest.TempPathFactory, memory: int, work: int
) -> None:
    """Memory decides on the profile, and the profile's share of the GPU on the duration."""
    [job] = read_migbench(trace(tmp_path_factory.getbasetemp(), _line(memoryMB=memory, computeCoreMS=work)))
    profile, percent = next(
        (profile, percent)
        for most, profile, percent in (
            (10_240, "1g.10gb", 14),
            (20_480, "2g.20gb", 28),
            (40_960, "3g.40gb", 42),
            (81_920, "7g.80gb", 100),
        )
        if memory <= most
    )
    assert job.requests == {f"nvidia.com/mig-{profile}": 1}
    assert job.duration is not None
    assert math.isclose(job.duration, -(-work // percent) / 1000)


@pytest.mark.parametrize(
    ("line", "said", "kind"),
    [
        (
            _line(memoryMB=81_921),
            "memoryMB: is 81921; it must be a number of megabytes from 0 to 81920",
            Kind.VALUE,
        ),
        (_line(arrivalMS=-1), "arrivalMS: is -1; it must be a number of milliseconds", Kind.VALUE),
        (_line(format="v3"), 'format: is "v3"; it must be resource-bound-v2', Kind.VALUE),
        (_line(jobID="Job 1"), 'jobID: is "migbench/Job 1"; it must be', Kind.VALUE),
        (_line(jobID=1), "jobID: is 1; it must be", Kind.VALUE),
        ('{"jobID": "job-2", "memoryMB": 1}', "arrivalMS: is missing; it must be a number", Kind.MISSING),
        (_line(arrivalMS=1), "arrivalMS: 0.001 s is before 37.318 s, when the job above arri", Kind.ORDER),
        (_line(arrivalMS=37_319), "jobID: migbench/job-1 arrives at 37.319 s while the pod of", Kind.NAME),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path: Path, line: str, said: str, kind: Kind) -> None:
    """A job that MIGBench's model has no place for is told with its line, or skipped and counted."""
    path = trace(tmp_path, _line(), line)
    assert refusal(read_migbench, path).startswith(f"trace.jsonl:2: {said}")
    assert skipped(read_migbench, path) == (["migbench/job-1"], {kind: 1})
