"""Which names a trace may bring again, and when."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.workload.coming import InTurn
from simulations.workload.job import Job
from simulations.workload.mistakes import Kind, Mistake
from simulations.workload.native import read_native
from tests.simulations.workload.traces import refusal, trace

NAMES = "team/a", "team/b", "team/c"
LIVES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 20), st.none() | st.integers(0, 8)), max_size=25
).map(lambda lives: sorted(lives, key=lambda life: life[1]))


def line(pod: str, arrival: float, duration: float | None = 5.0) -> str:
    return json.dumps({"pod": pod, "arrival": arrival, "duration": duration, "requests": {}})


@given(LIVES, st.dictionaries(st.sampled_from(NAMES), st.booleans()))
def test_what_is_refused_would_be_there_twice(
    lives: list[tuple[str, int, int | None]], there: dict[str, bool]
) -> None:
    """A job is refused exactly if its name is that of a pod that would be there had all run at once."""
    jobs = [Job(pod, float(arrival), duration, {}) for pod, arrival, duration in lives]
    reader = InTurn(lambda text: jobs[int(text)], there)
    ends = dict.fromkeys(there, float("inf"))
    told, refused = set[str](), 0
    for number, job in enumerate(jobs):
        tells = there.get(job.pod, False) and job.pod not in told and not job.arrival
        if tells or ends.get(job.pod, 0.0) <= job.arrival:
            assert reader(str(number)) == job
            told.add(job.pod)
            ends[job.pod] = job.arrival + (float("inf") if job.duration is None else job.duration)
        else:
            refused += 1
            with pytest.raises(Mistake) as mistake:
                reader(str(number))
            assert mistake.value.kind is Kind.NAME
    event(f"some refused: {refused > 0}, names came again: {len(jobs) - refused > len(ends)}")


def test_a_name_in_use_is_one_sentence_with_its_line(tmp_path: Path) -> None:
    """Whoever edited a trace reads which line comes too early, and how long the pod before runs."""
    path = trace(tmp_path, line("team/a", 1), line("team/b", 2, None), line("team/a", 3), line("team/b", 9e6))
    assert refusal(read_native, path) == (
        "trace.jsonl:3: pod: team/a arrives at 3.0 s "
        "while the pod of a line above runs until 6.0 s at least; "
        "a name comes again once its pod is gone"
    )
    counts = Counter[Kind]()
    assert [job.pod for job in read_native(path, counts)] == ["team/a", "team/b"]
    assert counts == {Kind.NAME: 2}
    path = trace(tmp_path, line("team/b", 2, None), line("team/b", 3))
    assert "while the pod of a line above never ends; " in refusal(read_native, path)


def test_a_pod_of_the_dump_is_told_of_at_0_alone(tmp_path: Path) -> None:
    """Its line says how long it still runs; then the name is free, and without that line it never is."""
    late = trace(tmp_path, line("team/a", 3), name="late.jsonl")
    assert refusal(lambda path, lenient: read_native(path, lenient, {"team/a": True}), late) == (
        "late.jsonl:1: pod: team/a arrives at 3.0 s while the dump's pod of that name is there; "
        "a job of its name that arrives at 0 tells how long it still runs"
    )
    told = trace(tmp_path, line("team/a", 0), line("team/a", 5))
    assert len(list(read_native(told, None, {"team/a": True}))) == 2


def test_a_pod_of_a_daemon_set_is_never_told_of(tmp_path: Path) -> None:
    """It is there as long as its node is, so that its name is in use whenever another pod comes."""
    path = trace(tmp_path, line("team/a", 0))
    assert refusal(lambda path, lenient: read_native(path, lenient, {"team/a": False}), path) == (
        "trace.jsonl:1: pod: team/a arrives at 0.0 s while a DaemonSet's pod of that name is there; "
        "take another name"
    )


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_milliseconds_are_summed_as_they_are_written(arrival: int, duration: int) -> None:
    """A name may come again in the very millisecond in which its pod ends: 0.1 + 0.2 is 0.3."""
    lives = [(arrival / 1000, duration / 1000), ((arrival + duration) / 1000, 0.0)]
    jobs = [Job("team/a", at, lasting, {}) for at, lasting in lives]
    reader = InTurn(lambda text: jobs[int(text)])
    assert [reader(number) for number in "01"] == jobs
    event(f"the sum is more: {sum(lives[0]) > lives[1][0]}")


def test_a_line_that_is_left_out_does_not_move_time(tmp_path: Path) -> None:
    """A name that comes too early is skipped, and the next is compared with the line before it."""
    path = trace(tmp_path, line("team/a", 1, None), line("team/a", 9), line("team/b", 5))
    counts = Counter[Kind]()
    assert [job.pod for job in read_native(path, counts)] == ["team/a", "team/b"]
    assert counts == {Kind.NAME: 1}
