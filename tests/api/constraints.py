"""Everything that the schemas demand, one constraint at a time, and where each applies in a full object."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from autoslicer.api.crds import crds
from tests.api.objects import FULL

Path = tuple[str, ...]
"""Where in a schema: names of properties, "[]" for the items of a list, "{}" for the values of a map."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One keyword of one node of a kind's schema."""

    kind: str
    path: Path
    keyword: str
    value: Any

    def __str__(self) -> str:
        what = f": {self.value['message']}" if isinstance(self.value, dict) else f" {self.keyword}"
        missing = f" {self.value}" if self.keyword == "required" else ""
        return f"{'.'.join((self.kind, *self.path))}{what}{missing}"


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """Return the schema of the kind's one version."""
    [crd] = [crd for crd in crds() if crd["spec"]["names"]["kind"] == kind]
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every node of a schema with its path, but for those that belong to the API server."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        if path or name in ("spec", "status"):
            yield from nodes(child, (*path, name))
    if "items" in schema:
        yield from nodes(schema["items"], (*path, "[]"))
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], (*path, "{}"))


MECHANICAL = (
    "enum", "pattern", "format", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
)  # fmt: skip


def constraints(kind: str) -> Iterator[Constraint]:
    """Yield everything that the kind's schema demands beside types."""
    for path, node in nodes(schema_of(kind)):
        for keyword in MECHANICAL:
            if keyword in node:
                yield Constraint(kind, path, keyword, node[keyword])
        for name in node.get("required", ()):
            yield Constraint(kind, path, "required", name)
        for rule in node.get("x-kubernetes-validations", ()):
            yield Constraint(kind, path, "transition" if "oldSelf" in rule["rule"] else "cel", rule)
        if node.get("x-kubernetes-list-type") in ("set", "map"):
            yield Constraint(kind, path, "distinct", node.get("x-kubernetes-list-map-keys"))


def node_at(constraint: Constraint) -> dict[str, Any]:
    """Return the node of the schema that carries the constraint."""
    return dict(nodes(schema_of(constraint.kind)))[constraint.path]


def value_at(document: Any, path: Path) -> Any:
    """Return the part of a full object that a schema's path leads to, through the first of several items."""
    for step in path:
        document = document[_key(document, step)]
    return document


def with_value(document: Any, path: Path, value: Any) -> Any:
    """Return a copy of a full object with another value at the path."""
    if not path:
        return deepcopy(value)
    copy = deepcopy(document)
    holder = value_at(copy, path[:-1])
    holder[_key(holder, path[-1])] = deepcopy(value)
    return copy


def field_named(kind: str, path: Path) -> str:
    """Return how the API server spells the path of the full object's field in its refusals."""
    spelled, document = "", FULL[kind]
    for step in path:
        key = _key(document, step)
        spelled += f"[{key}]" if step == "[]" else f".{key}"
        document = document[key]
    return spelled.removeprefix(".")


def _key(document: Any, step: str) -> Any:
    if step == "{}":
        return next(iter(document))
    return 0 if step == "[]" else step
