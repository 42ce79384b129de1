"""Traces in autoslicer's own format: one JSON object a line, sorted by arrival."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from simulations.workload.coming import NOBODY, InTurn, There
from simulations.workload.job import Job
from simulations.workload.lines import Lenient, parsed
from simulations.workload.mistakes import Kind, Mistake
from simulations.workload.records import amount, no_others, pod, record, required, wrong
from simulations.workload.requests import requests

FIELDS = ("pod", "arrival", "duration", "requests", "priority", "group")
_MOST_PRIORITY = 2**31


def read_native(path: Path, lenient: Lenient = None, there: There = NOBODY) -> Iterator[Job]:
    """The jobs of a native trace, one line held at a time.

    Args:
        path: of the trace.
        lenient: counts the lines that are wrong, which are skipped then.
        there: see `InTurn`.

    Raises:
        InputError: the file cannot be read, or a line is wrong and `lenient` is None.
    """
    return parsed(path, InTurn(_job, there), lenient)


def write_native(jobs: Iterable[Job], file: TextIO) -> None:
    """Write the jobs as a native trace, from which `read_native` reads equal ones."""
    for job in jobs:
        file.write(f"{line(job)}\n")


def line(job: Job) -> str:
    """A job as a line of a native trace, without its end."""
    return json.dumps(
        {
            "pod": job.pod,
            "arrival": job.arrival,
            "duration": job.duration,
            "requests": {name: _quantity(name, job.requests[name]) for name in sorted(job.requests)},
            "priority": job.priority,
            "group": None,
        }
    )


def _quantity(resource: str, units: int) -> str | int:
    if resource != "cpu":
        return units
    return f"{units}m" if units % 1000 else str(units // 1000)


def _job(text: str) -> Job:
    fields = record(text)
    no_others(fields, FIELDS)
    if fields.get("group") is not None:
        raise Mistake(Kind.GANG, "group", "gangs are not simulated", "it must be null or absent")
    name = pod("pod", required(fields, "pod", "namespace/name of a pod"))
    arrival = amount(fields, "arrival", "seconds")
    forever = required(fields, "duration", "a number of seconds, or null for a pod that never ends") is None
    return Job(
        pod=name,
        arrival=arrival,
        duration=None if forever else amount(fields, "duration", "seconds"),
        requests=requests(required(fields, "requests", "a mapping from resources to quantities")),
        priority=_priority(fields.get("priority")),
    )


def _priority(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not -_MOST_PRIORITY <= value < _MOST_PRIORITY:
        raise wrong("priority", value, "a whole number of 32 bits")
    return value
