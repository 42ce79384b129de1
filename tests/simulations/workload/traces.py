"""Traces for tests: files with these lines, and what reading them says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import strategies as st

from simulations.workload.job import Job
from simulations.workload.lines import Lenient
from simulations.workload.mistakes import InputError, Kind
from solver import geometry
from solver.profile_name import resource_name

GOOD = '{"pod": "team/one", "arrival": 1, "duration": 0, "requests": {"nvidia.com/mig-1g.10gb": 1}}'
Reader = Callable[[Path, Lenient], Iterator[Job]]

_LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
_SECONDS = st.floats(0, 1e9) | st.integers(0, 10**9)
_RESOURCES = {
    "cpu": st.integers(1, 10**9),
    "memory": st.integers(1, 2**62),
    "example.com/license": st.integers(1, 10**6),
    **{resource_name(name): st.integers(1, 8) for name in sorted(geometry.profile_names())},
}
_REQUESTS = st.lists(st.sampled_from(sorted(_RESOURCES)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _RESOURCES[name] for name in names})
)
JOB = st.builds(
    Job,
    pod=st.builds("{}/{}".format, _LABEL, _LABEL),
    arrival=_SECONDS,
    duration=st.none() | _SECONDS,
    requests=_REQUESTS,
    priority=st.integers(-(2**31), 2**31 - 1),
)


def trace(folder: Path, *lines: str | bytes, name: str = "trace.jsonl") -> Path:
    """A file with these lines."""
    path = folder / name
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return path


def refusal(read: Reader, path: Path, lenient: Lenient = None) -> str:
    """What reading the whole trace says, with the file's name without its folder; empty where all is well."""
    try:
        for _ in read(path, lenient):
            pass
    except InputError as error:
        return str(error).replace(f"{path.parent}/", "")
    return ""


def skipped(read: Reader, path: Path) -> tuple[list[str], Counter[Kind]]:
    """The pods of the lines that are right, and the others counted."""
    counts = Counter[Kind]()
    return [job.pod for job in read(path, counts)], counts
