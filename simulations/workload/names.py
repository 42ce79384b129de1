"""No two pods of one name at a time, as far as a trace alone can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from heapq import heappop, heappush

from simulations.workload.job import Job
from simulations.workload.mistakes import Kind, Mistake


@dataclass(slots=True)
class OneAtATime:
    """Parses lines into jobs and refuses one whose name another's pod still has, even if that ran at once.

    No more names are held than pods would be there if each ran at once.

    Attributes:
        parse: a line; the jobs must be sorted by arrival.
        there: names of pods that are there at the start and never end, unless a job that arrives at 0 tells
            how long they still run.
    """

    parse: Callable[[str], Job]
    there: Collection[str] = ()
    _told: set[str] = field(default_factory=set)
    _until: dict[str, float] = field(default_factory=dict)
    _ends: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, text: str) -> Job:
        """The line's job.

        Raises:
            Mistake: `parse` finds one, or the name is in use.
        """
        job = self.parse(text)
        while self._ends and self._ends[0][0] <= job.arrival:
            del self._until[heappop(self._ends)[1]]
        if job.pod in self._until:
            until = self._until[job.pod]
            end = "never ends" if until == math.inf else f"runs until {until} s at least"
            right = "a name comes again once its pod is gone"
            raise _in_use(job, f"while the pod of a line above {end}", right)
        if job.pod in self.there and job.pod not in self._told:
            if job.arrival:
                right = "a job of its name that arrives at 0 tells how long it still runs"
                raise _in_use(job, "while the dump's pod of that name is there", right)
            self._told.add(job.pod)
        until = math.inf if job.duration is None else job.arrival + job.duration
        self._until[job.pod] = until
        heappush(self._ends, (until, job.pod))
        return job


def _in_use(job: Job, why: str, right: str) -> Mistake:
    return Mistake(Kind.NAME, "pod", f"{job.pod} arrives at {job.arrival} s {why}", right)
