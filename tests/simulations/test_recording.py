"""What is heard of a cluster's pods becomes the trace that would bring them about."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from autoslicer.core.reading import pod as read_pod
from autoslicer.core.rows import PodRow
from simulations.recording import Recording
from simulations.workload.job import Job
from tests.build import NOON, pod


def row(name: str, at: float, **fields: object) -> PodRow:
    """A pod that was created then and asks for a slice."""
    made = read_pod(pod(f"team/{name}").wants({"1g.10gb": 1}).created(at).raw)
    return replace(made, uid=f"{name}@{at}", **fields)  # type: ignore[arg-type]


def running(found: PodRow) -> PodRow:
    """The pod on its node."""
    return replace(found, node="gpu", phase="Running")


LIVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-50, 200), st.integers(0, 60), st.integers(0, 90)),
    max_size=6,
)


@given(LIVES, st.integers(1, 300))
def test_every_pod_is_one_job_with_its_own_times(lives: list[tuple[str, int, int, int]], until: int) -> None:
    """Pods that come, start and end at known times come out with these, whatever order they overlap in."""
    jobs: list[Job] = []
    recording = Recording(NOON, jobs.append)
    taken: dict[str, int] = {}
    happenings: list[tuple[float, int, int, str]] = []
    rows: list[PodRow] = []
    for name, came, waits, runs in sorted(lives, key=lambda life: life[1]):
        if came <= taken.get(name, -100):
            continue
        taken[name] = came + waits + runs
        for step, at in enumerate((came, came + waits, came + waits + runs)):
            happenings.append((float(at), step, len(rows), name))
        rows.append(row(name, NOON + came))
    started = [k for at, step, k, _ in happenings if step == 1 and at <= 0]
    there = [k for at, step, k, _ in happenings if step == 0 and at <= 0]
    gone = [k for at, step, k, _ in happenings if step == 2 and at <= 0]
    recording.begin(running(rows[k]) if k in started else rows[k] for k in there if k not in gone)
    for at, step, k, _ in sorted(happenings):
        if 0 < at <= until:
            old = None if step == 0 else rows[k] if step == 1 else running(rows[k])
            new = rows[k] if step == 0 else running(rows[k]) if step == 1 else None
            recording.notice(old, new, NOON + at)
    found = [(job.arrival, job.duration) for job in (*jobs, *recording.alive())]
    wanted = []
    for k in range(len(rows)):
        came, start, end = (at for at, _, number, _ in happenings if number == k)
        if end > 0 and came <= until:
            wanted.append((max(0.0, came), end - max(0.0, start) if end <= until else None))
    event(f"names come again: {len({r.name for r in rows}) < len(rows)}")
    event(f"jobs: {len(jobs)}")
    assert sorted(found, key=repr) == sorted(wanted, key=repr)
    names = [job.pod for job in (*jobs, *recording.alive())]
    assert len(set(names)) == len(names)


def test_what_is_left_out_is_counted() -> None:
    """A pod that never ran has no duration, and a DaemonSet's pod, or one that is going, is no job."""
    jobs: list[Job] = []
    recording = Recording(NOON, jobs.append)
    odd = row(
        "odd", NOON + 2, requests={"hugepages-2Mi": 1, "nvidia.com/mig-1g.10gb": 1, "pods": 1, "cpu": 1500}
    )
    recording.begin([row("daemon", NOON, daemon=True), row("going", NOON, terminating=True)])
    recording.notice(None, odd, NOON + 2)
    recording.notice(odd, None, NOON + 5)
    assert (jobs, recording.unserved, recording.cancelled) == ([], 1, 0)
    recording.notice(None, replace(odd, uid="again"), NOON + 6)
    recording.notice(None, row("going", NOON, terminating=True), NOON + 7)
    (job,) = recording.alive()
    assert (job.pod, dict(job.requests)) == ("team/odd-1", {"nvidia.com/mig-1g.10gb": 1, "cpu": 1500})
    assert dict(recording.left_out) == {"hugepages-2Mi": 1}


def test_a_pod_of_the_dump_that_was_cancelled_does_not_stay_for_ever() -> None:
    """It is a job that runs for no time, for a simulation that knows of none would let it run on."""
    jobs: list[Job] = []
    recording = Recording(NOON, jobs.append)
    waits, bound = row("waits", NOON - 5), row("bound", NOON - 5, node="gpu", phase="Pending")
    recording.begin([waits, bound])
    recording.notice(waits, None, NOON + 5)
    recording.missing([], NOON + 6)
    assert [(job.pod, job.arrival, job.duration) for job in jobs] == [
        ("team/waits", 0.0, 0.0),
        ("team/bound", 0.0, 0.0),
    ]
    assert (recording.unserved, recording.cancelled) == (0, 2)


def test_no_two_pods_of_dump_and_trace_have_one_name() -> None:
    """Numbered is who comes under the name of a pod that was being deleted, and never to another's name."""
    jobs: list[Job] = []
    recording = Recording(NOON, jobs.append)
    recording.begin([row("web", NOON - 5, terminating=True), row("done", NOON - 5, phase="Succeeded")])
    for n, name in enumerate(("web-1", "web", "web-2", "done")):
        recording.notice(None, row(name, NOON + n), NOON + n)
    assert [job.pod for job in sorted(recording.alive(), key=lambda job: job.arrival)] == [
        "team/web-1",
        "team/web-2",
        "team/web-2-1",
        "team/done",
    ]


def test_a_pod_that_went_unheard_has_gone_by_the_first_list() -> None:
    """Between the dump and the watch nobody listens; who is not listed then has ended."""
    jobs: list[Job] = []
    recording = Recording(NOON, jobs.append)
    old, stays = running(row("old", NOON - 60)), running(row("stays", NOON - 60))
    recording.begin([old, stays])
    recording.missing([stays], NOON + 2)
    assert [(job.pod, job.arrival, job.duration) for job in jobs] == [("team/old", 0.0, 2.0)]
