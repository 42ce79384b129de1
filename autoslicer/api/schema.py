"""From a pydantic model to a structural schema, the only kind that a CustomResourceDefinition may carry."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from autoslicer.api.model import VALIDATIONS
from autoslicer.api.values import EXPECTED

Schema = dict[str, Any]

_KEPT = (
    "description", "type", "format", "enum", "default", "nullable", "pattern", "minLength", "maxLength",
    "minimum", "maximum", "minItems", "maxItems", "maxProperties",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
)  # fmt: skip
_TRANSLATED = (
    "$defs", "title", "const", "items", "properties", "required", "patternProperties", "propertyNames",
    "additionalProperties", VALIDATIONS,
)  # fmt: skip


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of `model`, complete in itself.

    Every node has a type, nothing refers elsewhere, an optional field is absent rather than null, and a
    required one that may be null is nullable. A field that holds a model has the whole model as its default:
    the API server checks a default against the rules that look at it before it fills in the defaults below.

    Raises:
        TypeError: the model uses something that a structural schema cannot say.
    """
    raw = model.model_json_schema(by_alias=True)
    return _node(raw, raw.get("$defs", {}), model.__name__)


def _node(raw: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    raw = _resolved(raw, definitions, path)
    unknown = sorted(set(raw) - {*_KEPT, *_TRANSLATED})
    if unknown or "type" not in raw:
        raise TypeError(
            f"{path} cannot be said in a structural schema: {', '.join(unknown) or 'it has no one type'}"
        )
    schema = {key: _said(raw[key]) for key in _KEPT if raw.get(key) is not None}
    if "const" in raw:
        schema["enum"] = [raw["const"]]
    if "items" in raw:
        schema["items"] = _node(raw["items"], definitions, f"{path}[]")
    rules = list(raw.get(VALIDATIONS, ()))
    if "patternProperties" in raw:
        schema["additionalProperties"], key_rule = _map_values(raw, definitions, path)
        rules.append(key_rule)
    if "properties" in raw:
        schema.update(_object(raw, definitions, path))
    if rules:
        schema[VALIDATIONS] = [
            {key: rule[key] for key in ("rule", "message", "fieldPath") if key in rule} for rule in rules
        ]
    return schema


def _said(value: Any) -> Any:
    """Return a default without its nulls: what is null in a model is absent from an object."""
    if isinstance(value, dict):
        return {key: _said(child) for key, child in value.items() if child is not None}
    return [_said(child) for child in value] if isinstance(value, list) else value


def _resolved(raw: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    """Return `raw` with its reference followed and `T | None` taken apart; what the field says wins."""
    near = {key: value for key, value in raw.items() if key not in ("$ref", "anyOf")}
    if "$ref" in raw:
        far = definitions[raw["$ref"].removeprefix("#/$defs/")]
    elif "anyOf" in raw:
        others = [option for option in raw["anyOf"] if option != {"type": "null"}]
        if len(others) != 1:
            raise TypeError(f"{path} cannot be said in a structural schema: it is one of several types")
        far = _resolved(others[0], definitions, path)
        if "default" not in raw:
            near["nullable"] = True
    else:
        return raw
    rules = [*far.get(VALIDATIONS, ()), *near.get(VALIDATIONS, ())]
    return {**far, **near, **({VALIDATIONS: rules} if rules else {})}


def _map_values(raw: Schema, definitions: dict[str, Schema], path: str) -> tuple[Schema, dict[str, str]]:
    """Return the schema of a map's values, and the rule that takes the place of its keys' pattern."""
    [(pattern, values)] = raw["patternProperties"].items()
    rule = {
        "rule": f"self.all(key, key.matches(r'{pattern}'))",
        "message": f"every key must be {EXPECTED[pattern]}",
    }
    return _node(values, definitions, f"{path}{{}}"), rule


def _object(raw: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    properties = {
        name: _node(child, definitions, f"{path}.{name}") for name, child in raw["properties"].items()
    }
    required = raw.get("required", [])
    return {**({"required": required} if required else {}), "properties": properties}
