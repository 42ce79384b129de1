"""A live cluster's pods as jobs of a trace, told when they end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client
from autoslicer.cluster.reflector import Reflector
from autoslicer.core import reading
from autoslicer.core.rows import PodRow, Resources
from simulations.workload.job import Job
from simulations.workload.mistakes import Mistake
from simulations.workload.requests import requests

_ROUGH_SECONDS = 5.0
"""a creation that is seen so soon is taken for the moment itself: the API server writes whole seconds"""


@dataclass(slots=True)
class _Life:
    """A pod that is there: when it came and began to run (seconds since the recording's start).

    It is `dumped` if it was there at the start.
    """

    pod: PodRow
    name: str
    arrival: float
    dumped: bool
    started: float | None = None


@dataclass(slots=True)
class Recording:
    """Turns what is heard of pods into jobs; pods of DaemonSets are none.

    A pod that was there at the start arrives at 0, and if it ran by then it runs from 0: so `simulate` takes
    it for the pod of the starting dump. One that was being deleted by then is left to the dump. A name that
    comes again gets a number, since in a simulation the first pod may still be there then.

    Attributes:
        start: seconds since the epoch.
        ended: told of every pod that has run and ended.
        unserved: how many came and went before they ran, of which nobody knows how long they would have.
        cancelled: how many were there at the start and went before they ran. Without a job those of the dump
            would run for ever, so theirs has the duration 0.
        left_out: resources that a trace does not have, by name: how many pods asked for them.
    """

    start: float
    ended: Callable[[Job], None]
    unserved: int = 0
    cancelled: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    _alive: dict[str, _Life] = field(default_factory=dict)
    _names: Counter[str] = field(default_factory=Counter)

    def begin(self, pods: Iterable[PodRow]) -> None:
        """These are there at the start."""
        for pod in pods:
            if pod.finished:
                continue
            if pod.daemon or pod.terminating:
                self._names[pod.key] += 1
            else:
                self._come(pod, 0.0, self.start, dumped=True)

    def missing(self, there: Iterable[PodRow], now: float) -> None:
        """Whoever is not among those that are there has gone; told when all of them were listed."""
        uids = {pod.uid for pod in there}
        for key, life in sorted(self._alive.items()):
            if life.pod.uid not in uids:
                self._go(key, now)

    def notice(self, old: PodRow | None, new: PodRow | None, now: float) -> None:
        """A pod has changed; None is one that is not there.

        Args:
            old: before.
            new: after.
            now: seconds since the epoch.
        """
        row = new or old
        if row is None or row.daemon:
            return
        known = self._alive.get(row.key)
        if known is not None and (new is None or new.uid != known.pod.uid):
            self._go(row.key, now)
            known = None
        if new is None:
            return
        if known is None:
            if new.finished or new.terminating:
                return
            fresh = now - new.created < _ROUGH_SECONDS
            self._come(new, max(0.0, (now if fresh else new.created) - self.start), now)
        else:
            known.pod = new
            self._begin(known, now)
        if new.finished:
            self._go(new.key, now)

    def alive(self) -> Iterator[Job]:
        """The pods that still run or wait, which have no duration."""
        for _, life in sorted(self._alive.items()):
            yield Job(life.name, _rounded(life.arrival), None, self._requests(life.pod), life.pod.priority)

    def _come(self, pod: PodRow, arrival: float, now: float, *, dumped: bool = False) -> None:
        life = _Life(pod, self._named(pod.key), arrival, dumped)
        self._alive[pod.key] = life
        self._begin(life, now)

    def _named(self, key: str) -> str:
        """A name that no pod had before: its own or, if that was there, the next free number behind it."""
        name = key
        while name in self._names:
            name = f"{key}-{self._names[key]}"
            self._names[key] += 1
        self._names[name] += 1
        return name

    def _begin(self, life: _Life, now: float) -> None:
        if life.started is None and (life.pod.phase == "Running" or (life.pod.node and life.pod.finished)):
            life.started = now - self.start

    def _go(self, key: str, now: float) -> None:
        life = self._alive.pop(key)
        if life.started is None and not life.dumped:
            self.unserved += 1
            return
        self.cancelled += life.started is None
        duration = 0.0 if life.started is None else max(0.0, now - self.start - life.started)
        found = self._requests(life.pod)
        self.ended(Job(life.name, _rounded(life.arrival), _rounded(duration), found, life.pod.priority))

    def _requests(self, pod: PodRow) -> Resources:
        found: dict[str, int] = {}
        for resource, amount in pod.requests.items():
            if resource == "pods":
                continue
            try:
                # of cpu the row has thousandths
                found |= requests({resource: f"{amount}m" if resource == "cpu" else amount})
            except Mistake:
                self.left_out[resource] += 1
        return found


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


async def follow(
    client: Client,
    recording: Recording,
    clock: Callable[[], float],
    over: asyncio.Event,
    seconds: float | None,
) -> None:
    """Listen to the pods of a cluster until it is over, or so many seconds have passed.

    Where the API server was away, what happened meanwhile counts as happened when it is heard of.
    """
    pods: Reflector[PodRow]
    listed = False

    def changed(old: PodRow | None, new: PodRow | None) -> None:
        nonlocal listed
        if old is None and new is None:
            if not listed and pods.synced:
                listed = True
                recording.missing(pods.rows.values(), clock())
            return
        recording.notice(old, new, clock())

    pods = Reflector(client, "Pod", paths.PODS, reading.pod, changed=changed)
    following = asyncio.create_task(pods.run())
    ending = asyncio.create_task(over.wait())
    try:
        await asyncio.wait({following, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        for task in (following, ending):
            task.cancel()
        await asyncio.gather(following, ending, return_exceptions=True)
