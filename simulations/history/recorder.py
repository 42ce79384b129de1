"""Keeps the history of a run while it goes on; a run that nobody wants to see has none."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from autoslicer.core import names
from autoslicer.core.fitting import slices
from autoslicer.core.nodes import evidence
from autoslicer.core.rows import NodeRow, PodRow
from simulations.gpu import Gpu
from simulations.history.bands import NodeWatch
from simulations.history.history import MOST_NODES, History, NodeBands, Supply, distribution
from simulations.history.steps import Steps
from simulations.workload.job import Job
from simulations.world import Row, World

AFTERMATH_SECONDS = 1.0
"""instances may still change so long after the write that tells of it"""


@dataclass(slots=True)
class _Slices:
    """Of one profile, now and over time."""

    waiting: int = 0
    behind: int = 0
    offered: int = 0
    used: int = 0
    courses: tuple[Steps, Steps, Steps, Steps] = field(
        default_factory=lambda: (Steps(), Steps(), Steps(), Steps())
    )

    @property
    def wanted(self) -> int:
        """How many are waited for, by pods that are there and by those that wait for their name."""
        return self.waiting + self.behind

    def stranded(self, *, wanting: bool) -> int:
        """Free ones that no waiting pod asks for, while pods wait."""
        return max(0, self.offered - self.used - self.wanted) if wanting else 0

    def note(self, at: float, *, wanting: bool) -> None:
        figures = self.wanted, self.offered, self.used, self.stranded(wanting=wanting)
        for course, figure in zip(self.courses, figures, strict=True):
            course.set(at, figure)


@dataclass(slots=True)
class Recorder:
    """Listens to every write, and looks at the GPUs of the nodes that were written at every moment.

    Attributes:
        world: the virtual cluster, before the first pod has come.
        gpus: of each node that is there or was, by name.
    """

    world: World
    gpus: Mapping[str, Sequence[Gpu]]
    _start: float = field(init=False)
    _nodes: dict[str, NodeWatch] = field(default_factory=dict)
    _profiles: defaultdict[str, _Slices] = field(default_factory=lambda: defaultdict(_Slices))
    _sizes: dict[str, int] = field(default_factory=dict)
    _held: dict[str, Counter[str]] = field(default_factory=dict)
    _offers: dict[str, Counter[str]] = field(default_factory=dict)
    _touched: dict[str, float] = field(default_factory=dict)
    _used: Steps = field(default_factory=Steps)
    _stranded: Steps = field(default_factory=Steps)
    _there: Steps = field(default_factory=Steps)
    _slices_there: int = 0

    def __post_init__(self) -> None:
        self._start = self.world.clock.now
        for node in self.gpus:
            self._join(self.world.nodes[node])
        for pod in self.world.pods.values():
            self._pod(None, pod)
        self.world.watch(self._notice)

    def look(self, behind: Mapping[str, Collection[Job]]) -> None:
        """Take down how things stand at this moment, after all that happened in it.

        Args:
            behind: the jobs that wait for the name of their pod, by name.
        """
        now = self.world.clock.now
        at = now - self._start
        for node, touched in list(self._touched.items()):
            self._offer(node, at)
            if now > touched + AFTERMATH_SECONDS:
                del self._touched[node]
        self._await(chain.from_iterable(behind.values()))
        wanting = any(found.wanted for found in self._profiles.values())
        used = stranded = 0
        for name, found in self._profiles.items():
            found.note(at, wanting=wanting)
            used += found.used * self._sizes.get(name, 0)
            stranded += found.stranded(wanting=wanting) * self._sizes.get(name, 0)
        self._used.set(at, used)
        self._stranded.set(at, stranded)
        self._there.set(at, self._slices_there)

    def _await(self, behind: Iterable[Job]) -> None:
        late = Counter[str]()
        for job in behind:
            late.update(slices(job.requests))
        for profile in late.keys() | self._profiles.keys():
            self._profiles[profile].behind = late[profile]

    def history(
        self, strategy: str, last: float, waits: Mapping[str, Sequence[float]], unserved: Iterable[str]
    ) -> History:
        """What is kept.

        Args:
            strategy: whose run it was.
            last: when the last thing happened that counts (seconds since the epoch).
            waits: of the pods that were bound, by profile.
            unserved: the profile of each pod that never was.
        """
        courses = [course for found in self._profiles.values() for course in found.courses]
        figures = (*courses, self._used, self._stranded, self._there)
        until = max(last - self._start, *(one.since for one in figures))
        never = Counter(unserved)
        return History(
            strategy=strategy,
            seconds=last - self._start,
            there=self._there.course(until),
            sizes={name: self._sizes.get(name, 0) for name in sorted(self._profiles)},
            used=self._used.course(until),
            stranded=self._stranded.course(until),
            supplies={
                name: Supply(*(course.course(until) for course in found.courses))
                for name, found in sorted(self._profiles.items())
            },
            waits={
                name: distribution(waits.get(name, ()), never[name])
                for name in sorted({*waits, *never} - {""})
            },
            nodes=self._most_changed(),
            nodes_in_all=len(self._nodes),
        )

    def _most_changed(self) -> tuple[NodeBands, ...]:
        found = sorted((watch.bands() for watch in self._nodes.values()), key=lambda node: _order(node.node))
        if len(found) > MOST_NODES:
            changed = [node for node in found if node.changed or node.changes_in_all]
            most = sorted(changed, key=lambda node: -(node.changed + node.changes_in_all))[:MOST_NODES]
            found = sorted(most, key=lambda node: _order(node.node))
        return tuple(found)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        match old, new:
            case (PodRow() | None, PodRow() | None):
                self._pod(old, new)
            case None, NodeRow():
                if new.name in self.gpus:
                    self._join(new)
            case NodeRow(), NodeRow():
                if new.name in self._nodes:
                    self._node(new)
            case NodeRow(), None:
                if old.name in self._nodes:
                    self._leave(old.name)

    def _pod(self, old: PodRow | None, new: PodRow | None) -> None:
        for row, sign in ((old, -1), (new, 1)):
            if row is None or row.finished or (row.node and row.node not in self._nodes):
                continue
            for profile, count in slices(row.requests).items():
                found = self._profiles[profile]
                if row.node:
                    found.used += sign * count
                    self._held[row.node][profile] += sign * count
                    self._touched[row.node] = self.world.clock.now
                else:
                    found.waiting += sign * count

    def _join(self, node: NodeRow) -> None:
        gpus = self.gpus[node.name]
        self._nodes[node.name] = NodeWatch(node.name, gpus, self.world.clock.now - self._start)
        self._held[node.name], self._offers[node.name] = Counter(), Counter()
        self._slices_there += _memory_slices(gpus)
        for profile in (profile for gpu in gpus for profile in gpu.geometry.profiles):
            self._sizes[profile.name] = max(profile.size, self._sizes.get(profile.name, 0))
        self._node(node)

    def _leave(self, node: str) -> None:
        self._touched[node] = self.world.clock.now
        watch = self._nodes[node]
        watch.left = self.world.clock.now - self._start
        self._slices_there -= _memory_slices(watch.gpus)

    def _node(self, node: NodeRow) -> None:
        self._touched[node.name] = self.world.clock.now
        watch, at = self._nodes[node.name], self.world.clock.now - self._start
        if any(taint.key == names.TAINT for taint in node.taints) or not evidence.advertised(node):
            watch.go(at)
        else:
            watch.come(at)

    def _offer(self, node: str, at: float) -> None:
        """What the node offers may have changed."""
        watch, held = self._nodes[node], self._held[node]
        offer = watch.look(at) if watch.left is None else Counter[str]()
        # what pods hold is there, also on a node that offers nothing, and before its instances are seen
        offer = held | offer if watch.since is None else Counter(held)
        for profile in {**offer, **self._offers[node]}:
            self._profiles[profile].offered += offer[profile] - self._offers[node][profile]
        self._offers[node] = offer


def _memory_slices(gpus: Sequence[Gpu]) -> int:
    return sum(gpu.geometry.memory_slices for gpu in gpus)


def _order(name: str) -> list[tuple[int, str]]:
    """Numbers in a name count as such."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
