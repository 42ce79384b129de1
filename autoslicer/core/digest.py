"""The digest of a snapshot: equal for equal clusters, in whatever order and bookkeeping they were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache

from autoslicer.core.phases import phase
from autoslicer.core.snapshot import Snapshot

_BOOKKEEPING = {
    "NodeRow": {"resource_version"},
    "PodRow": {"tried", "unschedulable_since", "bound_at", "published", "ready"},
    "ConfigMapRow": {"resource_version", "size"},
    "MigNodeRow": {"observed"},
    "Policy": {"conditions"},
    "ReconfigurationRow": {"resource_version", "status", "approved"},
}
"""what changes without changing what could be planned: versions, times of observation and statuses"""


def digest(snapshot: Snapshot) -> str:
    """`sha256:` and the hash over the objects that a plan depends on, sorted by kind, namespace and name.

    Pods that have ended and ConfigMaps that are not mig-parted's hold nothing, and of a change only its phase
    counts.
    """
    found = hashlib.sha256()
    for content in _objects(snapshot):
        found.update(json.dumps(content, separators=(",", ":"), default=str).encode())
    return f"sha256:{found.hexdigest()}"


def _objects(snapshot: Snapshot) -> Iterator[object]:
    for _, config_map in sorted(snapshot.config_maps.items()):
        if config_map.configs is not None:
            yield _plain(config_map)
    for mappings in (snapshot.mignodes, snapshot.policies, snapshot.nodes):
        for _, row in sorted(mappings.items()):
            yield _plain(row)
    for _, change in sorted(snapshot.changes.items()):
        yield [_plain(change), phase(change)]
    for _, pod in sorted(snapshot.pods.items()):
        if not pod.finished:
            yield [_plain(pod), pod.unschedulable_since is not None]
    yield from (_plain(row) for row in snapshot.resource_slices)
    yield sorted(snapshot.obscured.items())


def _plain(value: object) -> object:
    """Rows as lists of their fields in order, mappings and sets sorted."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return [[key, _plain(value[key])] for key in sorted(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [_plain(getattr(value, name)) for name in _counted(type(value))]
    if isinstance(value, frozenset):
        return sorted(value)
    assert isinstance(value, Iterable)
    return [_plain(part) for part in value]


@cache
def _counted(row: type) -> tuple[str, ...]:
    left_out = _BOOKKEEPING.get(row.__name__, set())
    return tuple(part.name for part in fields(row) if part.name not in left_out)
