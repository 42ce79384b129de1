"""Selectors, and which policy governs a node."""

from __future__ import annotations

import pytest

from autoslicer.core import reading
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import BUILT_IN, Policy, governing
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import Requirement
from autoslicer.core.selectors import matches, meets
from tests.build import node, policy

LABELS = {"zone": "a", "cpus": "16"}


@pytest.mark.parametrize(
    ("operator", "key", "values", "met"),
    [
        ("In", "zone", ("a", "b"), True),
        ("In", "zone", ("b",), False),
        ("In", "other", ("a",), False),
        ("NotIn", "zone", ("b",), True),
        ("NotIn", "zone", ("a",), False),
        ("NotIn", "other", ("a",), True),  # an absent label is not in any set
        ("Exists", "zone", (), True),
        ("Exists", "other", (), False),
        ("DoesNotExist", "zone", (), False),
        ("DoesNotExist", "other", (), True),
        ("Gt", "cpus", ("8",), True),
        ("Gt", "cpus", ("16",), False),
        ("Lt", "cpus", ("17",), True),
        ("Lt", "cpus", ("8",), False),
        ("Gt", "zone", ("8",), False),  # no number
        ("Gt", "other", ("8",), False),
    ],
)
def test_requirements(operator: str, key: str, values: tuple[str, ...], met: bool) -> None:
    """Every operator means what apimachinery takes it for."""
    assert meets(Requirement(key, operator, values), LABELS) is met


def test_all_requirements_must_be_met() -> None:
    """One that is not met is enough against it; none at all matches everything."""
    both = (Requirement("zone", "In", ("a",)), Requirement("cpus", "Exists", ()))
    assert matches(both, LABELS)
    assert not matches((*both, Requirement("zone", "In", ("b",))), LABELS)
    assert matches((), LABELS)


def policies(**selectors: dict[str, str]) -> dict[str, Policy]:
    """Policies by name, each with these labels as its selector."""
    return {name: reading.policy(policy(name, labels).raw) for name, labels in selectors.items()}


def test_the_most_specific_policy_governs() -> None:
    """More requirements win; a node that none matches is not governed."""
    row = reading.node(node("a").labels({"gpu": "yes", "team": "x"}).raw)
    held = policies(
        wide={"gpu": "yes"}, narrow={"gpu": "yes", "team": "x"}, other={"gpu": "yes", "team": "y"}
    )
    assert governing(held, row) == held["narrow"]
    assert governing(policies(other={"team": "y"}), row) is None


def test_equally_specific_policies_are_a_conflict() -> None:
    """A tie is said and never decided by a guess."""
    row = reading.node(node("a").labels({"gpu": "yes", "team": "x"}).raw)
    found = governing(policies(one={"gpu": "yes"}, two={"team": "x"}), row)
    assert isinstance(found, Verdict)
    assert found.reason is Reason.PolicyConflict
    assert "one and two" in found.message


def test_the_built_in_policy_governs_every_node_that_can_do_mig() -> None:
    """A node with GPUs that can, and no other."""
    held = {BUILT_IN.name: BUILT_IN}
    assert governing(held, reading.node(node("a").gpus(1).raw)) == BUILT_IN
    assert governing(held, reading.node(node("b").raw)) is None
