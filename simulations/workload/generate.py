"""Workloads from a seed: Poisson arrivals, durations of a distribution, profiles by weight."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count

from simulations.workload.draws import Draws
from simulations.workload.job import Job
from simulations.workload.records import MOST_SECONDS
from solver.profile_name import resource_name

Weights = Mapping[str, float]
"""how often each is drawn, relative to the others; at least one is more than 0"""


@dataclass(frozen=True, slots=True)
class Constant:
    """Every pod runs equally long, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """Durations without memory, by their mean in seconds."""

    mean: float


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Many short and few very long durations.

    Attributes:
        median: in seconds.
        sigma: standard deviation of the logarithm; the mean is median * exp(sigma^2 / 2).
    """

    median: float
    sigma: float


Durations = Constant | Exponential | Lognormal


@dataclass(frozen=True, slots=True)
class Generation:
    """What is generated.

    Attributes:
        seed: equal ones give equal jobs.
        pods: how many.
        arrival_rate: pods a second, on average.
        durations: how long they run.
        profiles: which profile a pod asks for.
        shift_to: the weights that `profiles` have become by the last pod, moving evenly from pod to pod; None
            where they stay.
        priorities: of the pods, written as digits.
        namespaces: of the pods.
        cpu: of each pod, in thousandths of a core.
        memory: of each pod, in bytes.
    """

    seed: int
    pods: int
    arrival_rate: float
    durations: Durations
    profiles: Weights
    shift_to: Weights | None = None
    priorities: Weights = field(default_factory=lambda: {"0": 1.0})
    namespaces: Weights = field(default_factory=lambda: {"team": 1.0})
    cpu: int = 0
    memory: int = 0


def generate(wanted: Generation, there: Container[str] = ()) -> Iterator[Job]:
    """The jobs, in the order of their arrival, one at a time; times are whole milliseconds.

    Arrivals, durations, profiles, priorities and namespaces are drawn from streams of their own: a change of
    one leaves the others as they were.

    Args:
        wanted: what is generated.
        there: names that no pod may have.
    """
    arrivals, durations, profiles, priorities, namespaces = (
        Draws(wanted.seed, purpose)
        for purpose in ("arrivals", "durations", "profiles", "priorities", "namespaces")
    )
    digits, now = len(str(wanted.pods)), 0.0
    also = {name: units for name, units in (("cpu", wanted.cpu), ("memory", wanted.memory)) if units}
    for number in range(1, wanted.pods + 1):
        now += arrivals.exponential() / wanted.arrival_rate
        profile = profiles.choice(_weights(wanted, number))
        yield Job(
            pod=_free(f"{namespaces.choice(wanted.namespaces)}/job-{number:0{digits}}", there),
            arrival=_milliseconds(now),
            duration=_milliseconds(_duration(durations, wanted.durations)),
            requests={resource_name(profile): 1, **also},
            priority=int(priorities.choice(wanted.priorities)),
        )


def _free(name: str, there: Container[str]) -> str:
    """The name or, if it is taken, the first free one with a number behind it."""
    names = chain([name], (f"{name}-{number}" for number in count(1)))
    return next(one for one in names if one not in there)


def _duration(draws: Draws, durations: Durations) -> float:
    match durations:
        case Constant(seconds):
            return seconds
        case Exponential(mean):
            return mean * draws.exponential()
        case Lognormal(median, sigma):
            return median * draws.lognormal(sigma)


def _milliseconds(seconds: float) -> float:
    """In whole milliseconds, and no longer than a trace may be."""
    return round(min(seconds, float(MOST_SECONDS)), 3)


def _weights(wanted: Generation, number: int) -> Weights:
    """The weights of the profiles for the pod of this number."""
    if wanted.shift_to is None:
        return wanted.profiles
    part = (number - 1) / max(1, wanted.pods - 1)
    # the plain sum of floats is another one since Python 3.12
    before, after = math.fsum(wanted.profiles.values()), math.fsum(wanted.shift_to.values())
    return {
        name: (1 - part) * wanted.profiles.get(name, 0.0) / before
        + part * wanted.shift_to.get(name, 0.0) / after
        for name in sorted({*wanted.profiles, *wanted.shift_to})
    }
