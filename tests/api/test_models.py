"""The models, which must refuse what the API server refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from autoslicer.api.crds import RESOURCES
from tests.api.constraints import Constraint, constraints
from tests.api.examples import document, example
from tests.api.objects import FULL

MODELS = {resource.model.__name__: resource.model for resource in RESOURCES}
# Left to the API server: times, which the models carry as text, and lists whose items have a key.
ALL = [
    constraint
    for kind in FULL
    for constraint in constraints(kind)
    if constraint.keyword not in ("transition", "format")
    and not (constraint.keyword == "distinct" and constraint.value)
]


@pytest.mark.parametrize("constraint", ALL, ids=str)
def test_a_model_refuses_the_bad_object_of_every_rule(constraint: Constraint) -> None:
    """A document that breaks a rule is no instance of the model; its twin that keeps the rule is one."""
    model, tried = MODELS[constraint.kind], example(constraint)
    with pytest.raises(ValidationError):
        model.model_validate(document(constraint, tried.bad))
    model.model_validate(document(constraint, tried.good))
