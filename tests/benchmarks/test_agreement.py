"""What the comparison of real and virtual time says of two lives."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.agreement import Lived, report, spec, virtual, waves


def test_equal_nodes_are_one_place_and_others_are_not() -> None:
    """Which of two equal nodes took a pod does not matter; the kind of node does, and so does having none."""
    one = Lived({"a": 1.0, "b": 3.0}, {"a": "small-0", "b": "large-0"})
    assert one.alike(Lived({}, {"a": "small-1", "b": "large-1"})) == 1.0
    assert one.alike(Lived({}, {"a": "large-0", "b": "large-0"})) == 0.5
    assert one.alike(Lived({}, {"a": "small-0"})) == 0.5


def test_every_run_is_compared_with_the_simulation_and_with_the_first() -> None:
    """The difference is that of the mean waits, as a part of the real one."""
    simulated, first, second = (Lived({"a": wait}, {"a": "small-0"}) for wait in (9.0, 10.0, 8.0))
    rows = list(report(simulated, [first, second]))
    assert [row["difference"] for row in rows] == [-0.1, 0.125, 0.25]
    assert all(row["samePlace"] == 1.0 for row in rows)


def test_virtual_time_serves_every_pod_and_always_alike() -> None:
    """The trace has reshapes in it, for which pods wait."""
    jobs = waves(2, 10, 1)
    found = virtual(jobs, spec())
    assert len(found.waits) == 20
    assert max(found.waits.values()) > 5
    assert virtual(jobs, spec()) == found


def test_a_wave_has_ended_before_the_next_one_comes() -> None:
    """Small differences in time must not add up from wave to wave."""
    jobs = waves(10, 20, 1)
    lived = virtual(jobs, spec())
    ends = {
        job.pod: job.arrival + lived.waits[job.pod.partition("/")[2]] + (job.duration or 0) for job in jobs
    }
    for number in range(1, 10):
        begins = jobs[20 * number].arrival
        assert max(ends[job.pod] for job in jobs[: 20 * number]) + 2 < begins


def test_a_controller_that_reacts_later_serves_later() -> None:
    """Its own time is part of every wait for a reshape."""
    jobs, slow = waves(1, 10, 1), spec()
    slow = replace(slow, timing=replace(slow.timing, reaction=0.5))
    assert virtual(jobs, slow).mean > virtual(jobs, spec()).mean + 1
