"""Reading a policy that no API server has seen: every problem becomes a sentence that says what is right."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from autoslicer.api.policy import MigAutoscalingPolicy
from autoslicer.api.sentences import sentence, shown

KIND = "MigAutoscalingPolicy"


def validate_policy(raw: object) -> MigAutoscalingPolicy:
    """Return the policy that `raw`, a parsed YAML or JSON document, holds, with its defaults filled in.

    It accepts what the API server accepts under strict field validation, where a null counts as absent, too;
    only a label whose value is null is refused. The status is the controller's and not looked at.

    Raises:
        ValueError: `raw` is no valid policy; each line names the object, the field and what would be right.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"a {KIND} must be a mapping, not {shown(raw)}")
    try:
        return MigAutoscalingPolicy.model_validate({key: raw[key] for key in raw if key != "status"})
    except ValidationError as error:
        problems = error.errors(include_url=False)
    raise ValueError(
        "\n".join(f"{_called(raw)}: {sentence(problem, MigAutoscalingPolicy)}" for problem in problems)
    )


def _called(raw: dict[str, Any]) -> str:
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{KIND} {name}" if isinstance(name, str) and name else KIND
