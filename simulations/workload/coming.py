"""One job after the other: none arrives before the last, and no two pods of one name are there at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from simulations.workload.job import Job
from simulations.workload.mistakes import Kind, Mistake

There = Mapping[str, bool]
"""names of pods that are there at the start and never end; where it is true, a job that arrives at 0 may tell
how long the pod still runs"""
NOBODY: There = {}
_ROUNDING_SECONDS = 0.001
"""times of traces are rounded to milliseconds"""


@dataclass(slots=True)
class InTurn:
    """Parses lines into jobs and refuses one that cannot come after those before.

    That is one that arrives earlier, or whose name another's pod still has, even if that ran at once. No more
    names are held than pods would be there if each ran at once.

    Attributes:
        parse: a line.
        there: who is there at the start.
        arrival: what the lines call the arrival.
        name: what the lines call the pod.
    """

    parse: Callable[[str], Job]
    there: There = field(default_factory=dict)
    arrival: str = "arrival"
    name: str = "pod"
    _last: float = 0.0
    _told: set[str] = field(default_factory=set)
    _until: dict[str, float] = field(default_factory=dict)
    _ends: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, text: str) -> Job:
        """The line's job.

        Raises:
            Mistake: `parse` finds one, the arrival runs back, or the name is in use.
        """
        job = self.parse(text)
        if job.arrival < self._last:
            wrong = f"{job.arrival} s is before {self._last} s, when the job above arrives"
            raise Mistake(Kind.ORDER, self.arrival, wrong, "sort the lines by arrival")
        while self._ends and self._ends[0][0] <= job.arrival + _ROUNDING_SECONDS:
            del self._until[heappop(self._ends)[1]]
        self._own_name(job)
        self._last = job.arrival
        until = math.inf if job.duration is None else job.arrival + job.duration
        self._until[job.pod] = until
        heappush(self._ends, (until, job.pod))
        return job

    def _own_name(self, job: Job) -> None:
        if job.pod in self._until:
            until = self._until[job.pod]
            end = "never ends" if until == math.inf else f"runs until {round(until, 3)} s at least"
            right = "a name comes again once its pod is gone"
            raise self._in_use(job, f"while the pod of a line above {end}", right)
        if job.pod in self.there and job.pod not in self._told:
            if not self.there[job.pod]:
                raise self._in_use(job, "while a DaemonSet's pod of that name is there", "take another name")
            if job.arrival:
                right = "a job of its name that arrives at 0 tells how long it still runs"
                raise self._in_use(job, "while the dump's pod of that name is there", right)
            self._told.add(job.pod)

    def _in_use(self, job: Job, why: str, right: str) -> Mistake:
        return Mistake(Kind.NAME, self.name, f"{job.pod} arrives at {job.arrival} s {why}", right)
