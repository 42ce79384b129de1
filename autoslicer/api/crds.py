"""The CustomResourceDefinitions, assembled from the models.

`python -m autoslicer.api.crds DIRECTORY` writes them to files.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from autoslicer.api.mignode import MigNode
from autoslicer.api.model import VALIDATIONS
from autoslicer.api.policy import MigAutoscalingPolicy
from autoslicer.api.reconfiguration import MigReconfiguration
from autoslicer.api.schema import Schema, structural_schema
from autoslicer.core.names import API_VERSION, GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; one that is not `always` there is shown by `-o wide`."""

    name: str
    path: str
    type: str = "string"
    always: bool = True

    def as_column(self) -> dict[str, Any]:
        """Return the entry of `additionalPrinterColumns`."""
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            **({} if self.always else {"priority": 1}),
        }


AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True, slots=True)
class Resource:
    """What a CRD says beside its model's schema."""

    model: type[BaseModel]
    plural: str
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    selectable: tuple[str, ...] = ()


RESOURCES = (
    Resource(
        MigAutoscalingPolicy,
        "migautoscalingpolicies",
        (
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Mode", ".spec.mode"),
            Column("Suspended", ".spec.suspend", "boolean", always=False),
            Column("Governed", ".status.nodes.governed", "integer"),
            Column("Reshaping", ".status.nodes.reshaping", "integer"),
            Column("Pending", ".status.pods.pending", "integer"),
            Column("Lacking", ".status.pods.lacking", "integer", always=False),
            Column("Servable", ".status.pods.servable", "integer"),
            Column("Plan", ".status.lastPlan.status", always=False),
            AGE,
        ),
        short_names=("migpolicy",),
    ),
    Resource(
        MigReconfiguration,
        "migreconfigurations",
        (
            Column("Node", ".spec.node.name"),
            Column("Phase", ".status.phase"),
            Column("From", ".spec.from", always=False),
            Column("To", ".spec.to"),
            Column("Policy", ".spec.policy"),
            Column("Approved", ".spec.approved", "boolean"),
            Column("Reserve", ".spec.reserve", "boolean", always=False),
            Column("Reason", '.status.conditions[?(@.type=="Succeeded")].reason', always=False),
            AGE,
        ),
        short_names=("migrc",),
        selectable=(".spec.node.name",),
    ),
    Resource(
        MigNode,
        "mignodes",
        (Column("Driver", ".status.driverVersion"), Column("Observed", ".status.observedAt", "date"), AGE),
    ),
)


def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions as objects, in the order of RESOURCES."""
    return [_crd(resource) for resource in RESOURCES]


def crds_yaml() -> str:
    """Return all CustomResourceDefinitions as one YAML stream, the same bytes each time."""
    return "---\n".join(crd_files().values())


def crd_files() -> dict[str, str]:
    """Return file name -> YAML, one file a CustomResourceDefinition, named as controller-gen names them."""
    return {f"{GROUP}_{resource.plural}.yaml": _yaml(_crd(resource)) for resource in RESOURCES}


def _crd(resource: Resource) -> dict[str, Any]:
    kind = resource.model.__name__
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.as_column() for column in resource.columns],
        **(
            {"selectableFields": [{"jsonPath": path} for path in resource.selectable]}
            if resource.selectable
            else {}
        ),
        "schema": {"openAPIV3Schema": _root_schema(resource.model)},
    }
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": resource.plural,
        "singular": kind.lower(),
        **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
        "categories": ["autoslicer"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "autoslicer"},
        },
        "spec": {"group": GROUP, "names": names, "scope": "Cluster", "versions": [version]},
    }


def _root_schema(model: type[BaseModel]) -> Schema:
    """Return the model's schema as the root of a CRD; type and object meta are the API server's."""
    schema = structural_schema(model)
    properties = {
        "apiVersion": {"description": f"{API_VERSION}.", "type": "string"},
        "kind": {"description": f"{model.__name__}.", "type": "string"},
        "metadata": {"type": "object"},
        **{name: child for name, child in schema["properties"].items() if name in ("spec", "status")},
    }
    return {
        "description": schema["description"],
        "type": "object",
        **({"required": ["spec"]} if "spec" in properties else {}),
        "properties": properties,
        **({VALIDATIONS: schema[VALIDATIONS]} if VALIDATIONS in schema else {}),
    }


class _PlainDumper(yaml.SafeDumper):
    """Writes equal parts out in full: an anchor is correct YAML, but nobody reads a CRD with anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)


def write(directory: Path) -> None:
    """Write each CustomResourceDefinition to its file in `directory`."""
    for name, text in crd_files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
