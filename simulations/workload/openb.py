"""The pods of Alibaba's cluster-trace-gpu-v2023 ("openb"), with shares of a GPU turned into MIG profiles."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoslicer.core.rows import Resources
from simulations.workload.coming import NOBODY, There
from simulations.workload.job import Job
from simulations.workload.lines import EMPTY, Lenient, called, parsed
from simulations.workload.mistakes import InputError, Kind, Mistake
from simulations.workload.records import MOST_SECONDS, pod, wrong
from solver.geometry import Geometry
from solver.profile_name import parse, resource_name

COLUMNS = (
    "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli",
    "creation_time", "deletion_time", "scheduled_time",
)  # fmt: skip
NAMESPACE = "openb"
WHOLE = 1000
"""`gpu_milli` of a whole GPU"""
_MIB = 1 << 20
_MOST_GPUS = 1000
_MOST = 10**9
"""thousandths of a core, or MiB"""
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)

Row = Mapping[str, str]


def read_openb(
    path: Path, geometry: Geometry, lenient: Lenient = None, there: There = NOBODY
) -> Iterator[Job]:
    """The pods of an openb list, sorted by creation; the list is held, for it need not be sorted.

    A share of a GPU becomes the smallest profile that covers it, k whole GPUs become k times the largest.
    Time starts at the first creation. A pod runs from its scheduling to its deletion; of one that never ran
    there is only the time from creation to deletion, and that is taken; without a deletion it never ends.

    Args:
        path: of the list, CSV with a header that has `COLUMNS`; others are not looked at.
        geometry: of the GPUs whose profiles stand for the shares.
        lenient: counts the lines that are wrong, which are skipped then; the header is never skipped.
        there: names that no pod of the list may have.

    Raises:
        InputError: the file cannot be read, or a line is wrong and `lenient` is None.
    """
    table = _Table(partial(_job, shares=shares(geometry)), set(there))
    pods = [job for job in parsed(path, table, lenient, headed=True) if job is not None]
    if not pods:
        raise InputError(f"{called(path)}: {EMPTY}")
    first = min(job.arrival for job in pods)
    for job in sorted(pods, key=lambda job: job.arrival):
        yield Job(job.pod, job.arrival - first, job.duration, job.requests)


def shares(geometry: Geometry) -> tuple[tuple[int, str], ...]:
    """The share of the GPU's compute that each profile has, in rounded thousandths, ascending.

    Of profiles with equal compute the one with least memory is there; media engines are not asked for.

    >>> from solver.geometry import by_product
    >>> for share, profile in shares(by_product("NVIDIA-H100-80GB-HBM3")):
    ...     print(share, profile)
    143 1g.10gb
    286 2g.20gb
    429 3g.40gb
    571 4g.40gb
    1000 7g.80gb
    """
    smallest: dict[int, str] = {}
    for profile in sorted(geometry.profiles, key=lambda profile: (profile.compute, profile.size)):
        if not parse(profile.name).attribute:
            smallest.setdefault(profile.compute, profile.name)
    return tuple(
        (round(WHOLE * compute / geometry.compute_slices), name) for compute, name in smallest.items()
    )


@dataclass(slots=True)
class _Table:
    """Parses the header, which is no job, and then each line by it; no two jobs have the same name.

    Attributes:
        job: makes one of a row.
        names: that are taken.
    """

    job: Callable[[Row], Job]
    names: set[str]
    _columns: tuple[str, ...] = ()

    def __call__(self, text: str) -> Job | None:
        cells = _cells(text)
        if not self._columns:
            columns = tuple(cell.strip() for cell in cells)
            lacking = [name for name in COLUMNS if name not in columns]
            if lacking:
                right = f"the first line names the columns, {', '.join(COLUMNS)} among them"
                raise Mistake(Kind.SYNTAX, lacking[0], "is no column", right)
            self._columns = columns
            return None
        if len(cells) != len(self._columns):
            wrong = f"the line has {len(cells)} cells"
            raise Mistake(Kind.SYNTAX, "", wrong, f"it must have {len(self._columns)}, as the first has")
        job = self.job(dict(zip(self._columns, cells, strict=True)))
        if job.pod in self.names:
            wrong = f"{job.pod} is the name of another pod"
            raise Mistake(Kind.NAME, "name", wrong, "every pod of the list has its own")
        self.names.add(job.pod)
        return job


def _cells(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Mistake(
            Kind.SYNTAX, "", f"is no CSV: {error}", "it must be cells with commas between"
        ) from None


def _job(row: Row, shares: Sequence[tuple[int, str]]) -> Job:
    created, deleted = _time(row, "creation_time"), _time(row, "deletion_time")
    scheduled = _time(row, "scheduled_time")
    if created is None:
        raise wrong("creation_time", "", "a number of seconds")
    began, name = (created, "creation_time") if scheduled is None else (scheduled, "scheduled_time")
    if began < created:
        raise Mistake(Kind.VALUE, name, "is before creation_time", "nothing is scheduled before it is there")
    if deleted is not None and deleted < began:
        raise Mistake(Kind.VALUE, "deletion_time", f"is before {name}", "nothing ends before it begins")
    duration = None if deleted is None else deleted - began
    return Job(pod("name", f"{NAMESPACE}/{row['name']}"), created, duration, _requests(row, shares))


def _requests(row: Row, shares: Sequence[tuple[int, str]]) -> Resources:
    gpus, milli = _whole(row, "num_gpu", _MOST_GPUS), _whole(row, "gpu_milli", WHOLE)
    found = {"cpu": _whole(row, "cpu_milli", _MOST), "memory": _whole(row, "memory_mib", _MOST) * _MIB}
    if gpus == 1:
        if not milli:
            raise wrong("gpu_milli", row["gpu_milli"], f"from 1 to {WHOLE} where num_gpu is 1")
        profile = next(profile for share, profile in shares if share >= milli)
        found[resource_name(profile)] = 1
    elif gpus:
        found[resource_name(shares[-1][1])] = gpus
    return {resource: amount for resource, amount in found.items() if amount}


def _time(row: Row, name: str) -> float | None:
    """Seconds; None where the cell is empty."""
    text = row[name].strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or float(text) > MOST_SECONDS:
        raise wrong(name, text, f"a number of seconds from 0 to {MOST_SECONDS}, or empty")
    return float(text)


def _whole(row: Row, name: str, most: int) -> int:
    text = row[name].strip()
    if not _DIGITS.fullmatch(text) or int(text) > most:
        raise wrong(name, text, f"a whole number from 0 to {most}")
    return int(text)
