"""What happened in a run: pods and where they were bound, changes and their phases, nodes and their labels.

Times are seconds since the epoch, by this machine's clock; a watch tells of an event some milliseconds later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from autoslicer.core import names
from autoslicer.core.phases import FINAL, Phase
from autoslicer.core.times import seconds
from tests.cluster.api import Object


@dataclass(frozen=True)
class PodLife:
    """One pod that asks for slices.

    Attributes:
        slices: how many by profile.
        node: where it was bound, or empty.
        bound: when that was first seen.
        ended: when it was gone, or had finished.
        named: it named its node itself, past the scheduler.
        failed: why it failed, or empty.
    """

    key: str
    slices: Mapping[str, int]
    node: str = ""
    bound: float | None = None
    ended: float | None = None
    named: bool = False
    failed: str = ""

    def holds(self, node: str, at: float) -> bool:
        """It was bound to the node at that time, and had not ended."""
        return (
            self.node == node
            and self.bound is not None
            and self.bound <= at
            and (self.ended is None or at < self.ended)
        )


@dataclass(frozen=True)
class ChangeLife:
    """One MigReconfiguration.

    Attributes:
        steps: the phases that it reached, with their times.
        deleted: when the object was gone.
    """

    name: str
    uid: str
    node: str
    phase: Phase = Phase.WAITING
    reason: str = ""
    steps: tuple[tuple[str, float], ...] = ()
    deleted: float | None = None

    @property
    def live(self) -> bool:
        """It has not ended."""
        return self.phase not in FINAL and self.deleted is None

    @property
    def began(self) -> float | None:
        """When it left Waiting for a step that touches its node; None where it never did."""
        return next((at for phase, at in self.steps if Phase(phase) not in FINAL), None)

    @property
    def ended(self) -> float | None:
        """When it ended, or was deleted; None while it is live."""
        if self.phase in FINAL and self.steps:
            return self.steps[-1][1]
        return self.deleted

    @property
    def number(self) -> str:
        """The value of its taint."""
        return self.name.rpartition("-")[2]


@dataclass(frozen=True)
class NodeSight:
    """What was new about a node: its config label and our taint, None where it has none."""

    at: float
    config: str | None
    state: str
    taint: str | None


@dataclass
class History:
    """Everything that was seen; pods and changes by uid, nodes by name.

    Attributes:
        made_anew: when another machine came under a node's name.
    """

    pods: dict[str, PodLife] = field(default_factory=dict)
    changes: dict[str, ChangeLife] = field(default_factory=dict)
    nodes: dict[str, list[NodeSight]] = field(default_factory=dict)
    made_anew: dict[str, list[float]] = field(default_factory=dict)
    _machines: dict[str, str] = field(default_factory=dict)

    def see_pod(self, pod: Object, at: float, *, gone: bool = False) -> None:
        """Take note of a pod as it is now."""
        wanted = slices(pod)
        if not wanted:
            return
        meta, status, uid = pod["metadata"], pod.get("status", {}), pod["metadata"]["uid"]
        old = self.pods.get(uid)
        key, node = f"{meta['namespace']}/{meta['name']}", pod["spec"].get("nodeName", "")
        life = old or PodLife(key, wanted, named=bool(node))
        if node and life.bound is None:
            life = replace(life, node=node, bound=at)
        finished = status.get("phase") in ("Succeeded", "Failed")
        if (gone or finished) and life.ended is None:
            life = replace(life, ended=at)
        if status.get("phase") == "Failed":
            life = replace(life, failed=str(status.get("reason") or "Failed"))
        self.pods[uid] = life

    def see_change(self, change: Object, at: float, *, gone: bool = False) -> None:
        """Take note of a MigReconfiguration as it is now."""
        meta, status = change["metadata"], change.get("status", {})
        why = [c["reason"] for c in status.get("conditions", []) if c["type"] == "Succeeded"]
        self.changes[meta["uid"]] = ChangeLife(
            meta["name"],
            meta["uid"],
            change["spec"]["node"]["name"],
            Phase(status.get("phase") or Phase.WAITING),
            why[0] if why else "",
            tuple((step["phase"], seconds(step["at"])) for step in status.get("steps", [])),
            at if gone else None,
        )

    def see_node(self, node: Object, at: float) -> None:
        """Take note of a node as it is now."""
        name, uid = node["metadata"]["name"], node["metadata"]["uid"]
        if self._machines.setdefault(name, uid) != uid:
            self._machines[name] = uid
            self.made_anew.setdefault(name, []).append(at)
        labels = node["metadata"].get("labels", {})
        taints = [t.get("value", "") for t in node["spec"].get("taints", []) if t["key"] == names.TAINT]
        sight = NodeSight(
            at,
            labels.get(names.MIG_CONFIG),
            labels.get(names.MIG_CONFIG_STATE, ""),
            taints[0] if taints else None,
        )
        seen = self.nodes.setdefault(name, [])
        if not seen or replace(seen[-1], at=at) != sight:
            seen.append(sight)

    def of_node(self, node: str) -> list[ChangeLife]:
        """The changes of a node that had begun, in the order of their beginning."""
        begun = [change for change in self.changes.values() if change.node == node and change.began]
        return sorted(begun, key=lambda change: (change.began or 0.0, change.name))


def slices(pod: Object) -> dict[str, int]:
    """The MIG slices that a pod asks for, by profile as its resource spells it."""
    found: dict[str, int] = {}
    for container in pod["spec"]["containers"]:
        for resource, amount in container.get("resources", {}).get("limits", {}).items():
            if resource.startswith(names.MIG_RESOURCE_PREFIX):
                profile = resource.removeprefix(names.MIG_RESOURCE_PREFIX)
                found[profile] = found.get(profile, 0) + int(amount)
    return found
