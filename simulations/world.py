"""The virtual cluster's API server: rows under resourceVersions, and those who watch them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from autoslicer.core.actions import Report
from autoslicer.core.policy import Policy
from autoslicer.core.rows import ConfigMapRow, MigNodeRow, NodeRow, PodRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from simulations.clock import Clock

Row = NodeRow | PodRow | ConfigMapRow | MigNodeRow | Policy | ReconfigurationRow
Watcher = Callable[[Row | None, Row | None], None]
"""told of every write: the row before it (None: created) and after it (None: deleted)"""

_VERSIONED = (NodeRow, ConfigMapRow, ReconfigurationRow)


class Conflict(Exception):  # noqa: N818 - Kubernetes calls it so
    """409: the object has another resourceVersion than the writer thinks, or is gone."""


@dataclass(slots=True)
class World:
    """Everything that an API server would hold, and the clock by which all parts of the cluster live.

    Attributes:
        clock: seconds since the epoch.
        durations: how long each pod runs once it has started (seconds, by key); one that is not here runs on.
        revision: counts the writes.
        events: what was reported, each (object, reason, message) once.
    """

    clock: Clock
    nodes: dict[str, NodeRow] = field(default_factory=dict)
    pods: dict[str, PodRow] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], ConfigMapRow] = field(default_factory=dict)
    mignodes: dict[str, MigNodeRow] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    changes: dict[str, ReconfigurationRow] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    revision: int = 0
    events: list[Report] = field(default_factory=list)
    _watchers: list[Watcher] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        """The cluster at this moment."""
        return Snapshot(
            nodes=dict(sorted(self.nodes.items())),
            pods=dict(sorted(self.pods.items())),
            config_maps=dict(sorted(self.config_maps.items())),
            mignodes=dict(sorted(self.mignodes.items())),
            policies=dict(sorted(self.policies.items())),
            changes=dict(sorted(self.changes.items())),
            newest=self.clock.now,
        )

    def watch(self, watcher: Watcher) -> None:
        """Tell of every write from now on."""
        self._watchers.append(watcher)

    def stamp(self) -> float:
        """The present time as Kubernetes writes it: in whole seconds, rounded down."""
        return float(math.floor(self.clock.now))

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
        """Record an event, where the same was not reported already."""
        if event not in self.events:
            self.events.append(event)

    def _tell(self, old: Row | None, new: Row | None) -> None:
        for watcher in tuple(self._watchers):
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
