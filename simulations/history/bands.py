"""Layouts of the GPUs of one node while a run goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulations.gpu import Gpu
from simulations.history.history import Band, Change, NodeBands
from solver.problem import Counts

MOST_LAYOUTS = 160
"""of one GPU; where it has more, those that last shortest go"""
MOST_CHANGES = 160
"""of one node whose times are kept"""


@dataclass(slots=True)
class GpuBand:
    """The layouts of one GPU, at most `MOST_LAYOUTS` of them."""

    layouts: list[tuple[float, Counts | None]]
    _grain: float = 0.5

    def add(self, at: float, layout: Counts | None) -> None:
        """It has another layout from this time on."""
        self.layouts.append((at, layout))
        while len(self.layouts) > MOST_LAYOUTS:
            self._grain *= 2
            self._thin()

    def _thin(self) -> None:
        """No layout but the last one lasts less than the grain."""
        kept: list[tuple[float, Counts | None]] = []
        for at, layout in self.layouts:
            if kept and at - kept[-1][0] < self._grain:
                kept[-1] = kept[-1][0], layout
            elif not kept or kept[-1][1] != layout:
                kept.append((at, layout))
        self.layouts = kept


@dataclass(slots=True)
class NodeWatch:
    """One node.

    Attributes:
        name: of the node.
        gpus: its GPUs.
        joined: when it came, in seconds since the start.
        left: when it went; None while it is there.
        since: when it was last seen to take no pod because it is changed; None while it takes them.
        changed: how often a layout of one of its GPUs became another.
        changes: the times in which it took none; the first `MOST_CHANGES`.
        ended: how many such times are over.
    """

    name: str
    gpus: Sequence[Gpu]
    joined: float
    left: float | None = None
    since: float | None = None
    changed: int = 0
    changes: list[Change] = field(default_factory=list)
    ended: int = 0
    _bands: list[GpuBand] = field(init=False)

    def __post_init__(self) -> None:
        self._bands = [GpuBand([(self.joined, gpu.layout)]) for gpu in self.gpus]

    def look(self, at: float) -> Counter[str]:
        """Notice layouts that have changed; the instances that there are, by profile."""
        found = Counter[str]()
        for gpu, band in zip(self.gpus, self._bands, strict=True):
            layout = gpu.layout
            if layout != band.layouts[-1][1]:
                self.changed += 1
                band.add(at, layout)
            found.update(dict(layout or ()))
        return found

    def go(self, at: float) -> None:
        """It takes no pod from this time on."""
        if self.since is None:
            self.since = at

    def come(self, at: float) -> None:
        """It takes pods again."""
        if self.since is not None:
            self.ended += 1
            if len(self.changes) < MOST_CHANGES:
                self.changes.append(Change(self.since, at))
            self.since = None

    def bands(self) -> NodeBands:
        """What is kept of it."""
        away = () if self.since is None else (Change(self.since, None),)
        gpus = tuple(
            Band(gpu.geometry.memory_slices, tuple(band.layouts))
            for gpu, band in zip(self.gpus, self._bands, strict=True)
        )
        changes, ended = (*self.changes, *away), self.ended + len(away)
        return NodeBands(self.name, self.changed, gpus, changes, ended, self.joined, self.left)
