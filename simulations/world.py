"""The virtual cluster's API server: rows under resourceVersions, and those who watch them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from autoslicer.core.actions import Report
from autoslicer.core.policy import Policy
from autoslicer.core.rows import (
    ConfigMapRow,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    ResourceSliceRow,
)
from autoslicer.core.snapshot import Snapshot
from simulations.clock import Clock, Happening

Row = NodeRow | PodRow | ConfigMapRow | MigNodeRow | Policy | ReconfigurationRow
Watcher = Callable[[Row | None, Row | None], None]
"""told of every write: the row before it (None: created) and after it (None: deleted)"""

_VERSIONED = (NodeRow, ConfigMapRow, ReconfigurationRow)
EVENT_SECONDS = 3600.0
"""an API server forgets an event an hour after it was told last"""
_FEW_EVENTS = 1000

_Name = TypeVar("_Name")
_Row = TypeVar("_Row")


class Conflict(Exception):  # noqa: N818 - Kubernetes calls it so
    """409: the object has another resourceVersion than the writer thinks, or is gone."""


@dataclass(slots=True)
class World:
    """Everything that an API server would hold, and the clock by which all parts of the cluster live.

    Attributes:
        clock: seconds since the epoch.
        resource_slices: what DRA drivers publish; it never changes here.
        obscured: nodes of which not all is known, see `Snapshot`.
        durations: how long each pod runs once it has started (seconds, by key); one that is not here runs on.
        revision: counts the writes.
        before_reading: called before the cluster is looked at, for whoever keeps something up to date only
            when somebody looks.
    """

    clock: Clock
    nodes: dict[str, NodeRow] = field(default_factory=dict)
    pods: dict[str, PodRow] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], ConfigMapRow] = field(default_factory=dict)
    mignodes: dict[str, MigNodeRow] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    changes: dict[str, ReconfigurationRow] = field(default_factory=dict)
    resource_slices: tuple[ResourceSliceRow, ...] = ()
    obscured: Mapping[str, str] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    revision: int = 0
    before_reading: list[Callable[[], None]] = field(default_factory=list)
    _events: dict[Report, float] = field(default_factory=dict)
    _events_kept: int = _FEW_EVENTS
    _watchers: list[Watcher] = field(default_factory=list)
    _at_node: dict[str, list[Watcher]] = field(default_factory=dict)
    _snapshot: tuple[tuple[int, float], Snapshot] | None = None

    def snapshot(self) -> Snapshot:
        """The cluster at this moment."""
        moment = self.revision, self.clock.now
        if self._snapshot is None or self._snapshot[0] != moment:
            self._snapshot = moment, self._read()
        return self._snapshot[1]

    def _read(self) -> Snapshot:
        for prepare in self.before_reading:
            prepare()
        near = Snapshot() if self._snapshot is None else self._snapshot[1]
        return Snapshot(
            nodes=_sorted(self.nodes, near.nodes),
            pods=_sorted(self.pods, near.pods),
            config_maps=_sorted(self.config_maps, near.config_maps),
            mignodes=_sorted(self.mignodes, near.mignodes),
            policies=_sorted(self.policies, near.policies),
            changes=_sorted(self.changes, near.changes),
            resource_slices=self.resource_slices,
            obscured=self.obscured,
            newest=self.clock.now,
            near=near,
        )

    @property
    def events(self) -> list[Report]:
        """What was reported within the last hour, each (object, reason, message) once, oldest first."""
        return [event for event, at in self._events.items() if not self._forgotten(at)]

    def watch(self, watcher: Watcher, node: str = "") -> None:
        """Tell of every write from now on.

        Args:
            watcher: whom to tell.
            node: tell only of this node, and of pods that are on it before or after the write.
        """
        (self._at_node.setdefault(node, []) if node else self._watchers).append(watcher)

    def on_node(self, node: str, seconds: float, happening: Happening) -> None:
        """Plan something that happens on a node so many seconds from now, unless the node is gone by then."""
        self.clock.after(seconds, lambda: happening() if node in self.nodes else None)

    def stamp(self) -> float:
        """The present time as Kubernetes writes it: in whole seconds, rounded down."""
        return float(math.floor(self.clock.now))

    def uid(self, pod: str) -> str:
        """For a pod of that key that is about to be created: no earlier one of its name has this uid."""
        return f"pod-{pod}-{self.revision}"

    def write(self, row: Row, *, expect: str | None = None) -> None:
        """Create or replace an object; nothing is written, and nobody told, where it is the same already.

        Args:
            row: the new content; its resourceVersion is set here.
            expect: the resourceVersion that the object must have now; None to write in any case.

        Raises:
            Conflict: the object has another resourceVersion, or is gone.
        """
        table, key = self._place(row)
        old = table.get(key)
        if expect is not None and (old is None or old.resource_version != expect):
            raise Conflict(f"{type(row).__name__} {key} is not at {expect}")
        if old is not None and row == old:
            return
        self.revision += 1
        new = replace(row, resource_version=str(self.revision)) if isinstance(row, _VERSIONED) else row
        table[key] = new
        self._tell(old, new)

    def delete(self, row: Row) -> None:
        """Remove an object; one that is gone already is no error."""
        table, key = self._place(row)
        if key in table:
            self.revision += 1
            self._tell(table.pop(key), None)

    def report(self, event: Report) -> None:
        """Record an event, where the same was not reported within the last hour."""
        at = self._events.get(event)
        if at is not None and not self._forgotten(at):
            return
        self._events.pop(event, None)
        self._events[event] = self.clock.now
        if len(self._events) > self._events_kept:
            self._events = {event: at for event, at in self._events.items() if not self._forgotten(at)}
            self._events_kept = max(_FEW_EVENTS, 2 * len(self._events))

    def _forgotten(self, at: float) -> bool:
        return at <= self.clock.now - EVENT_SECONDS

    def _tell(self, old: Row | None, new: Row | None) -> None:
        for watcher in tuple(self._watchers):
            watcher(old, new)
        for name in _nodes(old, new):
            for watcher in tuple(self._at_node.get(name, ())):
                watcher(old, new)

    def _place(self, row: Row) -> tuple[dict[Any, Any], str | tuple[str, str]]:
        """The table of the row's kind, and its key there."""
        match row:
            case NodeRow():
                return self.nodes, row.name
            case PodRow():
                return self.pods, row.key
            case ConfigMapRow():
                return self.config_maps, (row.namespace, row.name)
            case MigNodeRow():
                return self.mignodes, row.name
            case Policy():
                return self.policies, row.name
            case ReconfigurationRow():
                return self.changes, row.name


def _sorted(table: Mapping[_Name, _Row], near: Iterable[_Name]) -> dict[_Name, _Row]:
    """A copy of the table, sorted; it is quick where most names are those of `near`, which are sorted."""
    names: list[Any] = [*filter(table.__contains__, near)]
    if len(names) < len(table):
        names += table.keys() - set(names)
        names.sort()
    return dict(zip(names, map(table.__getitem__, names), strict=True))


def _nodes(*rows: Row | None) -> list[str]:
    """The nodes that a write concerns, each once."""
    kept = (row for row in rows if isinstance(row, NodeRow | PodRow))
    found = (row.node if isinstance(row, PodRow) else row.name for row in kept)
    return list(dict.fromkeys(name for name in found if name))
