"""Every constraint of every schema, tried on the real API server."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.api.constraints import Constraint, constraints, field_named, with_value
from tests.api.examples import document, example
from tests.api.objects import FULL
from tests.api.server import CustomResources, Refusal, refusal

ALL = [constraint for kind in FULL for constraint in constraints(kind)]
OF_SPECS = [c for c in ALL if c.path[:1] != ("status",) and c.keyword != "transition"]
OF_STATUS = [c for c in ALL if c.path[:1] == ("status",)]
TRANSITIONS = [c for c in ALL if c.keyword == "transition"]

Stored = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def stored(resources: CustomResources) -> Iterator[Stored]:
    """Keep an object of each kind in the cluster, the change approved, while the tests of this module run."""
    objects = deepcopy(FULL)
    objects["MigAutoscalingPolicy"]["metadata"]["name"] = "stored"
    objects["MigReconfiguration"]["spec"]["approved"] = True
    yield {kind: resources.create(whole, store=True) for kind, whole in objects.items()}
    resources.clear()


def assert_refused(constraint: Constraint, answer: Refusal | None) -> None:
    assert answer is not None, "the bad object was accepted"
    assert answer.status == 422
    expected = example(constraint)
    field = (field_named(constraint.kind, constraint.path) + expected.field).removeprefix(".")
    assert any(cause.startswith(field) and expected.says in cause for cause in answer.causes), answer.causes


@pytest.mark.parametrize("constraint", OF_SPECS, ids=str)
def test_a_rule_of_a_spec_refuses_its_bad_object(resources: CustomResources, constraint: Constraint) -> None:
    """A create that breaks the rule is refused and the field named; its twin that keeps it is accepted."""
    tried = example(constraint)
    answer = refusal(lambda: resources.create(document(constraint, tried.bad)))
    assert_refused(constraint, answer)
    resources.create(document(constraint, tried.good))


@pytest.mark.parametrize("constraint", OF_STATUS, ids=str)
def test_a_rule_of_a_status_refuses_its_bad_object(
    resources: CustomResources, stored: Stored, constraint: Constraint
) -> None:
    """A status that breaks the rule is refused and the field named; its twin that keeps it is accepted."""
    kind, tried = constraint.kind, example(constraint)
    whole = {**stored[kind], "status": FULL[kind]["status"]}
    answer = refusal(lambda: resources.replace_status(with_value(whole, constraint.path, tried.bad)))
    assert_refused(constraint, answer)
    resources.replace_status(with_value(whole, constraint.path, tried.good))


@pytest.mark.parametrize("constraint", TRANSITIONS, ids=str)
def test_what_a_change_says_stays(resources: CustomResources, stored: Stored, constraint: Constraint) -> None:
    """No field of a stored MigReconfiguration's spec can be changed, and an approval cannot be taken back."""
    before = stored[constraint.kind]
    answer = refusal(lambda: resources.replace(with_value(before, constraint.path, example(constraint).bad)))
    assert_refused(constraint, answer)
    resources.replace(before)


@pytest.mark.usefixtures("stored")
def test_a_change_can_be_approved_later(resources: CustomResources) -> None:
    """A MigReconfiguration is not approved unless it says so, and takes its approval later."""
    waiting = deepcopy(FULL["MigReconfiguration"])
    del waiting["spec"]["approved"]
    waiting["metadata"]["name"], waiting["spec"]["node"]["name"] = "waiting-1", "waiting"
    created = resources.create(waiting, store=True)
    assert created["spec"]["approved"] is False
    approved = resources.replace(with_value(created, ("spec", "approved"), True), store=True)
    assert approved["spec"]["approved"] is True
