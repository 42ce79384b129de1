"""The base of every model of a custom resource, and the rules that span several of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """A check that spans fields, said twice: in CEL for the API server and in Python for files.

    Attributes:
        cel: the rule, evaluated with `self` bound to the object of the model that carries it.
        message: what would be right; it names the fields.
        holds: the same rule over an instance of the model.
        field: the field to blame, as a path below the model (".batchMaxSeconds"); empty: the object.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""

    def as_validation(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations` that makes the API server enforce the rule."""
        blamed = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.cel, "message": self.message, **blamed}


def immutable(name: str) -> dict[str, Any]:
    """Return what a required field's schema needs so that the API server refuses every change of it."""
    return {VALIDATIONS: [{"rule": "self == oldSelf", "message": f"{name} is immutable"}]}


class Model(BaseModel):
    """An object of a custom resource: camelCase outside, no unknown fields, no coercion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _take_null_as_absent(cls, data: Any) -> Any:
        """Drop the nulls that the API server drops before it fills in defaults."""
        if not isinstance(data, dict):
            return data
        optional = {field.alias for field in cls.model_fields.values() if not field.is_required()}
        return {key: value for key, value in data.items() if value is not None or key not in optional}

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise PydanticCustomError("rule", rule.message)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        if cls.rules:
            schema[VALIDATIONS] = [rule.as_validation() for rule in cls.rules]
        return schema
