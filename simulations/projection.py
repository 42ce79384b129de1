"""A ConfigMap as the kubelets show it: in every pod a while after a write, in one pod soon after a touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoslicer.core.rows import ConfigEntry, ConfigMapRow
from simulations.world import Row, World

SYNC_SECONDS = 75.0
"""from a write to the ConfigMap to the sync of the files, where nobody touches a pod: 60 to 90 s in life"""

Configs = Mapping[str, tuple[ConfigEntry, ...]]


@dataclass(slots=True)
class Projection:
    """What the kubelets' periodic sync has brought to every pod that mounts the ConfigMap."""

    world: World
    namespace: str
    name: str
    _synced: ConfigMapRow | None = None

    def __post_init__(self) -> None:
        self.world.watch(self._notice)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        if isinstance(new, ConfigMapRow) and (new.namespace, new.name) == (self.namespace, self.name):
            self.world.clock.after(SYNC_SECONDS, lambda: self._sync(new))

    def _sync(self, row: ConfigMapRow) -> None:
        self._synced = row

    def current(self) -> ConfigMapRow | None:
        """The ConfigMap as it is, which a kubelet reads when a pod of its own is touched or starts."""
        return self.world.config_maps.get((self.namespace, self.name))

    def shown(self, read: ConfigMapRow | None) -> Configs:
        """The configs in the file of a pod.

        Args:
            read: what its kubelet read last for its sake.
        """
        rows = [row for row in (read, self._synced) if row is not None]
        newest = max(rows, key=lambda row: int(row.resource_version), default=None)
        return {} if newest is None or newest.configs is None else newest.configs
