"""Conditions in the shape of KEP-1623, and the one way in which they change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from autoslicer.api.model import Model
from autoslicer.api.values import CONDITION_REASON, CONDITION_TYPE, Count, Timestamp, keyed_by

Status = Literal["True", "False", "Unknown"]


class Condition(Model):
    """One observation about an object, as metav1.Condition has it."""

    type: Annotated[
        str, Field(pattern=CONDITION_TYPE, max_length=316, description="What is observed; one entry a type.")
    ]
    status: Status = Field(description="Whether it is so: True, False or Unknown.")
    observed_generation: Annotated[
        Count, Field(description="metadata.generation of the object that this condition was computed from.")
    ]
    last_transition_time: Timestamp = Field(
        description="When status last changed; it does not move with the message."
    )
    reason: Annotated[
        str,
        Field(
            pattern=CONDITION_REASON,
            min_length=1,
            max_length=1024,
            description="Why, in one CamelCase word for programs.",
        ),
    ]
    message: Annotated[str, Field(max_length=32768, description="Why, in a sentence for people.")]


Conditions = Annotated[list[Condition], Field(max_length=8, json_schema_extra=keyed_by("type"))]


def timestamp(moment: datetime) -> str:
    """Return `moment`, which knows its time zone, as metav1.Time is written: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def set_condition(
    conditions: Iterable[Mapping[str, Any]],
    *,
    type: str,
    status: Status,
    reason: str,
    message: str,
    observed_generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return `conditions` with the one of `type` as given, in its old place or at the end.

    lastTransitionTime becomes `now` only where the status differs from what it was.
    """
    kept = [dict(condition) for condition in conditions]
    place = next((i for i, condition in enumerate(kept) if condition["type"] == type), len(kept))
    before = kept[place] if place < len(kept) else None
    unchanged = before is not None and before["status"] == status
    since = before["lastTransitionTime"] if before is not None and unchanged else timestamp(now)
    kept[place : place + 1] = [
        {
            "type": type,
            "status": status,
            "observedGeneration": observed_generation,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
    ]
    return kept
