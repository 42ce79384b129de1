"""Conditions in the shape of KEP-1623."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from autoslicer.api.model import Model
from autoslicer.api.values import CONDITION_REASON, CONDITION_TYPE, Count, Text, Timestamp, keyed_by


class Condition(Model):
    """One observation about an object, as metav1.Condition has it."""

    type: Annotated[str, Field(pattern=CONDITION_TYPE, max_length=316)] = Field(
        description="What is observed; one entry a type."
    )
    status: Literal["True", "False", "Unknown"] = Field(
        description="Whether it is so: True, False or Unknown."
    )
    observed_generation: Count | None = Field(
        None, description="metadata.generation of the object that this condition was computed from."
    )
    last_transition_time: Timestamp = Field(
        description="When status last changed; it does not move with the message."
    )
    reason: Annotated[str, Field(pattern=CONDITION_REASON, min_length=1, max_length=1024)] = Field(
        description="Why, in one CamelCase word for programs."
    )
    message: Text = Field(description="Why, in a sentence for people.")


Conditions = Annotated[list[Condition], Field(max_length=16, json_schema_extra=keyed_by("type"))]
