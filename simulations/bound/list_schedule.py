"""The preemptive list schedule on one machine as fast as all GPUs, and the prices that prove it best."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """A job as a bound sees it.

    Attributes:
        release: when it may start at the earliest (seconds).
        duration: how long it runs then, without a pause (seconds); None for ever.
        width: GPUs that it holds all the while, in parts of one.
    """

    release: float
    duration: float | None
    width: float


@dataclass(frozen=True, slots=True)
class Segment:
    """The price of a GPU from `start` to `end` (seconds): it falls evenly from `first` to `last`."""

    start: float
    end: float
    first: float
    last: float


def prices(works: Sequence[Work], gpus: float) -> list[Segment]:
    """The price of a GPU over time by which the list schedule is proven best, in order of time.

    On a machine of speed `gpus` that may interrupt, work w = width x duration of each job becomes w / gpus
    seconds. Running, at every moment, the job with the least work of all that are there (of what it had at
    first, not of what is left) makes the sum of mean busy times as small as it can be (Goemans, 1997): a
    moment t of job j costs t / w_j, so that two moments of two jobs that both are there are better swapped
    wherever the one with less work has the later. In the dual of that program each job has a constant u_j,
    and where j runs the price is u_j - t / w_j: no other moment is cheaper for it. The constants follow
    backwards from the end of each busy period, where the price is 0. Prices are per GPU and second.

    Args:
        works: the jobs; those that never end, or hold nothing, have no part in it.
        gpus: how many there are for them.
    """
    sizes = [(work.duration or 0.0) * work.width / gpus for work in works]
    found: list[Segment] = []
    level: dict[int, float] = {}
    following = 0.0
    later: float | None = None
    for start, end, job in reversed(_runs(works, sizes)):
        after = following if later == end else 0.0
        level.setdefault(job, end / sizes[job] + after)
        first, last = (max(0.0, level[job] - at / sizes[job]) for at in (start, end))
        found.append(Segment(start, end, first / gpus, last / gpus))
        following, later = first, start
    return found[::-1]


def _runs(works: Sequence[Work], sizes: Sequence[float]) -> list[tuple[float, float, int]]:
    """(start, end, job) of each uninterrupted run of the list schedule."""
    coming = sorted((index for index, size in enumerate(sizes) if size > 0), key=lambda j: works[j].release)
    left = list(sizes)
    here: list[tuple[float, int]] = []
    runs: list[tuple[float, float, int]] = []
    now, position = 0.0, 0
    while position < len(coming) or here:
        if not here:
            now = max(now, works[coming[position]].release)
        while position < len(coming) and works[coming[position]].release <= now:
            heapq.heappush(here, (sizes[coming[position]], coming[position]))
            position += 1
        job = here[0][1]
        end = now + left[job]
        if position < len(coming) and works[coming[position]].release < end:
            end = works[coming[position]].release
            left[job] -= end - now
        else:
            heapq.heappop(here)
        runs.append((now, end, job))
        now = end
    return runs
