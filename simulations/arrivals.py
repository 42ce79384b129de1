"""A trace's jobs come into the virtual cluster, each at its time, and their pods leave it when they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from autoslicer.core import names
from autoslicer.core.fitting import slices
from autoslicer.core.rows import PodRow
from simulations.cluster import daemon_key
from simulations.scenario.scenario import Scenario
from simulations.successor import successor
from simulations.workload.coming import There
from simulations.workload.job import Job
from simulations.world import Row, World


@dataclass(slots=True)
class Arrivals:
    """Creates the pod of each job when it arrives; no job is read before the one before it has come.

    Pods that are there already and ask for slices are jobs that came at the start and run for ever, unless a
    job that arrives at 0 has their name: it tells how long they still run, and creates nothing.

    A job whose name another pod still has comes behind it: its pod is created when that one has gone, as
    whoever makes pods in a cluster has to wait for the name.

    A pod that ended well leaves the cluster at once. One that failed is made anew under its name, as its
    controller would.

    Attributes:
        world: the virtual cluster.
        jobs: sorted by arrival.
        admit: creates the pod of a job.
        alive: the jobs whose pods have come and have not ended, by the name of their pod.
        behind: those that have come and wait for their name, the first first.
        over: no further job comes.
        heard: called when a job has come, before its pod is created.
    """

    world: World
    jobs: Iterator[Job]
    admit: Callable[[Job], None]
    alive: dict[str, Job] = field(default_factory=dict)
    behind: dict[str, deque[Job]] = field(default_factory=dict)
    over: bool = False
    heard: Callable[[], None] = lambda: None
    _start: float = field(init=False)
    _before: dict[str, PodRow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._start = self.world.clock.now
        self.world.watch(self._notice)
        there = [pod for pod in self.world.pods.values() if _stays(pod)]
        for pod in there:
            if joins(pod):
                self._find(pod, None)
        if there:
            self._take_over()
        self._next()

    def _find(self, pod: PodRow, duration: float | None) -> None:
        requests = {name: amount for name, amount in pod.requests.items() if name != "pods"}
        self.alive[pod.key] = Job(pod.key, 0.0, duration, requests, pod.priority)
        self._before[pod.key] = pod

    def _take_over(self) -> None:
        """Read the jobs that arrive at 0: some of them tell of pods that are there."""
        first: list[Job] = []
        known: set[str] = set()
        for job in self.jobs:
            pod = self.world.pods.get(job.pod)
            if job.arrival or pod is None or job.pod in known or not _stays(pod):
                first.append(job)
            else:
                known.add(job.pod)
                self._find(pod, job.duration)
                self._end_after(pod, job.duration)
            if job.arrival:
                break
        self.jobs = chain(first, self.jobs)

    def _end_after(self, pod: PodRow, duration: float | None) -> None:
        if duration is not None:
            self.world.durations[pod.key] = duration
            if pod.node:
                self.world.clock.after(duration, lambda: self._finish(pod))

    def _finish(self, found: PodRow) -> None:
        """A pod that ran from the start ends, unless it was evicted since."""
        pod = self.world.pods.get(found.key)
        if pod is not None and pod.uid == found.uid and not pod.finished:
            self.world.write(replace(pod, phase="Succeeded", ready=False))

    @property
    def ended(self) -> bool:
        """No further job comes, and the pods of all have ended."""
        return self.over and not self.alive and not self.behind

    def arrived(self, job: Job) -> float:
        """When the job came, in seconds since the epoch."""
        return self._start + job.arrival

    def _next(self) -> None:
        job = next(self.jobs, None)
        if job is None:
            self.over = True
            return
        self.world.clock.after(max(0.0, self.arrived(job) - self.world.clock.now), lambda: self._arrive(job))

    def _arrive(self, job: Job) -> None:
        self.heard()
        self.behind.setdefault(job.pod, deque()).append(job)
        self._create_next(job.pod)
        self._next()

    def _create_next(self, name: str) -> None:
        """Create the pod of the first job that waits for a name, if nobody has it any more."""
        if name in self.alive or name in self.world.pods or name not in self.behind:
            return
        jobs = self.behind[name]
        job = self.alive[name] = jobs.popleft()
        if not jobs:
            del self.behind[name]
        self.admit(job)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        # those who are still to be told of this must not hear of what comes after it before
        if isinstance(new, PodRow) and new.finished and new.key in self.alive:
            self.world.clock.after(0.0, lambda: self._ended(new))
        elif isinstance(old, PodRow) and new is None and old.key in self.behind:
            self.world.clock.after(0.0, lambda: self._create_next(old.key))

    def _ended(self, pod: PodRow) -> None:
        self.world.durations.pop(pod.key, None)
        if pod.phase == "Failed":
            self.world.delete(pod)
            self._make_anew(self.alive[pod.key])
        else:
            del self.alive[pod.key]
            self._before.pop(pod.key, None)
            self.world.delete(pod)

    def _make_anew(self, job: Job) -> None:
        """Another pod under the name of one that failed; what was there before keeps its constraints."""
        found = self._before.get(job.pod)
        if found is None:
            self.admit(job)
            return
        if job.duration is not None:
            self.world.durations[job.pod] = job.duration
        self.world.write(successor(self.world, found))


def _stays(pod: PodRow) -> bool:
    """Somebody's pod that has not ended and is not about to."""
    return not pod.finished and not pod.terminating and not pod.daemon


def joins(pod: PodRow) -> bool:
    """A pod that is there at the start counts among those of a simulation: it stays and asks for slices."""
    return _stays(pod) and bool(slices(pod.requests))


def staying(pods: Iterable[PodRow]) -> There:
    """Those of the pods at the start that no other pod can have the name of."""
    return {pod.key: not pod.daemon for pod in pods if not pod.finished and not pod.terminating}


def operands(scenario: Scenario) -> There:
    """The pods of DaemonSets that are on a scenario's nodes whenever these are there."""
    namespace, _ = scenario.policy.config_map
    return {daemon_key(namespace, names.MIG_MANAGER_APP, node.name): False for node in scenario.nodes}
