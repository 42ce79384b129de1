"""No A -> B -> A without new demand."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core import reading
from autoslicer.core.causes import Cause
from autoslicer.core.pacing.reversal import REVERSAL_SECONDS, Reversal, reversal
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, change, pod
from tests.core.pacing.test_gates import gate, wanted
from tests.core.scenes import snapshot

SEVEN, ONES, THREES = {"7g.80gb": 1}, {"1g.10gb": 7}, {"3g.40gb": 2}
PLANNED, DONE = NOON - 90, NOON - 60


def earlier(before: list[Any], after: list[Any], *serves: str, phase: str = "Done") -> Builder:
    """A change of node a that was planned 90 seconds ago and ended a minute ago."""
    steps = [{"phase": phase, "at": rfc3339(DONE)}]
    made = change("a", before, after, serves=serves).created(PLANNED)
    return made.set("status", {"phase": phase, "startedAt": rfc3339(PLANNED), "steps": steps})


def back(before: list[Any], after: list[Any], *serves: str) -> ReconfigurationRow:
    return reading.change(change("a", before, after, number=2, serves=serves).raw)


def waits(key: str, since: float = PLANNED - 600) -> Builder:
    return pod(key).wants({"1g.10gb": 1}).created(since)


def test_a_layout_just_left_does_not_come_back_for_the_same_pods() -> None:
    """While those for whom it was left still wait; after an hour it may."""
    first = earlier([SEVEN], [ONES], "t/for-b")
    world = snapshot(first, waits("t/for-b"), waits("t/for-a"))
    again = back([ONES], [SEVEN], "t/for-a")
    assert reversal(world, again, NOON) == Reversal("a-1", DONE + REVERSAL_SECONDS)
    assert reversal(world, again, DONE + REVERSAL_SECONDS - 1) is not None
    assert reversal(world, again, DONE + REVERSAL_SECONDS) is None


@pytest.mark.parametrize(("age", "held"), [(-600, True), (0, True), (1, False)])
def test_pods_that_came_since_are_new_demand(age: float, held: bool) -> None:
    """Since the earlier change was planned: it could not count them."""
    world = snapshot(
        earlier([SEVEN], [ONES], "t/b"), waits("t/b"), waits("t/old"), waits("t/a", PLANNED + age)
    )
    assert (reversal(world, back([ONES], [SEVEN], "t/a", "t/old"), NOON) is not None) is held


def test_demand_that_is_over_holds_nothing() -> None:
    """Once the pods for whom the layout was left are bound or gone, others have their turn."""
    again = back([ONES], [SEVEN], "t/a")
    first = earlier([SEVEN], [ONES], "t/b")
    assert reversal(snapshot(first, waits("t/a")), again, NOON) is None
    assert reversal(snapshot(first, waits("t/a"), waits("t/b").on("a")), again, NOON) is None
    assert reversal(snapshot(first, waits("t/a"), waits("t/b")), again, NOON) is not None


def test_one_gpu_that_goes_back_is_enough() -> None:
    """A GPU that did not change before, or gets a third layout, goes nowhere back."""
    first = earlier([SEVEN, SEVEN], [ONES, SEVEN], "t/b")
    world = snapshot(first, waits("t/b"), waits("t/a"))
    assert reversal(world, back([ONES, SEVEN], [SEVEN, THREES], "t/a"), NOON) is not None
    assert reversal(world, back([ONES, SEVEN], [THREES, SEVEN], "t/a"), NOON) is None
    assert reversal(world, back([ONES, THREES], [ONES, SEVEN], "t/a"), NOON) is None


def test_only_what_was_done_was_left() -> None:
    """A change that ended otherwise left no layout; and what no pod waits for is not demand."""
    cancelled = earlier([SEVEN], [ONES], "t/b", phase="Cancelled")
    again = back([ONES], [SEVEN], "t/a")
    assert reversal(snapshot(cancelled, waits("t/b"), waits("t/a")), again, NOON) is None
    raw = change("a", [ONES], [SEVEN], number=2).set("spec.cause", Cause.HEADROOM.value).raw
    done = snapshot(earlier([SEVEN], [ONES], "t/b"), waits("t/b"))
    assert reversal(done, reading.change(raw), NOON) is None


def test_a_reversal_does_not_start_and_the_loop_wakes_when_it_may() -> None:
    """The one who waits is told for which change."""
    asked = gate(earlier([SEVEN], [ONES], "t/b"), waits("t/b"), waits("t/a"))
    found = asked.pass_through(wanted(gpus=back([ONES], [SEVEN]).gpus, serves=("t/a",)))
    assert found is not None
    assert (found.reason, asked.wakes) == ("Reversal", [DONE + REVERSAL_SECONDS])
    assert found.message.startswith("it would take back a-1 while its pods still wait")
