"""Hints are set when they can be heeded, renewed when they were dropped, and taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core.actions import Nominate
from autoslicer.core.hints import LEAD_SECONDS, RETRY_SECONDS, Hints
from autoslicer.core.nominating import REST_SECONDS
from autoslicer.core.pacing.renewal import FIRST_SECONDS
from autoslicer.core.phases import Phase
from autoslicer.core.reading import Row
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.core.snapshot import TAKE_BACK_SECONDS, Snapshot
from tests.build import NOON
from tests.core.stages import NODE, SERVES, ready, stage


class Told:
    """Hints that were told of a stage; what they ask for is done and heard again."""

    def __init__(self, phase: Phase, spacing: float = 0.0) -> None:
        self.snapshot: Snapshot = stage(phase).snapshot
        self.pods = dict(self.snapshot.pods)
        self.nodes = dict(self.snapshot.nodes)
        self.hints = Hints(lambda: self.nodes, lambda: self.snapshot.policies, spacing)
        rows: list[Row] = [*self.nodes.values(), *self.pods.values(), *self.snapshot.changes.values()]
        for row in rows:
            self.hints.hear(None, row, NOON)

    @property
    def change(self) -> ReconfigurationRow:
        """The change of the stage."""
        [found] = self.snapshot.changes.values()
        return found

    def at(self, now: float) -> list[Nominate]:
        """What is asked for by then."""
        self.hints.pass_time(now)
        due, found = sorted(self.hints.due), list[Nominate]()
        self.hints.due.clear()
        for key in due:
            action = self.hints.look(key, self.pods.get(key), now)
            if action is not None:
                found.append(action)
                self.write(replace(self.pods[key], nominated=action.node), now)
                self.hints.carried_out(key, action)
        return found

    def write(self, pod: PodRow, now: float) -> None:
        """Somebody writes a pod."""
        old = self.pods.get(pod.key)
        self.pods[pod.key] = pod
        self.hints.hear(old, pod, now)


def _nodes(actions: list[Nominate]) -> list[str]:
    return [action.node for action in actions]


def test_pods_are_hinted_once_the_slices_are_there() -> None:
    """Each pod that the change serves, once."""
    told = Told(Phase.VERIFIED)
    assert _nodes(told.at(NOON)) == [NODE] * len(SERVES)
    assert told.at(NOON + 1) == []


def test_after_the_taint_the_scheduler_has_time_to_rest() -> None:
    """The end of our taint wakes every pod: a hint that comes right then would be dropped."""
    told = Told(Phase.APPLIED)
    assert told.at(NOON + REST_SECONDS / 2) == []
    assert _nodes(told.at(NOON + REST_SECONDS)) == [NODE] * len(SERVES)


def test_a_tainted_node_is_not_at_rest() -> None:
    """The time counts from the end of the taint."""
    told = Told(Phase.LABELLED)
    assert told.hints.wake is None
    entered = replace(told.change, status=replace(told.change.status, phase=Phase.APPLIED))
    told.hints.hear(told.change, entered, NOON)
    assert told.hints.wake is None
    free = replace(told.nodes[NODE], taints=())
    told.nodes[NODE] = free
    told.hints.hear(None, free, NOON + 2)
    assert told.hints.wake == NOON + 2 + REST_SECONDS


def test_a_node_that_asks_for_its_turn_has_its_pods_hinted() -> None:
    """Where the slices are there they are hinted before the taint goes; the scheduler has time to know."""
    told = Told(Phase.LABELLED, spacing=2.0)
    [told.nodes[NODE]] = ready(Phase.LABELLED).snapshot.nodes.values()
    assert told.at(NOON) == []
    assert told.hints.turn(told.change, NOON) == pytest.approx(LEAD_SECONDS)
    assert _nodes(told.at(NOON)) == [NODE] * len(SERVES)
    assert told.hints.turn(told.change, NOON + LEAD_SECONDS) == 0.0


def test_a_policy_that_does_not_nominate_makes_no_node_wait() -> None:
    """Nothing is hinted, and turns cost no time."""
    told = Told(Phase.LABELLED, spacing=2.0)
    [plain] = told.snapshot.policies.values()
    told.snapshot = replace(told.snapshot, policies={plain.name: replace(plain, nominate=False)})
    assert told.hints.turn(told.change, NOON) == 0.0
    assert told.at(NOON) == []


def test_a_hint_that_was_dropped_comes_again_a_moment_later() -> None:
    """First at once, then once the scheduler has come to rest."""
    told = Told(Phase.VERIFIED)
    told.at(NOON)
    told.write(replace(told.pods[SERVES[0]], nominated=""), NOON + 5)
    assert told.at(NOON + 5) == []
    assert told.hints.wake == pytest.approx(NOON + 5 + FIRST_SECONDS)
    assert _nodes(told.at(NOON + 5 + FIRST_SECONDS)) == [NODE]


def test_a_hint_that_was_refused_is_tried_again() -> None:
    """An API server that is away for a moment costs no pod its hint."""
    told = Told(Phase.VERIFIED)
    told.hints.due.clear()
    told.hints.refused(SERVES[0], NOON)
    assert told.at(NOON + RETRY_SECONDS / 2) == []
    assert _nodes(told.at(NOON + RETRY_SECONDS)) == [NODE]


def test_a_clock_that_is_set_back_makes_no_pod_wait_longer() -> None:
    """Whoever corrects a clock by an hour does not keep hints back for an hour."""
    told = Told(Phase.APPLIED)
    assert told.at(NOON) == []
    assert told.at(NOON - 3600) == []
    assert _nodes(told.at(NOON - 3600 + REST_SECONDS)) == [NODE] * len(SERVES)


def test_a_change_that_is_deleted_on_its_way_takes_its_hints_back() -> None:
    """And is remembered for no longer than a hint may be ours."""
    told = Told(Phase.VERIFIED)
    told.at(NOON)
    told.hints.hear(told.change, None, NOON + 1)
    assert _nodes(told.at(NOON + 1)) == [""] * len(SERVES)
    told.hints.pass_time(NOON + 1 + TAKE_BACK_SECONDS)
    told.hints.due.clear()
    told.hints.look_at_all()
    assert told.hints.due == set()


def test_a_pod_of_no_change_is_never_looked_at() -> None:
    """Most pods of a cluster are none of ours."""
    told = Told(Phase.VERIFIED)
    told.hints.due.clear()
    stranger = replace(told.pods[SERVES[0]], name="stranger")
    told.write(stranger, NOON)
    assert told.hints.due == set()
