"""The newest moment that an object speaks of."""

from __future__ import annotations

from collections.abc import Iterator

from autoslicer.core import times


def newest(item: object) -> float:
    """The newest timestamp of an object; deadlines and times of deletion lie ahead and do not count."""
    return max((at for text in _timestamps(item) if (at := _seconds(text)) is not None), default=0.0)


def _timestamps(item: object) -> Iterator[object]:
    parts = item if isinstance(item, dict) else {}
    metadata, status = parts.get("metadata"), parts.get("status")
    if isinstance(metadata, dict):
        yield metadata.get("creationTimestamp")
        yield from _each(metadata.get("managedFields"), "time")
    if isinstance(status, dict):
        yield status.get("startTime")
        yield status.get("observedAt")
        yield from _each(status.get("conditions"), "lastTransitionTime", "lastHeartbeatTime")
        yield from _each(status.get("steps"), "at")


def _each(items: object, *keys: str) -> Iterator[object]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield from (item.get(key) for key in keys)


def _seconds(text: object) -> float | None:
    try:
        return times.seconds(text) if isinstance(text, str) else None
    except ValueError:
        return None
