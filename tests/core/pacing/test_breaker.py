"""Changes that fail one after the other stop the fleet."""

from __future__ import annotations

from autoslicer.core.actions import DeleteChange, PolicyStatus
from autoslicer.core.clearing import KEPT_CHANGES
from autoslicer.core.cycle import decide
from autoslicer.core.pacing import breaker
from autoslicer.core.pacing.fleet import FleetLimits
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, policy
from tests.core.pacing.test_gates import ended, gate, reason
from tests.core.scenes import snapshot
from tests.core.test_cycle import created, decided, known, machine, only, wants

FAILED = [ended("b", 1, "Quarantined", NOON - 30), ended("c", 1, "RolledBack", NOON - 20)]
THIRD = ended("d", 1, "Quarantined", NOON - 10)


def failed(*changes: Builder, resumed: float = 0.0) -> list[str]:
    found = breaker.failures(snapshot(*changes), FleetLimits(resumed=resumed))
    return [change.name for change in found]


def test_failures_in_a_row_are_counted_over_all_nodes() -> None:
    """The newest first; a change that was Done ends the row, one that was cancelled is no part of it."""
    assert failed(*FAILED, THIRD) == ["d-1", "c-1", "b-1"]
    assert failed(*FAILED, THIRD, ended("a", 1, "Done", NOON - 25)) == ["d-1", "c-1"]
    assert failed(*FAILED, THIRD, ended("a", 1, "Cancelled", NOON - 25)) == ["d-1", "c-1", "b-1"]
    assert failed(*FAILED, ended("a", 1, "Done", NOON - 5)) == []
    assert failed(*FAILED, ended("a", 1, "Labelled", NOON - 5)) == ["c-1", "b-1"]


def test_one_bad_node_stops_nobody_else() -> None:
    """It is left alone for a while each time; that of three nodes none is well is another matter."""
    again = [ended("b", n, "Quarantined", NOON - 30 + n) for n in range(2, 9)]
    assert failed(*again) == ["b-8"]
    assert reason(gate(*again)) is None
    assert reason(gate(*again, *FAILED)) is None
    assert reason(gate(*again, *FAILED, THIRD)) is Reason.CircuitOpen


def test_what_a_human_has_dealt_with_counts_no_more() -> None:
    """Failures that ended up to the moment of `autoslicer resume`."""
    assert failed(*FAILED, THIRD, resumed=NOON - 20) == ["d-1"]
    assert failed(*FAILED, THIRD, resumed=NOON - 10) == []


def test_three_failures_stop_every_start() -> None:
    """Two do not; with a limit of 0 no number does."""
    assert reason(gate(*FAILED)) is None
    assert reason(gate(*FAILED, THIRD)) is Reason.CircuitOpen
    assert reason(gate(*FAILED, THIRD, limits=FleetLimits(failures=0))) is None
    assert reason(gate(*FAILED, THIRD, limits=FleetLimits(failures=4))) is None


def test_an_open_circuit_is_told_on_every_policy_and_pod() -> None:
    """Degraded is True with the changes that failed; and False without them."""
    world = (*machine("a"), wants("t/x"), policy("p"), policy("q", {"x": "y"}))
    stopped, well = decided(*world, *FAILED, THIRD), decided(*world, *FAILED)
    assert (len(created(stopped)), len(created(well))) == (0, 1)
    assert [verdict.reason for verdict in stopped.withheld] == [Reason.CircuitOpen]
    for decision, status, why in ((stopped, "True", "CircuitOpen"), (well, "False", "AsExpected")):
        found = [s.conditions[1] for s in only(decision, PolicyStatus) if isinstance(s, PolicyStatus)]
        assert [(c.type, c.status, c.reason) for c in found] == [("Degraded", status, why)] * 2
    [first, _] = [s.conditions[1] for s in only(stopped, PolicyStatus) if isinstance(s, PolicyStatus)]
    assert first.message == (
        "changes of 3 nodes have failed in a row (d-1, c-1, b-1); once that is mended: autoslicer resume"
    )


def test_the_failures_that_hold_the_circuit_open_are_not_forgotten() -> None:
    """However many changes of their node end after them."""
    past = [ended("b", n, "Cancelled", NOON - 25 + n) for n in range(2, 3 + KEPT_CHANGES)]
    past = [made.add("status.steps", {"phase": "Labelled", "at": rfc3339(NOON - 25)}) for made in past]
    kept = decided(*machine("b"), *FAILED, THIRD, *past)
    assert only(kept, DeleteChange) == [DeleteChange("b-2", "change-b-2")]
    found = snapshot(known(), policy(), *machine("b"), *FAILED, THIRD, *past)
    dealt_with = FleetLimits(resumed=NOON)
    decision, _ = decide(found, found.policies, NOON, Prepared(), limits=dealt_with)
    assert [a.name for a in decision.actions if isinstance(a, DeleteChange)] == ["b-1", "b-2"]
    off, _ = decide(found, found.policies, NOON, Prepared(), limits=FleetLimits(failures=0))
    assert [a.name for a in off.actions if isinstance(a, DeleteChange)] == ["b-1", "b-2"]
    [status] = [a for a in off.actions if isinstance(a, PolicyStatus)]
    assert [(c.status, c.reason) for c in status.conditions if c.type == "Degraded"] == [
        ("False", "AsExpected")
    ]
