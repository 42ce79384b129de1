"""Selectors over labels, as the core reads them."""

from __future__ import annotations

from autoslicer.core.fields import Fields
from autoslicer.core.rows import Requirement

_LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_NODE_OPERATORS = (*_LABEL_OPERATORS, "Gt", "Lt")


def label_selector(selector: Fields) -> tuple[Requirement, ...]:
    """The requirements of a LabelSelector, matchLabels first, each written as In with one value.

    Raises:
        ValueError: an operator is unknown or has the wrong number of values.
    """
    labels = (Requirement(key, "In", (value,)) for key, value in selector.pairs("matchLabels").items())
    return (*labels, *(_requirement(e, _LABEL_OPERATORS) for e in selector.each("matchExpressions")))


def node_terms(affinity: Fields, required: str) -> tuple[tuple[Requirement, ...], ...] | None:
    """The terms of a required node affinity; None where there is none.

    Raises:
        ValueError: an operator is unknown or has the wrong number of values.
    """
    if not affinity.has(required):
        return None
    return tuple(
        (
            *(_requirement(e, _NODE_OPERATORS) for e in term.each("matchExpressions")),
            *(_requirement(e, _LABEL_OPERATORS[:2], field=True) for e in term.each("matchFields")),
        )
        for term in affinity.fields(required).each("nodeSelectorTerms")
    )


def _requirement(expression: Fields, operators: tuple[str, ...], *, field: bool = False) -> Requirement:
    key, operator = expression.required("key"), expression.required("operator")
    values = expression.texts("values")
    if operator not in operators:
        allowed = ", ".join(operators)
        raise ValueError(f"{expression.what}: {expression.at('operator')} must be one of {allowed}")
    least, most = {"In": (1, None), "NotIn": (1, None), "Gt": (1, 1), "Lt": (1, 1)}.get(operator, (0, 0))
    if len(values) < least or (most is not None and len(values) > most):
        raise ValueError(f"{expression.what}: {expression.at('values')} does not go with {operator}")
    return Requirement(key, operator, values, field)
