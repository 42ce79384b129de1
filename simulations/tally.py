"""What a simulation is judged by, counted while it runs: waits, slices in use, nodes out of service."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from autoslicer.core import names
from autoslicer.core.fitting import slices
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase, reached
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow
from simulations.arrivals import Arrivals
from simulations.gpu import Gpu
from simulations.world import Row, World


@dataclass(slots=True)
class Tally:
    """Listens to every write; a pod counts from its arrival to its end, whatever happens to it in between.

    Attributes:
        world: the virtual cluster.
        arrivals: of the pods that count.
        gpus: of each node that is there or was, by name.
        waits: seconds from arrival to the first binding, by the pod's first profile by name; pods that ask
            for no slice do not count.
        pods: how many have come.
        completed: how many have ended.
        evictions: how often one was deleted that was bound, by somebody, with its node or by a reboot.
        reshapes: how many changes of nodes have reached their layout.
        gpus_changed: GPUs that got another layout in them.
        last: when a pod last came, was bound, was evicted or ended (seconds since the epoch); what comes
            after it keeps no node out of service.
    """

    world: World
    arrivals: Arrivals
    gpus: Mapping[str, Sequence[Gpu]]
    waits: dict[str, array[float]] = field(default_factory=dict)
    pods: int = 0
    completed: int = 0
    evictions: int = 0
    reshapes: int = 0
    gpus_changed: int = 0
    last: float = field(init=False)
    _held: float = 0.0
    _unavailable: float = 0.0
    _since_last: list[tuple[float, float]] = field(default_factory=list)
    _served: dict[str, float] = field(default_factory=dict)
    _holding: dict[str, tuple[float, int]] = field(default_factory=dict)
    _away: dict[str, float] = field(default_factory=dict)
    _sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    _there: dict[str, tuple[float, float]] = field(default_factory=dict)
    _ending: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.last = self.world.clock.now
        for node in self.gpus:
            self._join(node)
        self.world.watch(self._notice)
        self.arrivals.heard = self._come
        for key in self.arrivals.alive:
            self.pods += 1
            pod = self.world.pods[key]
            if pod.node:
                self._hold(pod)
                self._served[key] = 0.0

    @property
    def idle(self) -> bool:
        """No pod runs that will end."""
        return not self._ending

    def _hold(self, pod: PodRow) -> None:
        self._holding[pod.key] = self.world.clock.now, self._size(pod)
        if pod.key in self.world.durations:
            self._ending.add(pod.key)

    @property
    def held(self) -> float:
        """Memory slices of GPUs that pods have held, times seconds."""
        return self._held + sum((self.last - since) * size for since, size in self._holding.values())

    @property
    def offered(self) -> float:
        """Memory slices of the GPUs that there were, times seconds."""
        return sum(
            max(0.0, min(until, self.last) - since)
            * sum(gpu.geometry.memory_slices for gpu in self.gpus[node])
            for node, (since, until) in self._there.items()
        )

    @property
    def unavailable(self) -> float:
        """Seconds, summed over the nodes, in which a node took no pod for slices because it was changed."""
        began = [since for since, _ in self._since_last] + list(self._away.values())
        return self._unavailable + sum(max(0.0, self.last - since) for since in began)

    def without_node(self) -> Iterator[str]:
        """The names of the pods that are there and have no node."""
        return (key for key in sorted(self.arrivals.alive) if key not in self._holding)

    def behind(self) -> int:
        """How many pods wait for their name."""
        return sum(map(len, self.arrivals.behind.values()))

    def waiting(self) -> list[tuple[str, float]]:
        """Of each pod that was never bound: its first profile (empty for none), and how long it waits."""
        there = (job for key, job in sorted(self.arrivals.alive.items()) if key not in self._served)
        behind = chain.from_iterable(jobs for _, jobs in sorted(self.arrivals.behind.items()))
        return [
            (_first(job.requests), self.last - self.arrivals.arrived(job)) for job in chain(there, behind)
        ]

    def waiting_again(self) -> list[tuple[str, float]]:
        """Of each pod that was bound once and has no node now: its first profile, and its wait at first."""
        alive = self.arrivals.alive
        return [
            (_first(job.requests), self._served[key])
            for key, job in sorted(alive.items())
            if key in self._served and key not in self._holding
        ]

    def _notice(self, old: Row | None, new: Row | None) -> None:
        match old, new:
            case (PodRow() | None, PodRow() | None):
                self._pod(old, new)
            case NodeRow(), NodeRow():
                self._node(new)
            case None, NodeRow():
                self._join(new.name)
            case NodeRow(), None:
                self._leave(old.name)
            case ReconfigurationRow(), ReconfigurationRow():
                if reached(old, Phase.VERIFIED) is None and reached(new, Phase.VERIFIED) is not None:
                    self.reshapes += 1
                    self.gpus_changed += sum(gpu.changed for gpu in new.gpus)

    def _go_on(self) -> None:
        """Something became of a pod: nodes that were out of service until now were so within the run."""
        self.last = self.world.clock.now
        self._unavailable += sum(until - since for since, until in self._since_last)
        self._since_last.clear()

    def _come(self) -> None:
        self.pods += 1
        self._go_on()

    def _pod(self, old: PodRow | None, new: PodRow | None) -> None:
        row = new or old
        assert row is not None
        if row.key not in self.arrivals.alive or (old is not None and old.finished):
            return
        if new is not None and new.node and not (old and old.node):
            self._hold(new)
            self._first_binding(new)
        elif row.finished or (new is None and row.node):
            self._let_go(row, ended=row.finished)

    def _first_binding(self, pod: PodRow) -> None:
        self._go_on()
        if pod.key in self._served:
            return
        wait = self.last - self.arrivals.arrived(self.arrivals.alive[pod.key])
        self._served[pod.key] = wait
        if profile := _first(pod.requests):
            self.waits.setdefault(profile, array("d")).append(wait)

    def _let_go(self, pod: PodRow, *, ended: bool) -> None:
        now = self.world.clock.now
        self._ending.discard(pod.key)
        if pod.key in self._holding:
            since, size = self._holding.pop(pod.key)
            self._held += (now - since) * size
            if not ended:
                self.evictions += 1
                self._go_on()
        if pod.phase == "Succeeded":
            self.completed += 1
            self._go_on()
            self._served.pop(pod.key, None)

    def _size(self, pod: PodRow) -> int:
        sizes = self._sizes.get(pod.node, {})
        return sum(sizes.get(profile, 0) * count for profile, count in slices(pod.requests).items())

    def _join(self, node: str) -> None:
        if node in self.gpus:
            self._there[node] = self.world.clock.now, math.inf
            self._sizes[node] = {
                profile.name: profile.size for gpu in self.gpus[node] for profile in gpu.geometry.profiles
            }

    def _leave(self, node: str) -> None:
        if node in self._there:
            self._there[node] = self._there[node][0], self.world.clock.now
        if node in self._away:
            self._since_last.append((self._away.pop(node), self.world.clock.now))

    def _node(self, node: NodeRow) -> None:
        away = any(taint.key == names.TAINT for taint in node.taints) or not evidence.advertised(node)
        if away and node.name not in self._away:
            self._away[node.name] = self.world.clock.now
        elif not away and node.name in self._away:
            self._since_last.append((self._away.pop(node.name), self.world.clock.now))


def _first(requests: Mapping[str, int]) -> str:
    return next(iter(slices(requests)), "")
