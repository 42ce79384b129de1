"""What holds a change back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoslicer.core import budgets, configs, reading
from autoslicer.core.causes import Cause
from autoslicer.core.nodes.resting import rest
from autoslicer.core.pacing.fleet import DEFAULT_LIMITS, FleetLimits
from autoslicer.core.pacing.gates import Gates
from autoslicer.core.policy import BUILT_IN
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, change, config_map, mig_manager, node, policy
from tests.core.scenes import snapshot

NODES = ("a", "b", "c", "d")


def ended(name: str, number: int, phase: str, at: float, reason: str = "GpuBusy") -> Builder:
    """A change that ended so at that time."""
    steps = [{"phase": "Validated", "at": rfc3339(at - 1)}, {"phase": phase, "at": rfc3339(at)}]
    condition = {"type": "Succeeded", "status": "False", "reason": reason, "message": ""}
    status = {"phase": phase, "steps": steps, "conditions": [condition]}
    return change(name, [{}], [{}], number=number, phase=phase).set("status", status)


def gate(*objects: Builder, now: float = NOON, limits: FleetLimits = DEFAULT_LIMITS) -> Gates:
    """The gates over four nodes with a sound apply path, with a default policy and these objects."""
    world = [made for name in NODES for made in (node(name).gpus(1).config("all-7g.80gb"), mig_manager(name))]
    known = config_map({name: configs.DEFAULTS[name] for name in ("all-disabled", "all-7g.80gb")})
    policies = () if any(o.get("kind") == "MigAutoscalingPolicy" for o in objects) else (policy(),)
    found = snapshot(*world, known, *policies, *objects)
    return Gates(found, found.policies, dict.fromkeys(found.policies, len(NODES)), now, limits)


def wanted(name: str = "a", policy_name: str = "default", **fields: Any) -> ReconfigurationRow:
    """A change of the node that waits."""
    row = reading.change(change(name, [{"7g.80gb": 1}], [{"1g.10gb": 7}]).raw)
    return replace(row, policy=policy_name, **fields)


def reason(asked: Gates, name: str = "a", policy_name: str = "default", **fields: Any) -> Reason | None:
    found = asked.pass_through(wanted(name, policy_name, **fields))
    return None if found is None else found.reason


# budgets


def test_changes_that_run_and_those_that_pass_use_up_the_budget() -> None:
    """Those that wait do not until they pass; those of other policies never do."""
    half = policy().set("spec.disruption.budgets", [{"nodes": "50%"}])
    assert [reason(gate(half), name) for name in ("a", "b")] == [None, None]
    asked = gate(half)
    assert [reason(asked, name) for name in NODES] == [None, None, *[Reason.BudgetExhausted] * 2]
    running = change("d", [{}], [{}], phase="Verified")
    asked = gate(half, running)
    assert [reason(asked, name) for name in ("a", "b")] == [None, Reason.BudgetExhausted]
    others = [running.set("spec.policy", "other"), change("c", [{}], [{}]), ended("b", 1, "Done", NOON - 9)]
    asked = gate(half, *others)
    assert [reason(asked, name) for name in ("a", "b", "c")] == [None, None, Reason.BudgetExhausted]


def test_a_closed_budget_lets_nothing_pass() -> None:
    """Zero closes; the message tells both numbers."""
    found = gate(policy().set("spec.disruption.budgets", [{"nodes": "0"}])).pass_through(wanted())
    assert found is not None
    assert found.message == "policy default allows 0 nodes in a change; 0 are"


def test_a_budget_that_only_counts_at_times_is_asked_again_when_it_may_change() -> None:
    """At the end of its window; where nothing was refused nobody has to wake."""
    closed = {"nodes": "0", "schedule": "0 11 * * *", "duration": "2h"}
    rules = policy().set("spec.disruption.budgets", [{"nodes": "100%"}, closed])
    asked = gate(rules)
    assert (reason(asked), asked.wakes) == (Reason.BudgetExhausted, [NOON + 3600])
    later = gate(rules, now=NOON + 3600)
    assert (reason(later), later.wakes) == (None, [])


def test_a_budget_holds_back_only_the_causes_that_it_names() -> None:
    """And others use it up all the same."""
    rules = policy().set("spec.disruption.budgets", [{"nodes": "1", "reasons": ["Headroom"]}])
    asked = gate(rules)
    assert reason(asked) is None
    assert reason(asked, "b", cause=Cause.HEADROOM) is Reason.BudgetExhausted
    assert reason(asked, "b") is None


# suspension, and policies that went


def test_a_suspended_policy_starts_nothing() -> None:
    """Neither proposals nor starts; and without suspension both."""
    closed = gate(policy().set("spec.suspend", True))
    assert reason(closed) is Reason.Suspended
    assert closed.closed(wanted()) is not None
    assert gate().closed(wanted()) is None
    assert reason(gate()) is None


def test_a_paused_fleet_starts_nothing() -> None:
    """Neither proposals nor starts, whatever the policy says; the message is the human's."""
    asked = gate(limits=FleetLimits(paused="paused since noon by kim"))
    for held in (asked.pass_through(wanted()), asked.closed(wanted())):
        assert held is not None
        assert (held.reason, held.message) == (Reason.Paused, "paused since noon by kim")


def test_a_policy_that_is_gone_starts_nothing() -> None:
    """A change may outlive it."""
    assert reason(gate(), policy_name="gone") is Reason.NotGoverned


# the apply path


def test_a_broken_apply_path_holds_starts_and_no_proposals() -> None:
    """A human sees the recommendation, and once approved why it does not start."""
    asked = gate(policy().set("spec.layouts", {"configMap": {"name": "other"}}))
    assert reason(asked) is Reason.ApplyPathNotConfigured
    assert asked.closed(wanted()) is None


# pace


def test_only_so_many_changes_start_within_a_minute() -> None:
    """Those that started and those that pass count, whatever became of them; then the loop wakes."""
    started = [
        ended(name, 1, "Cancelled", NOON - 40).set("status.startedAt", rfc3339(NOON - at))
        for name, at in (("b", 59), ("c", 20), ("d", 60))
    ]
    limits = FleetLimits(starts_per_minute=4)
    asked = gate(*started, limits=limits)
    found = [reason(asked) for _ in range(3)]
    assert (found, asked.wakes) == ([None, None, Reason.RateLimited], [NOON + 1])
    assert reason(gate(*started, limits=FleetLimits(starts_per_minute=2))) is Reason.RateLimited
    assert reason(gate(*started, limits=FleetLimits(starts_per_minute=2), now=NOON + 1)) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=25), st.integers(1, 5))
def test_no_minute_has_more_starts_than_allowed(waits: list[int], most: int) -> None:
    """Whenever changes are asked for: the starts of the past decide, and every start is one of them."""
    starts: list[float] = []
    now = NOON
    for pause in waits:
        now += pause
        past = [
            ended("z", n, "Done", at).set("status.startedAt", rfc3339(at)) for n, at in enumerate(starts, 1)
        ]
        if reason(gate(*past, now=now, limits=FleetLimits(starts_per_minute=most))) is None:
            starts.append(now)
    for at in starts:
        assert sum(at <= other < at + 60 for other in starts) <= most


# rest


def until(*changes: Builder, cooldown: float = 600) -> float | None:
    """Until when node a rests, in seconds after noon."""
    rested = policy().set("spec.disruption.cooldownSeconds", cooldown)
    found = snapshot(rested, *changes)
    at = rest(found, "a", found.policies["default"].cooldown_seconds)
    return None if at is None else at - NOON


def test_a_node_rests_after_a_change_that_is_done() -> None:
    """For the policy's cooldown, from the end of its newest change on."""
    assert until() is None
    assert until(ended("b", 1, "Done", NOON)) is None
    assert until(ended("a", 1, "Done", NOON)) == 600
    assert until(ended("a", 1, "Done", NOON), cooldown=0) == 0
    assert until(ended("a", 9, "Done", NOON - 50), ended("a", 10, "Done", NOON)) == 600


def test_the_rest_is_over_when_its_time_is() -> None:
    """Not a moment before; the message tells when, and is the same all the while."""
    rested = policy().set("spec.disruption.cooldownSeconds", 600)
    done = ended("a", 1, "Done", NOON + 0.25)
    found = gate(rested, done, now=NOON + 600).pass_through(wanted())
    assert found is not None
    assert (found.reason, found.message) == (Reason.Cooldown, "node a rests until 2026-11-20T12:10:01Z")
    assert gate(rested, done, now=NOON + 1).pass_through(wanted()) == found
    assert reason(gate(rested, done, now=NOON + 600.25)) is None


@pytest.mark.parametrize(("before", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (4, 480)])
def test_a_node_rests_twice_as_long_after_each_further_failure(before: int, seconds: float) -> None:
    """A plan that keeps failing its validation causes ever fewer changes."""
    failures = [ended("a", n + 1, "Cancelled", NOON - 100 + n) for n in range(before)]
    assert until(*failures, ended("a", before + 1, "Cancelled", NOON)) == seconds


def test_what_is_no_failure_ends_the_row() -> None:
    """A change that was done, that failed otherwise, or that nobody needed any more."""
    for phase, why in (("Done", "Done"), ("Quarantined", "ApplyFailed"), ("Cancelled", "ServedElsewhere")):
        row = [ended("a", 1, "Cancelled", NOON - 9), ended("a", 2, phase, NOON - 5, why)]
        assert until(*row, ended("a", 3, "Cancelled", NOON)) == 30


@pytest.mark.parametrize(
    ("why", "seconds"), [("GpuBusy", 240), ("Superseded", 30), ("Expired", 30), ("ServedElsewhere", 30)]
)
def test_a_recommendation_that_must_not_be_made_is_a_failure(why: str, seconds: float) -> None:
    """One that is out of date, or that nobody approved or needed, is none."""
    row = [ended("a", n, "Cancelled", NOON - 4 + n, why).set("spec.approved", False) for n in range(1, 5)]
    assert until(*row) == seconds


def test_a_change_that_nobody_needed_any_more_is_followed_by_a_short_rest() -> None:
    """Whatever was before."""
    failures = [ended("a", n, "Cancelled", NOON - 10 + n) for n in (1, 2, 3)]
    assert until(*failures, ended("a", 4, "Cancelled", NOON, "ServedElsewhere")) == 30


def test_other_ends_and_live_changes_ask_for_no_rest() -> None:
    """A quarantined node is refused by the plan; a live change is itself in the way."""
    assert until(ended("a", 1, "Quarantined", NOON)) is None
    assert until(ended("a", 1, "RolledBack", NOON)) is None
    assert until(change("a", [{}], [{}], phase="Tainted")) is None
    assert until(ended("a", 1, "Done", NOON), change("a", [{}], [{}], number=2, phase="Tainted")) == 600


def test_an_end_without_its_step_asks_for_no_rest() -> None:
    """A status that somebody wrote by hand."""
    assert until(ended("a", 1, "Done", NOON).set("status.steps", [])) is None


def test_the_built_in_policy_holds_nothing_back() -> None:
    """A plan without any policy is carried out by nobody."""
    assert budgets.limit(BUILT_IN.budgets, 12, NOON, Cause.DEMAND) == 12
    found = snapshot(ended("a", 1, "Done", NOON))
    assert rest(found, "a", BUILT_IN.cooldown_seconds) == NOON
