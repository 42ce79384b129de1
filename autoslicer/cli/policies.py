"""Policies from a file that no API server has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from autoslicer.cli import documents
from autoslicer.cli.failures import BadInputError

if TYPE_CHECKING:
    from autoslicer.core.policy import Policy


def from_file(source: str) -> Mapping[str, Policy]:
    """The policies in a file (one MigAutoscalingPolicy, or a List of them), by name.

    Raises:
        BadInputError: a sentence a line for each thing that the API server would refuse.
    """
    from autoslicer.api.validation import validate_policy
    from autoslicer.core.reading import policy

    found: dict[str, Policy] = {}
    for raw in _objects(documents.read(source)):
        try:
            validate_policy(raw)
            row = policy(raw)
        except ValueError as error:
            sentences = (f"{documents.called(source)}: {line}" for line in str(error).splitlines())
            raise BadInputError("\n".join(sentences)) from None
        if row.name in found:
            raise BadInputError(f"{documents.called(source)}: MigAutoscalingPolicy {row.name} is there twice")
        found[row.name] = row
    return found


def _objects(document: object) -> Iterable[object]:
    if isinstance(document, dict) and str(document.get("kind")).endswith("List"):
        items = document.get("items")
        return items if isinstance(items, list) else [items]
    return [document]
