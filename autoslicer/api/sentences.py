"""What is wrong with a document as sentences: each names the field and says what would be right."""

from __future__ import annotations

import json
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from autoslicer.api.values import EXPECTED

Location = tuple[int | str, ...]
"""where in a document something is: names of fields, keys of maps and indices of lists"""
KEY = "[key]"
"""ends the location of a map's key, as pydantic has it"""
_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a string (a number, true or false needs quotes)",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "invalid_key": "a mapping with strings as keys",
    "string_unicode": "text of whole characters",
}
_LONG = {
    "string_too_long": ("max_length", "at most", "character", "characters"),
    "string_too_short": ("min_length", "at least", "character", "characters"),
    "too_long": ("max_length", "at most", "entry", "entries"),
    "too_short": ("min_length", "at least", "entry", "entries"),
}
_LIMITS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
}


def sentence(problem: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, and what would be right, in a document that is to be a `model`."""
    location = problem["loc"]
    if location[-1:] == (KEY,):
        key = shown(location[-2])
        return f"{path(location[:-2])} has the key {key}, which must be {_expected(problem)}"
    where = path(location)
    match problem["type"]:
        case "missing":
            return f"{where} is required"
        case "extra_forbidden":
            return f"{where} is no field; {instead(model, location)}"
        case "rule":
            return f"{where}: {problem['msg']}" if where else str(problem["msg"])
        case "repeated":
            return f"{where} {problem['msg']}"
        case _:
            return f"{where or 'the document'} must be {_expected(problem)}, not {shown(problem['input'])}"


def _expected(problem: ErrorDetails) -> str:
    context, kind = problem.get("ctx", {}), problem["type"]
    match kind:
        case "string_pattern_mismatch":
            return EXPECTED[context["pattern"]]
        case "literal_error" | "enum":
            return str(context["expected"])
        case _ if kind in _LIMITS:
            name, text = _LIMITS[kind]
            return text.format(f"{context[name]:.15g}")
        case _ if kind in _LONG:
            name, limit, one, several = _LONG[kind]
            return f"{limit} {context[name]} {one if context[name] == 1 else several} long"
        case _:
            return _TYPES.get(kind, "something else")


def path(location: Location) -> str:
    """A location as people write it.

    >>> path(("spec", "budgets", 0, "nodes"))
    'spec.budgets[0].nodes'
    """
    found = ""
    for part in location:
        plain = isinstance(part, str) and part.isprintable()
        found += f".{part}" if plain else f"[{shown(part)}]"
    return found.removeprefix(".")


def instead(model: type[BaseModel], location: Location) -> str:
    """What to write where `location` ends in a name that is no field there."""
    known = fields(kind_at(model, location[:-1]))
    close = get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(known)}"


def kind_at(model: type[BaseModel], location: Location) -> Any:
    """The type of what is at a location of a document that is to be a `model`; None where nothing can be."""
    found: Any = model
    for part in location:
        found = _below(_plain(found), part)
    return _plain(found)


def fields(kind: Any) -> list[str]:
    """The names that the fields of a model have in documents; none of what is no model."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []


def _below(kind: Any, part: int | str) -> Any:
    """The type of a field of a model, an entry of a list or a value of a map."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found = (
            field.annotation for name, field in kind.model_fields.items() if part == (field.alias or name)
        )
        return next(found, None)
    arguments = get_args(kind)
    if get_origin(kind) is list and isinstance(part, int):
        return arguments[0]
    return arguments[1] if get_origin(kind) is dict else None


def _plain(kind: Any) -> Any:
    """The type without annotations and without `| None`."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        [kind] = [option for option in get_args(kind) if option is not NoneType]
        return _plain(kind)
    return kind


def shown(value: object) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, default=str, ensure_ascii=False, skipkeys=True)
    return text if len(text) <= 60 else f"{text[:57]}..."
