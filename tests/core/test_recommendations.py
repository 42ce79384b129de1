"""What becomes of a change that waits for a human."""

from __future__ import annotations

import pytest

from autoslicer.cluster import documents
from autoslicer.core.actions import PolicyStatus
from autoslicer.core.cycle import Decision
from autoslicer.core.pacing.fleet import DEFAULT_LIMITS
from autoslicer.core.reasons import Reason
from autoslicer.core.recommendations import awaited, set_aside
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from tests.build import NOON, Builder, mig_manager, node
from tests.core.pacing.test_gates import ended
from tests.core.scenes import planned, snapshot
from tests.core.test_cycle import RECOMMEND, created, decided, machine, only, told, wants

DAY = DEFAULT_LIMITS.recommendation_seconds


def stored(row: ReconfigurationRow, at: float = NOON) -> Builder:
    """The change as the API server keeps it."""
    made = Builder(documents.change(row, row.node_uid)).created(at)
    return made.set("metadata.uid", f"change-{row.name}").set("metadata.resourceVersion", "1")


def recommended(*world: Builder) -> tuple[Builder, ...]:
    """What is recommended for this world."""
    return tuple(stored(row) for row in created(decided(*world)))


def verdicts(decision: Decision) -> dict[str, Reason]:
    return {name: held.reason for name, held in decision.holds.items()}


def test_a_recommendation_waits_while_the_plan_is_the_same() -> None:
    """It is made once; its pods are told how to approve it."""
    world = (*machine("a"), *machine("b"), wants("t/x"), RECOMMEND)
    found = recommended(*world)
    decision = decided(*world, *found, now=NOON + 3600)
    assert verdicts(decision) == {"a-1": Reason.AwaitingApproval}
    assert decision.holds["a-1"].message == "approve it with: autoslicer approve a-1"
    assert created(decision) == []
    assert told(decision) == [("Normal", "t/x", "AwaitingApproval")]


def test_a_better_plan_supersedes_it() -> None:
    """Although its pods still wait: with more of them another layout is best, which comes after its end."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    found = recommended(*world)
    more = (*world, *(wants(f"t/y{n}", "2g.20gb") for n in range(3)))
    decision = decided(*more, *found)
    assert verdicts(decision) == {"a-1": Reason.Superseded}
    assert created(decision) == []
    assert ("Normal", "t/x", "Superseded") not in told(decision)
    over = ended("a", 1, "Cancelled", NOON, "Superseded").set("spec.approved", False)
    assert created(decided(*more, over, now=NOON + 29)) == []
    assert [row.name for row in created(decided(*more, over, now=NOON + 30))] == ["a-2"]


def test_what_the_cluster_does_without_supersedes_it() -> None:
    """A slice became free, so that no node has to change."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    found = recommended(*world)
    free = node("b").gpus(1).config("all-1g.10gb")
    assert verdicts(decided(*world, *found, free)) == {"a-1": Reason.Superseded}


def test_of_equal_nodes_it_does_not_matter_which_the_plan_takes() -> None:
    """A recommendation stands for the same change of another node; no second one is made."""
    world = (*machine("a"), *machine("b"), wants("t/x"), RECOMMEND)
    [first] = recommended(*world)
    other = first.set("metadata.name", "b-1").set("spec.node", {"name": "b", "uid": "node-b"})
    decision = decided(*world, other)
    assert [reshape.node for reshape in decision.plan.reshapes] == ["a"]
    assert verdicts(decision) == {"b-1": Reason.AwaitingApproval}
    assert created(decision) == []


def test_one_that_would_evict_other_pods_is_another() -> None:
    """Nobody is asked to send pods away that the newest plan lets stay."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    [first] = recommended(*world)
    decision = decided(*world, first.set("spec.evicts", ["t/z"]))
    assert verdicts(decision) == {"a-1": Reason.Superseded}


def test_pods_that_a_recommendation_would_serve_as_well_are_told_of_it() -> None:
    """It is in the plan for other pods than it names."""
    world = (*machine("a"), RECOMMEND, wants("t/x"))
    found = recommended(*world)
    decision = decided(*world, wants("t/y"), *found)
    assert verdicts(decision) == {"a-1": Reason.AwaitingApproval}
    assert told(decision) == [("Normal", key, "AwaitingApproval") for key in ("t/x", "t/y")]


@pytest.mark.parametrize(("age", "reason"), [(DAY - 1, Reason.AwaitingApproval), (DAY, Reason.Expired)])
def test_it_expires(age: float, reason: Reason) -> None:
    """After a day without approval, however good it still is; the loop wakes for it."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    decision = decided(*world, *recommended(*world), now=NOON + age)
    assert verdicts(decision) == {"a-1": reason}
    assert decision.wake == (NOON + DAY if age < DAY else None)


def test_another_driver_supersedes_it() -> None:
    """What was approved for one driver proves nothing of the next."""

    def world(version: str) -> tuple[Builder, ...]:
        labels = {"nvidia.com/cuda.driver-version.full": version}
        return (machine("a")[0].labels(labels), mig_manager("a"), wants("t/x"), RECOMMEND)

    found = recommended(*world("580.0"))
    assert verdicts(decided(*world("580.0"), *found)) == {"a-1": Reason.AwaitingApproval}
    assert verdicts(decided(*world("581.0"), *found)) == {"a-1": Reason.Superseded}


def test_what_is_not_known_for_a_while_supersedes_nothing() -> None:
    """The node's mig-manager is made anew: nobody says that it will be another one."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    found = recommended(*world)
    assert found[0].get("spec.kind") != ""
    assert verdicts(decided(machine("a")[0], wants("t/x"), RECOMMEND, *found)) == {
        "a-1": Reason.AwaitingApproval
    }


def test_approved_ones_are_held_against_no_plan() -> None:
    """A human has decided; they count as done, and pass the gates like others."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    [first] = recommended(*world)
    decision = decided(*world, first.set("spec.approved", True), node("b").gpus(1).config("all-1g.10gb"))
    assert decision.holds == {}
    assert decision.plan.reshapes == ()


def test_a_plan_is_made_as_if_nothing_had_been_recommended() -> None:
    """On the command line, too; approved changes count as done."""
    world = (*machine("a"), wants("t/x"))
    [first] = recommended(*world, RECOMMEND)
    assert len(planned(*world, first).reshapes) == 1
    assert len(planned(*world, first.set("spec.approved", True)).reshapes) == 0
    with_it: Snapshot = snapshot(*world, first)
    assert [change.name for change in awaited(with_it)] == ["a-1"]
    assert set_aside(with_it) == snapshot(*world)
    assert set_aside(snapshot(*world)).changes == {}


def test_its_pods_count_once() -> None:
    """As servable by a change of the policy's nodes."""
    world = (*machine("a"), wants("t/x"), RECOMMEND)
    [status] = only(decided(*world, *recommended(*world)), PolicyStatus)
    assert isinstance(status, PolicyStatus)
    assert (status.pending, status.lacking, status.servable) == (1, 1, 1)


def test_nobodys_approval_is_no_failure() -> None:
    """Recommendations that ended one after the other make their node rest no longer."""
    over = [
        ended("a", n, "Cancelled", NOON - 100 + n, "Superseded").set("spec.approved", False)
        for n in range(1, 5)
    ]
    assert created(decided(*machine("a"), wants("t/x"), RECOMMEND, *over, now=NOON - 96 + 29)) == []
    assert created(decided(*machine("a"), wants("t/x"), RECOMMEND, *over, now=NOON - 96 + 30)) != []
