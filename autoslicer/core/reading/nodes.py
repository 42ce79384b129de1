"""Nodes, as the core reads them."""

from __future__ import annotations

from autoslicer.core import names, quantity
from autoslicer.core.fields import Fields, root
from autoslicer.core.plain_text import plain
from autoslicer.core.rows import NodeRow, Resources, Taint

_READ_ANNOTATIONS = (f"{names.GROUP}/", *names.FOREIGN_PREFIXES, *names.DO_NOT_DISRUPT)
LONGEST_ANNOTATION = 256
"""characters; whatever is longer is nothing that we or other owners of nodes write"""


def node(obj: object) -> NodeRow:
    """The row of a v1 Node.

    Raises:
        ValueError: a field has a type or value that no API server would accept.
    """
    top = root(obj, "Node")
    metadata, spec, status = top.fields("metadata"), top.fields("spec"), top.fields("status")
    return NodeRow(
        name=metadata.required("name"),
        uid=metadata.text("uid"),
        resource_version=metadata.text("resourceVersion"),
        labels=metadata.labels("labels"),
        annotations={
            key: value[:LONGEST_ANNOTATION]
            for key, value in metadata.pairs("annotations").items()
            if key.startswith(_READ_ANNOTATIONS)
        },
        taints=tuple(
            Taint(taint.required("key"), taint.text("value"), taint.required("effect"))
            for taint in spec.each("taints")
        ),
        unschedulable=spec.flag("unschedulable"),
        ready=holds(status, "Ready"),
        terminating=metadata.has("deletionTimestamp"),
        allocatable=amounts(status.fields("allocatable")),
    )


def holds(status: Fields, condition: str) -> bool:
    """The status has this condition with the value True."""
    return any(c.text("type") == condition and c.text("status") == "True" for c in status.each("conditions"))


def amounts(resources: Fields) -> Resources:
    """The quantities of a resource list, sorted by resource.

    Raises:
        ValueError: one of them is no quantity.
    """
    found: dict[str, int] = {}
    for resource in resources.names():
        value = resources.values[resource]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise resources.wrong(resource, "a quantity")
        try:
            found[plain(resource)] = quantity.parse(resource, value)
        except ValueError as error:
            raise ValueError(plain(f"{resources.what}: {resources.path}.{error}")) from None
    return found
