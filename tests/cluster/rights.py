"""The rights in manifests beside what an account asked for: which it never used, and what none covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.api import Object


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource, as a rule of a Role or ClusterRole grants it.

    Attributes:
        file: the manifest's name.
        namespace: where it holds; empty for everywhere.
        group: of the API; empty for the core one.
        resource: `resource` or `resource/subresource`.
        verb: as RBAC has it.
        names: of the objects that it is for; empty for all.
    """

    file: str
    namespace: str
    group: str
    resource: str
    verb: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")
        which = f" {', '.join(self.names)}" if self.names else ""
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{what}{which}{where} ({self.file})"

    def covers(self, event: Object) -> bool:
        """The right is for the request of this audit event."""
        target = event["objectRef"]
        resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        return (
            (self.group, self.resource, self.verb) == (target.get("apiGroup", ""), resource, event["verb"])
            and self.namespace in ("", target.get("namespace"))
            and (not self.names or target.get("name") in self.names)
        )


def granted(manifests: Iterable[Path], role: str) -> list[Right]:
    """What the Roles and ClusterRoles of this name in the manifests grant."""
    return [right for path in manifests for right in _granted(path, role)]


def _granted(path: Path, role: str) -> Iterator[Right]:
    for found in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if found["kind"] not in ("Role", "ClusterRole") or found["metadata"]["name"] != role:
            continue
        namespace = found["metadata"].get("namespace", "")
        for rule in found["rules"]:
            names = tuple(rule.get("resourceNames", ()))
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield Right(path.name, namespace, group, resource, verb, names)


def unused(rights: Iterable[Right], events: Iterable[Object]) -> list[str]:
    """The rights with which none of the requests had success."""
    done = [event for event in events if event["responseStatus"]["code"] < 300]
    return [str(right) for right in rights if not any(right.covers(event) for event in done)]


def forbidden(events: Iterable[Object]) -> list[str]:
    """The requests that were refused for want of a right or by an admission policy."""
    return [
        f"{event['verb']} {event['requestURI']}: {event['responseStatus'].get('message', '')}"
        for event in events
        if event["responseStatus"]["code"] == 403
        or "ValidatingAdmissionPolicy" in event["responseStatus"].get("message", "")
    ]


def asked(events: Iterable[Object], user: str) -> list[Object]:
    """The requests of one user for resources, as far as they were answered."""
    return [
        event
        for event in events
        if event["user"]["username"] == user and "objectRef" in event and "responseStatus" in event
    ]
