"""The names under which a change asks for layouts: each attempt has its own, and so has the way back.

mig-manager acts only when the label's value changes, and never again on a value that it has failed with or
lost. So every attempt gives the same content another name. The names follow from the change alone, so that a
controller that was restarted finds the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

from autoslicer.core import configs
from autoslicer.core.rows import ConfigEntry, GpuTarget, ReconfigurationRow


@dataclass(frozen=True, slots=True)
class Config:
    """A mig-parted config by its name and content."""

    name: str
    entries: tuple[ConfigEntry, ...]


def asked(change: ReconfigurationRow) -> Config:
    """What the present attempt asks for."""
    return nth(change, change.status.attempt)


def nth(change: ReconfigurationRow, attempt: int) -> Config:
    """What the attempt asks for: the new layout, at first under the name that was planned."""
    entries = configs.entries_of(change.gpus)
    if attempt <= 1:
        return Config(change.target, entries)
    others = _names(entries, {change.target, change.source})
    return Config(next(islice(others, attempt - 2, None)), entries)


def names(change: ReconfigurationRow) -> frozenset[str]:
    """The names under which the layout was asked for so far, that of the present attempt included."""
    return frozenset(nth(change, attempt).name for attempt in range(1, change.status.attempt + 1))


def back(change: ReconfigurationRow) -> Config:
    """The layout of before under a name that the change has not used."""
    entries = configs.entries_of(_reversed(change))
    return Config(next(_names(entries, {change.target, change.source})), entries)


def leads_back(change: ReconfigurationRow, name: str) -> bool:
    """The name is one under which the layout of before is asked for."""
    return bool(name) and name in (change.source, back(change).name)


def _reversed(change: ReconfigurationRow) -> Iterator[GpuTarget]:
    return (replace(gpu, before=gpu.after, after=gpu.before) for gpu in change.gpus)


def _names(entries: tuple[ConfigEntry, ...], taken: Iterable[str]) -> Iterator[str]:
    return (name for variant in count() if (name := configs.config_name(entries, variant)) not in taken)
