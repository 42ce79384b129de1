"""A change that may not start yet: it is held, approved, or planned anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core import names, progress
from autoslicer.core.actions import WakeAt
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ChangeStatus
from tests.build import NOON
from tests.core.stages import LABELLED, NODE, UNLABELLED, ending, ready, stage, succeeded

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


def test_a_hold_is_told_and_nothing_else() -> None:
    """The condition names the hold; without it the change goes on."""
    status, actions = replace(stage(Phase.WAITING), hold=HELD).look()
    assert (status.phase, status.steps, actions) == ("Waiting", (), ())
    found = succeeded(status)
    assert (found.status, found.reason, found.message) == ("Unknown", "BudgetExhausted", HELD.message)
    assert stage(Phase.WAITING).look()[0].phase == "Validated"


def test_a_hold_that_stays_writes_nothing_anew() -> None:
    """The same hold later is the same status; another hold keeps the transition time."""
    held = replace(stage(Phase.WAITING), hold=HELD)
    first, _ = held.look()
    waiting = replace(held.change, status=first)
    again, _ = progress.advance(waiting, held.observation, NOON + 50, held.timing)
    assert again == first
    other = replace(held, hold=Verdict(NODE, Reason.Suspended, "suspended"))
    status, _ = progress.advance(waiting, other.observation, NOON + 50, held.timing)
    assert (succeeded(status).reason, succeeded(status).since) == ("Suspended", NOON)


@pytest.mark.parametrize(
    ("why", "ends"),
    [
        (Reason.ApplyPathMissing, True),
        (Reason.ApplyPathNotConfigured, True),
        (Reason.ConfigMapIncomplete, True),
        (Reason.BudgetExhausted, False),
    ],
)
def test_pods_are_not_promised_for_ever_to_a_node_that_no_config_reaches(why: Reason, ends: bool) -> None:
    """A change that waits for its apply path as long as mig-manager is given ends; others have no end."""
    held = replace(stage(Phase.WAITING), hold=Verdict(NODE, why, "held"))
    allowed = held.change.recovery.pending_deadline
    first, actions = held.look()
    assert (first.phase, actions) == ("Waiting", (WakeAt(NOON + allowed),) if ends else ())

    def later(status: ChangeStatus, at: float, hold: Verdict | None = held.hold) -> ChangeStatus:
        waiting = replace(held.change, status=status)
        return progress.advance(waiting, replace(held.observation, hold=hold), at, held.timing)[0]

    assert later(first, NOON + allowed - 1) == first
    over = later(first, NOON + allowed)
    assert ending(over) == (("Cancelled", "False", why) if ends else ("Waiting", "Unknown", why))
    # what was mended for a while starts the time anew
    between = later(first, NOON + 9, Verdict(NODE, Reason.Suspended, "suspended"))
    assert later(between, NOON + allowed).phase == "Waiting"


@pytest.mark.parametrize("phase", [*UNLABELLED, *LABELLED])
def test_a_hold_holds_no_change_that_has_started(phase: Phase) -> None:
    """Suspending a policy, or closing its budget, lets what runs be finished."""
    suspended = replace(ready(phase), hold=HELD).vary(
        "policy", lambda policy: policy.set("spec.suspend", True)
    )
    assert suspended.look() == ready(phase).look()


def test_a_recommendation_is_planned_anew_in_mode_auto() -> None:
    """What no human has approved is never carried out: it makes room for a change that needs no approval."""
    unapproved = replace(stage(Phase.WAITING), hold=HELD).vary(
        "change", lambda change: change.set("spec.approved", False)
    )
    assert ending(unapproved.look()[0]) == ("Cancelled", "False", "Superseded")
    recommended = unapproved.vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    assert recommended.look()[0].phase == "Waiting"
    forgotten = replace(recommended, hold=None).look()[0]
    assert ending(forgotten) == ("Waiting", "Unknown", "AwaitingApproval")
    approved = stage(Phase.WAITING).vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    assert approved.look()[0].phase == "Validated"


def test_a_change_that_the_policy_approved_is_planned_anew_in_mode_recommend() -> None:
    """Once a human is asked for approval, none but a human's counts; and under mode Auto it goes on."""
    by_policy = stage(Phase.WAITING).vary(
        "change", lambda change: change.put("metadata.annotations", {names.APPROVED_BY: names.BY_POLICY})
    )
    assert by_policy.look()[0].phase == "Validated"
    asked = by_policy.vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    assert ending(asked.look()[0]) == ("Cancelled", "False", "Superseded")


@pytest.mark.parametrize("reason", [Reason.Superseded, Reason.Expired])
def test_a_recommendation_ends_when_the_cycle_says_so(reason: Reason) -> None:
    """One that was approved since then is left to the next cycle."""
    recommended = stage(Phase.WAITING).vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    over = replace(recommended, hold=Verdict(NODE, reason, "a newer plan"))
    unapproved = over.vary("change", lambda change: change.set("spec.approved", False))
    assert ending(unapproved.look()[0]) == ("Cancelled", "False", reason)
    assert over.look() == (over.change.status, ())


def test_who_approved_a_change_is_told() -> None:
    """In its first step, with nothing that steers a terminal."""
    approved = stage(Phase.WAITING).vary(
        "change", lambda change: change.put("metadata.annotations", {names.APPROVED_BY: "kim\n@example.com"})
    )
    assert approved.look()[0].steps[-1].message == "the plan still holds; approved by kim\ufffd@example.com"
    assert stage(Phase.WAITING).look()[0].steps[-1].message == "the plan still holds"
