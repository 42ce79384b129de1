"""Talking to a real API server about custom resources, and reading its refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubernetes.client import CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from autoslicer.api.crds import GROUP, RESOURCES, VERSION

Kubectl = Callable[..., str]
"""Runs kubectl with the arguments, and `stdin` where given, and returns what it prints."""

PLURALS = {resource.model.__name__: resource.plural for resource in RESOURCES}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the API server refused a call: the HTTP status, and each cause as "field: message"."""

    status: int
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CustomResources:
    """Writes custom resources under strict field validation; nothing is stored unless asked for."""

    api: CustomObjectsApi

    def create(self, document: dict[str, Any], *, store: bool = False) -> dict[str, Any]:
        """Create the object and return it as the API server has it."""
        return self._write(self.api.create_cluster_custom_object, document, store=store)

    def replace(self, document: dict[str, Any], *, store: bool = False) -> dict[str, Any]:
        """Replace all of the object but its status."""
        return self._write(
            self.api.replace_cluster_custom_object, document, document["metadata"]["name"], store=store
        )

    def replace_status(self, document: dict[str, Any], *, store: bool = False) -> dict[str, Any]:
        """Replace the object's status and nothing else."""
        return self._write(
            self.api.replace_cluster_custom_object_status, document, document["metadata"]["name"], store=store
        )

    def clear(self) -> None:
        """Delete every object of every kind."""
        for plural in PLURALS.values():
            self.api.delete_collection_cluster_custom_object(GROUP, VERSION, plural)

    def _write(
        self, call: Callable[..., Any], document: dict[str, Any], *name: str, store: bool
    ) -> dict[str, Any]:
        dry_run = {} if store else {"dry_run": "All"}
        plural = PLURALS[document["kind"]]
        answer: dict[str, Any] = call(
            GROUP, VERSION, plural, *name, document, field_validation="Strict", **dry_run
        )
        return answer


def refusal(call: Callable[[], object]) -> Refusal | None:
    """Return why the API server refused the call, or None where it did not."""
    try:
        call()
    except ApiException as error:
        details = json.loads(error.body).get("details", {})
        causes = (f"{cause.get('field', '')}: {cause['message']}" for cause in details.get("causes", ()))
        return Refusal(error.status, tuple(causes))
    return None
