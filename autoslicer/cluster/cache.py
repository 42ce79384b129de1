"""The cluster as it was last heard of: mutable and long-lived; only frozen snapshots leave this room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from autoslicer.cluster import paths
from autoslicer.cluster.arrivals import Arrivals
from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError
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

POLICY_RELIST_SECONDS = 300.0
"""policies come by events; a list this often finds those whose deletion was missed"""

Listener = Callable[[Row | None, Row | None], None]


class Cache:
    """Reflectors for everything that a snapshot holds, and the policies as the shell hands them in."""

    def __init__(
        self, client: Client, relisted: Callable[[str, str], None] = lambda kind, cause: None
    ) -> None:
        self._client = client
        arrivals = Arrivals()
        self._listeners: list[Listener] = [arrivals.forget]
        self._policies: dict[str, tuple[Policy, Object]] = {}
        self._policies_listed = False
        self._namespaces: dict[str, tuple[Reflector[ConfigMapRow], asyncio.Task[None]]] = {}
        self._relisted = relisted

        def reflector(kind: str, path: str, read: Callable[[object], Any], **more: Any) -> Reflector[Any]:
            return Reflector(client, kind, path, read, changed=self._tell, relisted=relisted, **more)

        self.nodes: Reflector[NodeRow] = reflector("Node", paths.NODES, reading.node)
        self.pods: Reflector[PodRow] = reflector("Pod", paths.PODS, arrivals.pod, keep=_unfinished)
        self.changes: Reflector[ReconfigurationRow] = reflector(
            "MigReconfiguration", paths.CHANGES, reading.change
        )
        self.mignodes: Reflector[MigNodeRow] = reflector("MigNode", paths.MIG_NODES, reading.mig_node)
        self.slices: Reflector[ResourceSliceRow] = reflector(
            "ResourceSlice", paths.RESOURCE_SLICES, reading.resource_slice, optional=True
        )

    @property
    def synced(self) -> bool:
        """Everything has been listed at least once."""
        return self._policies_listed and all(reflector.synced for reflector in self._reflectors())

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard of, for the resource of which that is longest ago."""
        return max(reflector.age for reflector in self._reflectors())

    def listen(self, listener: Listener) -> None:
        """Call `listener(old, new)` after every change of a row."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Keep everything up to date until cancelled."""
        self._follow_config_maps()
        try:
            async with asyncio.TaskGroup() as group:
                for reflector in (self.nodes, self.pods, self.changes, self.mignodes, self.slices):
                    group.create_task(reflector.run())
                group.create_task(self._relist_policies())
        finally:
            for _, task in self._namespaces.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._namespaces.values()), return_exceptions=True)

    def snapshot(self) -> Snapshot:
        """Everything as it is known now."""
        obscured = {
            node: sentence
            for reflector in self._reflectors()
            for sentence, node in reflector.unread.values()
            if node
        }
        skipped = [sentence for reflector in self._reflectors() for sentence, _ in reflector.unread.values()]
        return assemble(self._rows(), skipped=skipped, obscured=obscured)

    def policy_object(self, name: str) -> Object | None:
        """The whole object of a policy, with its present status."""
        found = self._policies.get(name)
        return None if found is None else found[1]

    def apply_policy(self, event: str | None, item: Object) -> None:
        """Take over one event of a policy; a policy that cannot be read governs nothing."""
        name = item["metadata"]["name"]
        old = self._policies.get(name, (None, {}))[0]
        new = None if event == "DELETED" else _policy(item)
        if new is None:
            self._policies.pop(name, None)
        else:
            self._policies[name] = (new, item)
        self._follow_config_maps()
        if old != new:
            self._tell(old, new)

    def _rows(self) -> Iterable[Row]:
        for reflector in self._reflectors():
            yield from reflector.rows.values()
        for policy, _ in self._policies.values():
            yield policy

    def _reflectors(self) -> tuple[Reflector[Any], ...]:
        maps = (reflector for reflector, _ in self._namespaces.values())
        return (self.nodes, self.pods, self.changes, self.mignodes, self.slices, *maps)

    def _tell(self, old: Row | None, new: Row | None) -> None:
        for listener in self._listeners:
            listener(old, new)

    async def _relist_policies(self) -> None:
        while True:
            try:
                items = (await self._client.get(paths.POLICIES)).get("items") or []
            except (RefusedError, UnreachableError):
                await asyncio.sleep(1.0)
                continue
            present = {item["metadata"]["name"] for item in items}
            for name in set(self._policies) - present:
                self.apply_policy("DELETED", self._policies[name][1])
            for item in items:
                self.apply_policy("MODIFIED", item)
            if not self._policies_listed:
                self._policies_listed = True
                self._tell(None, None)
            await asyncio.sleep(POLICY_RELIST_SECONDS)

    def _follow_config_maps(self) -> None:
        """One reflector for each namespace in which a policy's ConfigMap lies."""
        wanted = {policy.config_map[0] for policy, _ in self._policies.values()} | {
            names.DEFAULT_OPERATOR_NAMESPACE
        }
        for namespace in sorted(wanted - self._namespaces.keys()):
            reflector: Reflector[ConfigMapRow] = Reflector(
                self._client,
                "ConfigMap",
                paths.config_maps(namespace),
                reading.config_map,
                changed=self._tell,
                relisted=self._relisted,
                keep=_has_configs,
            )
            self._namespaces[namespace] = (reflector, asyncio.create_task(reflector.run()))
        for namespace in self._namespaces.keys() - wanted:
            self._namespaces.pop(namespace)[1].cancel()


def _policy(item: Object) -> Policy | None:
    try:
        return reading.policy(item)
    except ValueError:
        return None


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
