"""The pods that wait, and the order in which kube-scheduler tries them: a backlog costs what its kinds cost.

What the scheduler looks at in a pod is its kind. Where one pod of a kind finds no node no other one does,
so that an event which wakes a kind tries its first pod alone, and moves the rest as one. Pods of a kind to
which the same happened form a run. Every attempt without a node gives a pod a new place behind those of its
priority: a run as a whole gets it by a shift of `base`, and a pod keeps the number that it has in its run.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar

from simulations.scheduler.backoff import ACTIVE, LONGEST_AFTER, flushed, window

Stamp = tuple[float, int]
"""when something came into the queue (seconds), and a number for what came at the same time"""
Place = tuple[float, int, float, int, int]
"""window, less the priority, stamp, number: what comes first in a round is the least"""


@dataclass(slots=True, eq=False)
class Run:
    """Pods of one kind, by their places, to which the same happened: what wakes one wakes all.

    Attributes:
        stamp: of the round in which they were tried last.
        attempts: how often they were tried, up to LONGEST_AFTER.
        rejectors: the plugins that kept them off the nodes then.
        base: to be added to the number of each.
    """

    pods: list[str]
    stamp: Stamp
    attempts: int
    rejectors: frozenset[str] = frozenset()
    base: int = 0

    def like(self, pods: list[str], base: int) -> Run:
        """Other pods to which the same happened."""
        return Run(pods, self.stamp, self.attempts, self.rejectors, base)

    def joins(self, other: Run) -> bool:
        """The same happened to both."""
        mine, its = (
            (self.stamp, self.attempts, self.rejectors),
            (other.stamp, other.attempts, other.rejectors),
        )
        return mine == its


@dataclass(slots=True, eq=False)
class Waiting:
    """Those that wait of one kind, by their places.

    Attributes:
        rejectors: the plugins that keep such pods off the nodes, when one was tried last.
        blamed: the plugins that kept any of those off that wait.
    """

    priority: int
    runs: list[Run] = field(default_factory=list)
    rejectors: frozenset[str] = frozenset()
    blamed: frozenset[str] = frozenset()


K = TypeVar("K", bound=Waiting)


class _Head(NamedTuple, Generic[K]):
    """A run in a round, by the place of its first pod, which no other has."""

    place: Place
    run: Run
    kind: K
    fresh: bool


class Queue(Generic[K]):
    """Every pod that was tried and found no node.

    Attributes:
        waiting: the kinds of which some pod waits, as the keys of a dict.
    """

    def __init__(self) -> None:
        self.waiting: dict[K, None] = {}
        self._numbers: dict[str, int] = {}
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, pod: str) -> bool:
        return pod in self._numbers

    def stamp(self, now: float) -> Stamp:
        """The stamp of what comes now."""
        self._ticks += 1
        return now, self._ticks

    def remove(self, pod: str, kind: K) -> Run:
        """Take a pod out; the run has it alone and tells of its attempts."""
        for run in kind.runs:
            if pod in run.pods:
                run.pods.remove(pod)
                if not run.pods:
                    self.take(kind, [run])
                number = self._numbers.pop(pod) + run.base
                return run.like([pod], number)
        raise KeyError(pod)

    def take(self, kind: K, runs: list[Run]) -> None:
        """Take runs out, to be tried."""
        kind.runs = [run for run in kind.runs if run not in runs] if len(runs) < len(kind.runs) else []
        if not kind.runs:
            del self.waiting[kind]
            kind.blamed = frozenset()

    def restore(self, alone: Run, kind: K) -> None:
        """Put a pod that was taken out under another kind, where it was."""
        self.lower(alone)
        self.waiting[kind] = None
        kind.blamed |= alone.rejectors
        for run in tuple(kind.runs):
            if run.stamp == alone.stamp and self.number(run, 0) < alone.base < self.number(run, -1):
                at = next(at for at in range(len(run.pods)) if self.number(run, at) > alone.base)
                behind = run.like(run.pods[at:], run.base)
                del run.pods[at:]
                kind.runs.insert(kind.runs.index(run) + 1, behind)
        insort(kind.runs, alone, key=lambda run: (run.stamp, self.number(run, 0)))

    def number(self, run: Run, at: int) -> int:
        """The number of a pod of the run; comparable between runs of one stamp."""
        return run.base + self._numbers[run.pods[at]]

    def enter(self, pod: str) -> Run:
        """The run of a pod that is about to be tried for the first time."""
        self._numbers[pod] = 0
        return Run([pod], (0.0, 0), 0)

    def lift(self, run: Run) -> Run:
        """Take the first pod of a run out, to be tried."""
        pod = run.pods.pop(0)
        return run.like([pod], run.base + self._numbers.pop(pod))

    def lower(self, alone: Run) -> None:
        """Take a pod in again that was tried, or was taken out."""
        self._numbers[alone.pods[0]] = 0

    def append(self, kind: K, run: Run) -> None:
        """Put a run behind the others of its kind, into the last one where they have come to be the same."""
        self.waiting[kind] = None
        kind.blamed |= run.rejectors
        last = kind.runs[-1] if kind.runs else None
        if last is None or not last.joins(run):
            kind.runs.append(run)
        elif len(run.pods) <= len(last.pods):
            self._renumber(run, last.base)
            last.pods.extend(run.pods)
        else:
            self._renumber(last, run.base)
            run.pods[:0] = last.pods
            kind.runs[-1] = run

    def _renumber(self, run: Run, base: int) -> None:
        for pod in run.pods:
            self._numbers[pod] += run.base - base


class Round(Generic[K]):
    """One emptying of the queue: what is tried now, pod by pod, in kube-scheduler's order.

    A pod that is popped is out of the queue unless it is said to `fail`; after the last `close` is due.
    """

    def __init__(self, queue: Queue[K], now: float, woken: Iterable[tuple[K, list[Run]]]) -> None:
        self._queue, self._now = queue, now
        self._heads: list[_Head[K]] = []
        self._over: list[_Head[K]] = []
        self._hopeless: dict[K, list[_Head[K]]] = {}
        self._popped: _Head[K] | None = None
        for kind, runs in woken:
            queue.take(kind, runs)
            for run in runs:
                tried, run.attempts = flushed(run.stamp[0], run.attempts, now)
                run.stamp = tried, run.stamp[1]
                self._push(run, kind)

    def arrive(self, pod: str, kind: K, stamp: Stamp) -> None:
        """A pod that was never tried takes part in the round."""
        run = self._queue.enter(pod)
        run.stamp = stamp
        heapq.heappush(self._heads, _Head((ACTIVE, -kind.priority, *stamp, 0), run, kind, fresh=True))

    def pop(self) -> tuple[str, K] | None:
        """The pod to try now, of hopeless kinds only one that came just now; None where the round is over."""
        while self._heads:
            head = heapq.heappop(self._heads)
            if head.kind in self._hopeless and not head.fresh:
                self._hopeless[head.kind].append(head)
                continue
            alone = self._queue.lift(head.run)
            if head.run.pods:
                self._push(head.run, head.kind)
            self._popped = _Head(head.place, alone, head.kind, head.fresh)
            return alone.pods[0], head.kind
        return None

    def hopeless(self, kind: K) -> bool:
        """A pod of the kind found no node in this round."""
        return kind in self._hopeless

    def fail(self, kind: K, rejectors: frozenset[str], *, alone: bool) -> None:
        """The pod found no node and waits as one of `kind`; unless `alone`, none of that finds one."""
        assert self._popped is not None
        head = self._popped
        self._queue.lower(head.run)
        head.run.rejectors = rejectors
        self._over.append(_Head(head.place, head.run, kind, head.fresh))
        if not alone:
            self._hopeless.setdefault(kind, [])

    def reopen(self) -> None:
        """Room has come up on the way: what is behind the pod that was tried last has a chance again."""
        assert self._popped is not None
        hopeless, self._hopeless = self._hopeless, {}
        for head in (head for heads in hopeless.values() for head in heads):
            run, passed = head.run, list[str]()
            while run.pods and self._place(run, head.kind) < self._popped.place:
                passed.append(run.pods.pop(0))
            if passed:
                before = run.like(passed, run.base)
                before.rejectors = head.kind.rejectors
                self._over.append(_Head(head.place, before, head.kind, fresh=False))
            if run.pods:
                self._push(run, head.kind)

    def close(self) -> None:
        """Give all that found no node their new places, in the order in which they were tried."""
        stamp = self._queue.stamp(self._now)
        parked = [head for heads in self._hopeless.values() for head in heads]
        for head in parked:
            head.run.rejectors = head.kind.rejectors
        heads = sorted([*self._over, *parked])
        reached: dict[int, int] = {}
        for place, block in groupby(heads, key=lambda head: head.place[:4]):
            reached[place[1]] = self._shift([head.run for head in block], reached.get(place[1], -1))
        for head in heads:
            head.run.stamp, head.run.attempts = stamp, min(head.run.attempts + 1, LONGEST_AFTER)
            self._queue.append(head.kind, head.run)

    def _shift(self, runs: list[Run], reached: int) -> int:
        """Move runs that interleave behind what is before them; the highest number there is by then."""
        shift = max(0, reached + 1 - min(self._queue.number(run, 0) for run in runs))
        for run in runs:
            run.base += shift
        return max(self._queue.number(run, -1) for run in runs)

    def _push(self, run: Run, kind: K) -> None:
        heapq.heappush(self._heads, _Head(self._place(run, kind), run, kind, fresh=False))

    def _place(self, run: Run, kind: K) -> Place:
        ready = window(run.stamp[0], run.attempts, self._now)
        return ready, -kind.priority, *run.stamp, self._queue.number(run, 0)
