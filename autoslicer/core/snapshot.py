"""The cluster at one moment, as rows; and how a dump of it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from typing import TypeVar

from autoslicer.core.fields import Fields, kind_of
from autoslicer.core.newest import newest
from autoslicer.core.phases import ended_at, live, number
from autoslicer.core.planning.differences import differing
from autoslicer.core.policy import Policy
from autoslicer.core.reading import READERS, Row
from autoslicer.core.rows import (
    ConfigMapRow,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    ResourceSliceRow,
)

_GROUPS = {
    "Node": "",
    "Pod": "",
    "ConfigMap": "",
    "MigNode": "autoslicer.dev",
    "MigReconfiguration": "autoslicer.dev",
    "MigAutoscalingPolicy": "autoslicer.dev",
    "ResourceSlice": "resource.k8s.io",
}
"""the API group of each kind that is read: other groups have a Node or a Pod of their own"""

_KINDS = {
    NodeRow: "Node",
    PodRow: "Pod",
    ConfigMapRow: "ConfigMap",
    MigNodeRow: "MigNode",
    Policy: "MigAutoscalingPolicy",
    ReconfigurationRow: "MigReconfiguration",
    ResourceSliceRow: "ResourceSlice",
}

TAKE_BACK_SECONDS = 300.0
"""a hint of ours that is still there so long after its change has ended may be the scheduler's own by now"""

_Kind = TypeVar("_Kind", bound=Row)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment: rows by name (pods by `namespace/name`, ConfigMaps by (namespace, name)).

    Attributes:
        ignored: objects of kinds that the core does not read, counted by kind.
        skipped: one sentence for each object that was left out because it is malformed or listed again.
        obscured: nodes that a malformed object names, each with the sentence about it. What that object holds
            there is not known, so that the whole node counts as in use.
        newest: the newest timestamp in any object, or the moment itself, in seconds since the epoch; 0 where
            there is none.
        hinted: (node, pod) where a nomination may be ours: a change that has not ended, or did so lately,
            promises the pod that node; derived from the rest.
        tenants: by node, the pods that hold something there, by key: bound and not ended, or nominated to it
            by somebody else; derived from the rest.
        history: by node, its changes, oldest first; derived from the rest.
        near: another moment, from which is taken what has not changed since; it saves work and changes
            nothing.
    """

    nodes: Mapping[str, NodeRow] = field(default_factory=dict)
    pods: Mapping[str, PodRow] = field(default_factory=dict)
    config_maps: Mapping[tuple[str, str], ConfigMapRow] = field(default_factory=dict)
    mignodes: Mapping[str, MigNodeRow] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    changes: Mapping[str, ReconfigurationRow] = field(default_factory=dict)
    resource_slices: tuple[ResourceSliceRow, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    obscured: Mapping[str, str] = field(default_factory=dict)
    newest: float = 0.0
    near: InitVar[Snapshot | None] = None
    hinted: frozenset[tuple[str, str]] = field(init=False, repr=False, compare=False)
    tenants: Mapping[str, tuple[PodRow, ...]] = field(init=False, repr=False, compare=False)
    history: Mapping[str, tuple[ReconfigurationRow, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self, near: Snapshot | None) -> None:
        ours = frozenset(
            (change.node, key)
            for change in self.changes.values()
            if live(change) or ended_at(change) > self.newest - TAKE_BACK_SECONDS
            for key in change.serves
        )
        object.__setattr__(self, "hinted", ours)
        object.__setattr__(self, "tenants", _tenants(self.pods, ours, near))
        if near is not None and not differing(near.changes, self.changes):
            object.__setattr__(self, "history", near.history)
        else:
            object.__setattr__(self, "history", _history(self.changes.values()))


_Hinted = frozenset[tuple[str, str]]


def _tenants(
    pods: Mapping[str, PodRow], ours: _Hinted, near: Snapshot | None
) -> dict[str, tuple[PodRow, ...]]:
    """The pods that hold something on each node; `ours` are nominations that may be ours."""
    again: Collection[str] = pods.keys()
    kept: dict[str, tuple[PodRow, ...]] = {}
    if near is not None:
        again = differing(near.pods, pods).union(key for _, key in near.hinted ^ ours)
        kept = dict(near.tenants)
    found: dict[str, list[PodRow]] = {}
    for key in sorted(again):
        if near is not None and (node := _place(near.pods.get(key), near.hinted)):
            found.setdefault(node, [])
        if node := _place(pods.get(key), ours):
            found.setdefault(node, []).append(pods[key])
    for node, held in found.items():
        held += (pod for pod in kept.pop(node, ()) if pod.key not in again)
        if held:
            kept[node] = tuple(sorted(held, key=_key))
    return kept


def _place(pod: PodRow | None, ours: _Hinted) -> str:
    """The node on which the pod holds something; empty for none."""
    if pod is None or pod.finished:
        return ""
    return pod.node or ("" if (pod.nominated, pod.key) in ours else pod.nominated)


def _key(pod: PodRow) -> str:
    return pod.key


def _history(changes: Iterable[ReconfigurationRow]) -> dict[str, tuple[ReconfigurationRow, ...]]:
    """The changes of each node, oldest first."""
    found: dict[str, list[ReconfigurationRow]] = {}
    for change in changes:
        found.setdefault(change.node, []).append(change)
    return {node: tuple(sorted(changes, key=_age)) for node, changes in found.items()}


def _age(change: ReconfigurationRow) -> tuple[int, float, str]:
    return number(change.name, change.node) or 0, change.created, change.name


def assemble(
    rows: Iterable[Row],
    *,
    ignored: Mapping[str, int] | None = None,
    skipped: Iterable[str] = (),
    obscured: Mapping[str, str] | None = None,
    newest: float = 0.0,
) -> Snapshot:
    """The snapshot of these rows; of two rows for one object the later one counts, as `skipped` says then."""
    found: dict[type, dict[str, Row]] = {}
    sentences = list(skipped)
    for row in rows:
        match row:
            case PodRow():
                name = row.key
            case ConfigMapRow():
                name = f"{row.namespace}/{row.name}"
            case _:
                name = row.name
        same = found.setdefault(type(row), {})
        if name in same:
            sentences.append(f"{_KINDS[type(row)]} {name} is listed more than once; the last one counts")
        same[name] = row

    return Snapshot(
        nodes=_of(found, NodeRow),
        pods=_of(found, PodRow),
        config_maps={(row.namespace, row.name): row for row in _of(found, ConfigMapRow).values()},
        mignodes=_of(found, MigNodeRow),
        policies=_of(found, Policy),
        changes=_of(found, ReconfigurationRow),
        resource_slices=tuple(_of(found, ResourceSliceRow).values()),
        ignored=dict(sorted((ignored or {}).items())),
        skipped=tuple(sorted(sentences)),
        obscured=dict(sorted((obscured or {}).items())),
        newest=newest,
    )


def _of(found: Mapping[type, Mapping[str, Row]], kind: type[_Kind]) -> dict[str, _Kind]:
    return {name: row for name, row in sorted(found.get(kind, {}).items()) if isinstance(row, kind)}


class NoListError(ValueError):
    """What was given is no Kubernetes List."""


def read(document: object) -> Snapshot:
    """The snapshot in a parsed Kubernetes List, as `kubectl get nodes,pods -A -o json` prints it.

    Objects of other kinds are counted, malformed ones skipped; neither stops the rest.

    Raises:
        NoListError: the document is no List.
    """
    if not isinstance(document, dict):
        raise NoListError(f"a snapshot must be a Kubernetes List, not {kind_of(document)}")
    return read_members(document.items())


def read_members(members: Iterable[tuple[str, object]]) -> Snapshot:
    """As `read`, from the members of the List in any order; `items` may be an iterator that is read once.

    An item is let go as soon as its row is made, unless it takes its kind from a List whose own comes later.

    Raises:
        NoListError: the document is no List.
    """
    found = _Rows()
    top: dict[str, object] = {}
    heirs: list[object] = []
    for key, value in members:
        top[key] = value
        if key == "items":  # of two members with one key the last one counts
            found, heirs = _Rows(), []
            for item in value if isinstance(value, list | Iterator) else ():
                if {"kind", "apiVersion"} <= top.keys() or _tells_kind(item):
                    found.add(item, top)
                else:
                    heirs.append(item)
    _require_list(top)
    for item in heirs:
        found.add(item, top)
    return found.snapshot()


def _require_list(top: Mapping[str, object]) -> None:
    fields = Fields("the snapshot", "", top)
    try:
        listed, _ = fields.text("kind"), fields.text("apiVersion")
    except ValueError as error:
        raise NoListError(str(error)) from None
    if not listed.endswith("List"):
        what = repr(listed[:64]) if listed else "an object without a kind"
        raise NoListError(f"a snapshot must be a Kubernetes List, not {what}")
    if "items" not in top or not isinstance(top["items"], list | Iterator | None):
        raise NoListError("the snapshot: items must be a list")


class _Rows:
    """What has been read of a List so far."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.ignored: Counter[str] = Counter()
        self.skipped: list[str] = []
        self.obscured: dict[str, str] = {}
        self.newest = 0.0

    def add(self, item: object, top: Mapping[str, object]) -> None:
        """Take over one item of a List with these members."""
        self.newest = max(self.newest, newest(item))
        kind, group = _kind_and_group(item, top)
        if _GROUPS.get(kind) != group:
            self.ignored[kind or "without a kind"] += 1
            return
        try:
            self.rows.append(READERS[kind](item))
        except ValueError as error:
            self.skipped.append(str(error))
            if node := node_named(item):
                self.obscured[node] = str(error)

    def snapshot(self) -> Snapshot:
        """All of it."""
        return assemble(
            self.rows, ignored=self.ignored, skipped=self.skipped, obscured=self.obscured, newest=self.newest
        )


def _tells_kind(item: object) -> bool:
    """Its List need not be asked."""
    return not isinstance(item, dict) or bool(item.get("kind") and item.get("apiVersion"))


def _kind_and_group(item: object, top: Mapping[str, object]) -> tuple[str, str]:
    """Kind and API group of an item; those of a typed list such as NodeList take theirs from it."""
    kind, version = str(top.get("kind") or "").removesuffix("List"), str(top.get("apiVersion") or "")
    if isinstance(item, dict):
        kind, version = str(item.get("kind") or kind), str(item.get("apiVersion") or version)
    group, slash, _ = version.partition("/")
    return kind[:64], group if slash else ""


def node_named(obj: object) -> str:
    """The node that an unreadable object speaks of, as far as that can be told; else empty."""
    node: object = None
    if isinstance(obj, dict) and obj.get("kind") == "MigNode" and isinstance(obj.get("metadata"), dict):
        node = obj["metadata"].get("name")
    elif isinstance(obj, dict) and isinstance(spec := obj.get("spec"), dict):
        node = spec.get("nodeName", spec.get("node"))
        node = node.get("name") if isinstance(node, dict) else node
    return node if isinstance(node, str) else ""
