"""`autoslicer snapshot`: everything that a plan depends on, as one List."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from autoslicer.cli import output
from autoslicer.cli.live import ContextOption, KubeconfigOption, RefusedError, Session, session
from autoslicer.cli.output import DataFormat, say
from autoslicer.core.names import API_VERSION

MIG_PARTED_KEY = "config.yaml"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that a snapshot may hold; `planned` where a plan reads it today."""

    api_version: str
    kind: str
    plural: str
    planned: bool = True
    required: bool = False

    @property
    def path(self) -> str:
        """Where the API server lists it."""
        return f"/{'apis' if '/' in self.api_version else 'api'}/{self.api_version}/{self.plural}"


KINDS = (
    Kind("v1", "Node", "nodes", required=True),
    Kind("v1", "Pod", "pods", required=True),
    Kind("v1", "ConfigMap", "configmaps"),
    Kind("v1", "PersistentVolume", "persistentvolumes", planned=False),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", planned=False),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", planned=False),
    Kind("resource.k8s.io/v1", "ResourceSlice", "resourceslices"),
    Kind(API_VERSION, "MigNode", "mignodes"),
    Kind(API_VERSION, "MigAutoscalingPolicy", "migautoscalingpolicies"),
    Kind(API_VERSION, "MigReconfiguration", "migreconfigurations"),
    Kind("scheduling.x-k8s.io/v1alpha1", "PodGroup", "podgroups", planned=False),
)


def snapshot(
    form: Annotated[DataFormat, typer.Option("-o", "--output", help="The List's format.")] = DataFormat.JSON,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Print everything a plan depends on as one List, for `autoslicer plan -f` on any machine.

    Of the ConfigMaps only those are taken that hold mig-parted configs; managedFields are left out.
    """
    with session(kubeconfig, context) as cluster:
        document = collect(cluster, KINDS)
    output.data(document, form)


def collect(cluster: Session, kinds: Iterable[Kind], *, name_absent: bool = True) -> dict[str, Any]:
    """A List of the objects of these kinds; a kind that cannot be read is named on stderr.

    Args:
        cluster: where to read.
        kinds: what to read.
        name_absent: name also the kinds that the API server does not know, as without a CRD.

    Raises:
        CommandError: a required kind cannot be read.
    """
    items: list[dict[str, Any]] = []
    absent: list[str] = []
    for kind in kinds:
        try:
            found = cluster.items(kind.path)
        except RefusedError as refused:
            if kind.required:
                raise
            if refused.absent:
                absent.append(kind.kind)
            else:
                say(f"warning: {kind.plural} could not be read: {refused}")
            continue
        items.extend(_kept(kind, found))
    if absent and name_absent:
        say(f"this cluster does not serve {', '.join(absent)}")
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}


def _kept(kind: Kind, found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The objects with the type that a list leaves out, without what no plan reads."""
    for item in found:
        if kind.kind == "ConfigMap" and "mig-configs" not in (item.get("data") or {}).get(MIG_PARTED_KEY, ""):
            continue
        item.get("metadata", {}).pop("managedFields", None)
        yield {"apiVersion": kind.api_version, "kind": kind.kind, **item}
