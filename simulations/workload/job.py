"""One job of a trace: a pod that comes, asks for resources, runs for a while and goes."""

from __future__ import annotations

from dataclasses import dataclass

from autoslicer.core.rows import Resources


@dataclass(frozen=True, slots=True)
class Job:
    """A pod as a trace tells of it; a trace is an iterator of jobs, sorted by arrival.

    Attributes:
        pod: `namespace/name`; no two jobs that are alive at the same time have the same.
        arrival: when it is created, in seconds since the trace's start.
        duration: how long it runs, in seconds; None for ever.
        requests: what it asks for; no amount is 0.
        priority: higher ones come first.
    """

    pod: str
    arrival: float
    duration: float | None
    requests: Resources
    priority: int = 0
