"""The jobs of MIGBench: work and memory, from which profile and duration follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from simulations.workload.coming import NOBODY, InTurn, There
from simulations.workload.job import Job
from simulations.workload.lines import Lenient, parsed
from simulations.workload.records import MOST_SECONDS, amount, pod, record, required, wrong
from solver.profile_name import resource_name

FORMAT = "resource-bound-v2"
PROFILES = (
    ("1g.10gb", 10_240, 14),
    ("2g.20gb", 20_480, 28),
    ("3g.40gb", 40_960, 42),
    ("7g.80gb", 81_920, 100),
)
"""MIGBench's model of an H100 with 80 GB: profile, memory in MB, compute in percent of the GPU"""
NAMESPACE = "migbench"
_MOST_MILLISECONDS = 1000 * MOST_SECONDS


def read_migbench(path: Path, lenient: Lenient = None, there: There = NOBODY) -> Iterator[Job]:
    """The jobs of a MIGBench trace, one line held at a time; fields that it does not need are not looked at.

    A job gets the smallest of `PROFILES` with enough memory, and runs for its work divided by that profile's
    share of the GPU, rounded up to a millisecond.

    Args:
        path: of the trace, JSON lines with jobID, arrivalMS, computeCoreMS and memoryMB.
        lenient: counts the lines that are wrong, which are skipped then.
        there: see `InTurn`.

    Raises:
        InputError: the file cannot be read, or a line is wrong and `lenient` is None.
    """
    return parsed(path, InTurn(_job, there, arrival="arrivalMS", name="jobID"), lenient)


def _job(text: str) -> Job:
    fields = record(text)
    if fields.get("format", FORMAT) != FORMAT:
        raise wrong("format", fields["format"], FORMAT)
    identity = required(fields, "jobID", "a name in lower case")
    name = pod("jobID", f"{NAMESPACE}/{identity}" if isinstance(identity, str) else identity)
    profile, percent = _profile(fields)
    arrival = amount(fields, "arrivalMS", "milliseconds", _MOST_MILLISECONDS)
    work = amount(fields, "computeCoreMS", "percent of a GPU times milliseconds", _MOST_MILLISECONDS)
    seconds = math.ceil(work / percent) / 1000
    return Job(name, arrival / 1000, seconds, {resource_name(profile): 1})


def _profile(fields: Mapping[str, object]) -> tuple[str, int]:
    """The smallest profile with enough memory, and its percentage of the GPU."""
    needed = amount(fields, "memoryMB", "megabytes", PROFILES[-1][1])
    return next((profile, percent) for profile, memory, percent in PROFILES if memory >= needed)
