"""What service accounts of our own namespace wrote, from the API server's audit log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.cluster.api import Object

READS = ("get", "list", "watch")


class Write(NamedTuple):
    """One request that was not a read.

    Attributes:
        verb: create, update, patch, delete or deletecollection.
        resource: `resource` or `resource/subresource`.
        name: `namespace/name`, or the name alone of what has no namespace.
        status: the HTTP status of the answer.
    """

    verb: str
    resource: str
    name: str
    status: int


def writes(events: Iterable[Object], user: str) -> list[Write]:
    """What the user wrote, in the order in which the answers were sent, refused or not."""
    return [
        _write(event)
        for event in events
        if event["user"]["username"] == user
        and event["verb"] not in READS
        and event["stage"] == "ResponseComplete"
        and "objectRef" in event
    ]


def _write(event: Object) -> Write:
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    name = "/".join(filter(None, (target.get("namespace"), target.get("name"))))
    return Write(event["verb"], resource, name, int(event["responseStatus"]["code"]))
