"""The cluster at one moment, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoslicer.core.policy import Policy
from autoslicer.core.rows import ConfigMapRow, MigNodeRow, NodeRow, PodRow, ReconfigurationRow, ResourceSliceRow


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment. Every mapping is keyed by name (pods by `namespace/name`, ConfigMaps by (namespace, name)).

    Attributes:
        ignored: objects of kinds that the core does not read, counted by kind.
        skipped: one sentence for each malformed object that was left out.
        newest: the newest timestamp in any object, in seconds since the epoch; 0 where there is none.
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
    newest: float = 0.0
