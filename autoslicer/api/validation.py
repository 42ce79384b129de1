"""Reading a policy that no API server has seen: every problem becomes a sentence that says what is right."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from autoslicer.api.policy import MigAutoscalingPolicy
from autoslicer.api.schema import structural_schema
from autoslicer.api.values import EXPECTED

KIND = "MigAutoscalingPolicy"


def validate_policy(raw: object) -> MigAutoscalingPolicy:
    """Return the policy that `raw`, a parsed YAML or JSON document, holds, with its defaults filled in.

    It accepts what the API server accepts under strict field validation, where a null counts as absent, too;
    only a label whose value is null is refused. The status is the controller's and not looked at.

    Raises:
        ValueError: `raw` is no valid policy; each line names the object, the field and what would be right.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"a {KIND} must be a mapping, not {_shown(raw)}")
    try:
        return MigAutoscalingPolicy.model_validate({key: raw[key] for key in raw if key != "status"})
    except ValidationError as error:
        problems = error.errors(include_url=False)
    raise ValueError("\n".join(f"{_called(raw)}: {_sentence(problem)}" for problem in problems))


def _called(raw: dict[str, Any]) -> str:
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{KIND} {name}" if isinstance(name, str) and name else KIND


def _sentence(problem: ErrorDetails) -> str:
    location = problem["loc"]
    if location[-1:] == ("[key]",):
        return (
            f"{_path(location[:-2])} has the key {_shown(location[-2])}, which must be {_expected(problem)}"
        )
    path = _path(location)
    match problem["type"]:
        case "missing":
            return f"{path} is required"
        case "extra_forbidden":
            return f"{path} is no field; {_fields_instead(location)}"
        case "rule":
            return f"{path}: {problem['msg']}" if path else str(problem["msg"])
        case "repeated":
            return f"{path} {problem['msg']}"
        case _:
            return f"{path} must be {_expected(problem)}, not {_shown(problem['input'])}"


def _expected(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "string_pattern_mismatch":
            return EXPECTED[context["pattern"]]
        case "literal_error" | "enum":
            return str(context["expected"])
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "less_than_equal":
            return f"at most {context['le']}"
        case "string_too_long":
            return f"at most {context['max_length']} characters long"
        case "too_long":
            return f"at most {context['max_length']} entries long"
        case "too_short":
            return f"at least {context['min_length']} entries long"
        case kind:
            return _TYPES.get(kind, "something else")


_TYPES = {
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string (a number, true or false needs quotes)",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "invalid_key": "a mapping with strings as keys",
}


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        plain = isinstance(part, str) and part.isprintable()
        path += f".{part}" if plain else f"[{_shown(part)}]"
    return path.removeprefix(".")


def _fields_instead(location: tuple[int | str, ...]) -> str:
    schema = structural_schema(MigAutoscalingPolicy)
    for part in location[:-1]:
        schema = schema["items"] if isinstance(part, int) else schema["properties"][part]
    known = list(schema["properties"])
    close = get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(known)}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False, skipkeys=True)
    return text if len(text) <= 60 else f"{text[:57]}..."
