"""The schemas as documents: what a structural schema must be, and what this one promises beyond that."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic import BaseModel, Field

from autoslicer.api.schema import structural_schema
from tests.api.constraints import nodes, schema_of
from tests.api.objects import FULL

KINDS = pytest.mark.parametrize("kind", FULL)


def filled(schema: dict[str, Any], value: Any) -> Any:
    """Return the value with the schema's defaults filled in as the API server does it, level by level."""
    value = deepcopy(value)
    if schema["type"] == "array":
        return [filled(schema["items"], item) for item in value]
    if "properties" not in schema:
        return value
    for name, child in schema["properties"].items():
        if name not in value and "default" in child:
            value[name] = child["default"]
        if name in value:
            value[name] = filled(child, value[name])
    return value


@KINDS
def test_a_schema_is_structural(kind: str) -> None:
    """Every node has one type and nothing that the API server forbids in a CustomResourceDefinition."""
    forbidden = {
        "$ref",
        "$defs",
        "anyOf",
        "oneOf",
        "allOf",
        "const",
        "title",
        "uniqueItems",
        "patternProperties",
    }
    for path, node in nodes(schema_of(kind)):
        assert isinstance(node["type"], str), path
        assert not forbidden & set(node), path
        assert node.get("additionalProperties") is not False, path
        assert node.get("default", "absent") is not None, path


@KINDS
def test_every_field_is_described(kind: str) -> None:
    """`kubectl explain` has a sentence for every field."""
    for path, node in nodes(schema_of(kind)):
        if path and path[-1] not in ("[]", "{}"):
            assert node.get("description", "").endswith("."), path


@KINDS
def test_what_rules_look_at_is_bounded(kind: str) -> None:
    """Every string, list and map of a spec has a largest size, so that the cost of the rules has one, too."""
    bounds = {
        "string": ("maxLength", "enum", "format"),
        "array": ("maxItems",),
        "object": ("maxProperties", "properties"),
    }
    for path, node in nodes(schema_of(kind)):
        if path[:1] == ("spec",) and node["type"] in bounds:
            assert any(bound in node for bound in bounds[node["type"]]), path


@KINDS
def test_a_parents_default_is_what_its_fields_default_to(kind: str) -> None:
    """A field left out altogether means the same as the field given empty, at every depth."""
    for path, node in nodes(schema_of(kind)):
        if node["type"] == "object" and "properties" in node and "default" in node:
            assert node["default"] == filled(node, {}), path


def test_optional_fields_are_absent_and_required_ones_may_be_null() -> None:
    """A field that may be left out is never null, and one that may be null is never left out."""

    class Example(BaseModel):
        nullable: int | None = Field(description="x")
        absent: int | None = None

    schema = structural_schema(Example)
    assert schema["required"] == ["nullable"]
    assert schema["properties"]["nullable"] == {"type": "integer", "nullable": True, "description": "x"}
    assert schema["properties"]["absent"] == {"type": "integer"}


def test_a_model_that_no_structural_schema_can_say_is_refused() -> None:
    """A union of types and a keyword without translation are errors that name the place in the model."""

    class Union(BaseModel):
        either: int | str

    class Keyword(BaseModel):
        even: int = Field(multiple_of=2)

    with pytest.raises(TypeError, match=r"Union\.either .* one of several types"):
        structural_schema(Union)
    with pytest.raises(TypeError, match=r"Keyword\.even .* multipleOf"):
        structural_schema(Keyword)
