"""The cluster as it was last heard of: mutable and long-lived; only frozen snapshots leave this room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from autoslicer.cluster import paths
from autoslicer.cluster.arrivals import Arrivals
from autoslicer.cluster.client import Client, Object
from autoslicer.cluster.policies import Policies
from autoslicer.cluster.reflector import Reflector
from autoslicer.core import names, reading
from autoslicer.core.policy import Policy
from autoslicer.core.reading import Row
from autoslicer.core.rows import (
    ConfigMapRow,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    ResourceSliceRow,
)
from autoslicer.core.snapshot import Snapshot, assemble

Listener = Callable[[Row | None, Row | None], None]


class Cache:
    """Reflectors for everything that a snapshot holds, and the policies."""

    def __init__(
        self, client: Client, relisted: Callable[[str, str], None] = lambda kind, cause: None
    ) -> None:
        arrivals = Arrivals()
        self._listeners: list[Listener] = [arrivals.forget]
        self.policies = Policies(client, self._policy_changed)
        self._group: asyncio.TaskGroup | None = None
        self._snapshot: Snapshot | None = None
        self._config_maps: dict[str, tuple[Reflector[ConfigMapRow], asyncio.Task[None]]] = {}

        def reflector(kind: str, path: str, read: Callable[[object], Any], **more: Any) -> Reflector[Any]:
            return Reflector(client, kind, path, read, changed=self._tell, relisted=relisted, **more)

        self._reflector = reflector
        self.nodes: Reflector[NodeRow] = reflector("Node", paths.NODES, reading.node)
        self.pods: Reflector[PodRow] = reflector("Pod", paths.PODS, arrivals.pod, keep=_unfinished)
        self.changes: Reflector[ReconfigurationRow] = reflector(
            "MigReconfiguration", paths.CHANGES, reading.change
        )
        self.mignodes: Reflector[MigNodeRow] = reflector("MigNode", paths.MIG_NODES, reading.mig_node)
        self.slices: Reflector[ResourceSliceRow] = reflector(
            "ResourceSlice", paths.RESOURCE_SLICES, reading.resource_slice, empty_on={404}
        )

    @property
    def synced(self) -> bool:
        """Everything has been listed at least once."""
        return self.policies.listed.is_set() and all(reflector.synced for reflector in self._reflectors())

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard of, for the resource of which that is longest ago."""
        return max(self.policies.age, *(reflector.age for reflector in self._reflectors()))

    def listen(self, listener: Listener) -> None:
        """Call `listener(old, new)` after every change of a row."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Keep everything up to date until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for reflector in self._reflectors():
                    self._group.create_task(reflector.run(), name=f"reflector {reflector.kind}")
                self._follow_config_maps()
                self._group.create_task(self.policies.run(), name="policies")
        finally:
            self._group = None

    def snapshot(self) -> Snapshot:
        """Everything as it is known now; made anew only when something has changed."""
        if self._snapshot is None:
            self._snapshot = self._assembled()
        return self._snapshot

    def _assembled(self) -> Snapshot:
        obscured = {
            node: sentence
            for reflector in self._reflectors()
            for sentence, node in reflector.unread.values()
            if node
        }
        skipped = [sentence for reflector in self._reflectors() for sentence, _ in reflector.unread.values()]
        return assemble(self._rows(), skipped=skipped, obscured=obscured, newest=time.time())

    def observe_config_map(self, item: Object) -> None:
        """Take over a ConfigMap that a write of our own returned."""
        if found := self._config_maps.get(item["metadata"]["namespace"]):
            found[0].observe(item)

    def _rows(self) -> Iterable[Row]:
        for reflector in self._reflectors():
            yield from reflector.rows.values()
        yield from self.policies.rows()

    def _reflectors(self) -> tuple[Reflector[Any], ...]:
        maps = (reflector for reflector, _ in self._config_maps.values())
        return (self.nodes, self.pods, self.changes, self.mignodes, self.slices, *maps)

    def _tell(self, old: Row | None, new: Row | None) -> None:
        self._snapshot = None
        for listener in self._listeners:
            listener(old, new)

    def _policy_changed(self, old: Policy | None, new: Policy | None) -> None:
        self._follow_config_maps()
        self._tell(old, new)

    def _follow_config_maps(self) -> None:
        """One reflector for each namespace in which a policy's ConfigMap lies.

        A namespace that may not be read counts as empty: it must not hold up the other policies.
        """
        if self._group is None:
            return
        wanted = {policy.config_map[0] for policy in self.policies.rows()} | {
            names.DEFAULT_OPERATOR_NAMESPACE
        }
        for namespace in sorted(wanted - self._config_maps.keys()):
            reflector = self._reflector(
                "ConfigMap",
                paths.config_maps(namespace),
                reading.config_map,
                keep=_has_configs,
                empty_on={403, 404},
            )
            task = self._group.create_task(reflector.run(), name=f"reflector ConfigMap {namespace}")
            self._config_maps[namespace] = (reflector, task)
        for namespace in self._config_maps.keys() - wanted:
            self._config_maps.pop(namespace)[1].cancel()


def _unfinished(pod: PodRow) -> bool:
    return not pod.finished


def _has_configs(config_map: ConfigMapRow) -> bool:
    return config_map.configs is not None or config_map.size > 0


def same_but_for_version(old: Row | None, new: Row | None) -> bool:
    """The rows differ in nothing but their resourceVersion: a heartbeat."""
    if old is None or new is None or not hasattr(old, "resource_version") or type(old) is not type(new):
        return False
    version: Any = new
    return bool(replace(old, resource_version=version.resource_version) == new)
