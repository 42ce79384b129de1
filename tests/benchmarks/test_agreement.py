"""What the comparison of real and virtual time says of two lives."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.agreement import GAP_SECONDS, Lived, bursts, report, spec, virtual


def test_a_place_is_a_node() -> None:
    """Another node is another place, and so is having none."""
    one = Lived({"a": 1.0, "b": 3.0}, {"a": "small", "b": "large"})
    assert one.alike(one) == 1.0
    assert one.alike(Lived({}, {"a": "large", "b": "large"})) == 0.5
    assert one.alike(Lived({}, {"a": "small"})) == 0.5


def test_every_run_is_compared_with_the_simulation_and_with_the_first() -> None:
    """The difference is that of the mean waits, as a part of the real one."""
    simulated, first, second = (Lived({"a": wait}, {"a": "small"}) for wait in (9.0, 10.0, 8.0))
    rows = list(report(simulated, [first, second]))
    assert [row["difference"] for row in rows] == [-0.1, 0.125, 0.25]
    assert all(row["samePlace"] == 1.0 for row in rows)


def test_virtual_time_serves_every_pod_and_always_alike() -> None:
    """The trace has reshapes in it, for which pods wait."""
    jobs = bursts(4, 5, 1)
    found = virtual(jobs, spec())
    assert len(found.waits) == 20
    assert max(found.waits.values()) > 5
    assert virtual(jobs, spec()) == found


def test_a_tenth_of_a_second_moves_no_pod() -> None:
    """The trace that is compared is not chaotic: steps that take a little longer leave the places alone."""
    jobs, given = bursts(50, 4, 1), spec()
    lived = virtual(jobs, given)
    assert sum(wait > GAP_SECONDS / 2 for wait in lived.waits.values()) >= 20
    for longer in (replace(given.timing, apply=4.8), replace(given.timing, plugin=1.9)):
        other = virtual(jobs, replace(given, timing=longer))
        assert lived.alike(other) > 0.95
        assert 0 < other.mean / lived.mean - 1 < 0.03


def test_a_controller_that_reacts_later_serves_later() -> None:
    """Its own time is part of every wait for a reshape."""
    jobs, slow = bursts(4, 5, 1), spec()
    slow = replace(slow, timing=replace(slow.timing, reaction=0.5))
    assert virtual(jobs, slow).mean > virtual(jobs, spec()).mean + 1
