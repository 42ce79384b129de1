"""The digest of a snapshot: equal for equal clusters, in whatever order and bookkeeping they were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from operator import attrgetter, is_
from typing import Any

from autoslicer.core.phases import phase
from autoslicer.core.reading import Row
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

_BOOKKEEPING = {
    "NodeRow": {"resource_version"},
    "PodRow": {"key", "tried", "unschedulable_since", "bound_at", "published", "ready"},
    "ConfigMapRow": {"resource_version", "size"},
    "MigNodeRow": {"observed"},
    "Policy": {"conditions"},
    "ReconfigurationRow": {"resource_version", "status", "approved"},
}
"""what changes without changing what could be planned: versions, times of observation and statuses; and what
follows from the rest"""

_PIECE = 2047
"""bytes; for more hashlib lets go of the interpreter's lock, and a thread that does so again and again, each
time for a moment only, keeps all others from getting it for as long as that goes on"""


@dataclass(frozen=True, slots=True)
class Digests:
    """The digest of a snapshot, and what it was made from.

    Attributes:
        whole: `sha256:` and the hash over all objects.
        rows: by kind and name, each row that counts with its own hash.
    """

    whole: str = ""
    rows: Mapping[str, Mapping[Any, tuple[Row, bytes]]] = field(default_factory=dict)


def digest(snapshot: Snapshot) -> str:
    """`sha256:` and the hash over the objects that a plan depends on, sorted by kind, namespace and name.

    Pods that have ended and ConfigMaps that are not mig-parted's hold nothing, and of a change only its phase
    counts.
    """
    return digested(snapshot, Digests()).whole


def digested(snapshot: Snapshot, before: Digests) -> Digests:
    """The digest of a snapshot; rows that are those of another one are not looked into again."""
    rows = {kind: _each(named, before.rows.get(kind, {})) for kind, named in _mappings(snapshot)}
    found = hashlib.sha256()
    for hashed in rows.values():
        found.update(b"".join(own for _, own in hashed.values()))
    rest = [[_plain(row) for row in snapshot.resource_slices], sorted(snapshot.obscured.items())]
    found.update(_hashed(rest))
    return Digests(f"sha256:{found.hexdigest()}", rows)


def _mappings(snapshot: Snapshot) -> Iterator[tuple[str, Iterable[tuple[object, Row]]]]:
    """The rows that count, each under its name, sorted, by kind."""
    maps = sorted(snapshot.config_maps.items())
    yield "ConfigMap", ((name, row) for name, row in maps if row.configs is not None)
    yield "MigNode", sorted(snapshot.mignodes.items())
    yield "MigAutoscalingPolicy", sorted(snapshot.policies.items())
    yield "Node", sorted(snapshot.nodes.items())
    yield "MigReconfiguration", sorted(snapshot.changes.items())
    yield "Pod", ((key, pod) for key, pod in sorted(snapshot.pods.items()) if not pod.finished)


def _each(
    named: Iterable[tuple[object, Row]], before: Mapping[object, tuple[Row, bytes]]
) -> dict[object, tuple[Row, bytes]]:
    """Each row with its own hash."""
    return {
        name: known
        if (known := before.get(name)) is not None and known[0] is row
        else (row, known[1] if known is not None and _alike(known[0], row) else _hashed(_content(row)))
        for name, row in named
    }


def _alike(row: Row, other: Row) -> bool:
    """Whether one row was made from the other with nothing changed that counts."""
    if type(row) is not type(other):
        return False
    kind: Any = type(row)
    parts = _parts_of(kind)
    return all(map(is_, parts(row), parts(other))) and _derived(row) == _derived(other)


def _content(row: Row) -> object:
    return [type(row).__name__, _plain(row), *_derived(row)]


def _derived(row: Row) -> list[object]:
    """What counts of the fields that do not count as they are."""
    match row:
        case ReconfigurationRow():
            return [phase(row)]
        case PodRow():
            return [row.unschedulable_since is not None]
    return []


def _hashed(content: object) -> bytes:
    text = json.dumps(content, separators=(",", ":"), default=str).encode()
    found = hashlib.sha256()
    for start in range(0, len(text), _PIECE):
        found.update(text[start : start + _PIECE])
    return found.digest()


def _plain(value: object) -> object:
    """Rows as lists of their fields in order, mappings and sets sorted."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return [[key, _plain(value[key])] for key in sorted(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [_plain(getattr(value, name)) for name in _counted(value)]
    if isinstance(value, frozenset):
        return sorted(value)
    assert isinstance(value, Iterable)
    return [_plain(part) for part in value]


def _counted(row: object) -> tuple[str, ...]:
    """The fields of a row that count."""
    kind: Any = type(row)
    return _counted_of(kind)


@cache
def _parts_of(kind: Any) -> Callable[[object], tuple[object, ...]]:
    """Gives the content of the fields that count; each kind of row has several."""
    return attrgetter(*_counted_of(kind))


@cache
def _counted_of(kind: Any) -> tuple[str, ...]:
    left_out = _BOOKKEEPING.get(kind.__name__, set())
    return tuple(part.name for part in fields(kind) if part.name not in left_out)
