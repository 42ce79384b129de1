"""Where HAMi's dynamic MIG and NVIDIA's DRA driver put a pod's instances.

docs/baselines.md has the sources. Rules look at the instances that are there and say where others go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Protocol

from simulations.gpu import Gpu, Instance
from solver.geometry import Geometry
from solver.problem import Counts


@dataclass(frozen=True, slots=True)
class Seat:
    """An instance to be created: the position of its GPU on the node, and its first memory unit."""

    gpu: int
    profile: str
    start: int


class Rule(Protocol):
    """How a system chooses.

    Attributes:
        name: by which the strategy is known.
    """

    name: str

    def seats(self, gpus: Sequence[Gpu], slices: Mapping[str, int]) -> tuple[Seat, ...] | None:
        """Where the slices of a pod go on a node; None where they do not fit."""
        ...

    def worth(self, gpus: Sequence[Gpu], free: float) -> float:
        """How good a node is; the best of those that fit is taken, and the first by name of equal ones.

        Args:
            gpus: of the node.
            free: the mean share of its CPU and memory that no pod asks for.
        """
        ...


class Hami:
    """HAMi 2.10 with its defaults: the fullest node, there the emptiest GPU, the last of equal ones.

    Instances with one or three compute slices go as high on the GPU as they can, others as low. One slice
    comes after the other, the largest first, and none is placed again for another's sake.
    """

    name = "hami"

    def seats(self, gpus: Sequence[Gpu], slices: Mapping[str, int]) -> tuple[Seat, ...] | None:
        """See `Rule`."""
        tried = [_copy(gpu) for gpu in gpus]
        found: list[Seat] = []
        for profile in _flat(slices):
            seat = self._seat(tried, profile)
            if seat is None:
                return None
            tried[seat.gpu].create(profile, seat.start)
            found.append(seat)
        return tuple(found)

    def worth(self, gpus: Sequence[Gpu], free: float) -> float:
        """See `Rule`: the more is used, the better."""
        return sum(_used(gpu) for gpu in gpus) / len(gpus) if gpus else 0.0

    def _seat(self, gpus: Sequence[Gpu], profile: str) -> Seat | None:
        """On the emptiest GPU that has room."""
        for position in sorted(range(len(gpus)), key=lambda position: (_used(gpus[position]), -position)):
            room = gpus[position].room(profile)
            if room:
                high = profile.startswith(("1g.", "3g."))
                return Seat(position, profile, room[-1] if high else room[0])
        return None


class Dra:
    """NVIDIA's DRA driver with dynamic MIG, Kubernetes 1.36: the first device of a node that fits.

    Devices are tried in the order in which the driver publishes them: GPU after GPU, and on a GPU from its
    first memory unit on. A pod with several slices gets them wherever some choice of devices gives it all.
    kube-scheduler takes the node with the most CPU and memory free.
    """

    name = "dra"

    def seats(self, gpus: Sequence[Gpu], slices: Mapping[str, int]) -> tuple[Seat, ...] | None:
        """See `Rule`."""
        tried = [_copy(gpu) for gpu in gpus]
        wanted = _flat(slices)
        if not _fit(tried, wanted):
            return None
        found: list[Seat] = []
        for done, profile in enumerate(wanted, 1):
            # the first of equal slices took the first place that does, so the next one's place comes later
            passed = (found[-1].gpu, found[-1].start) if found and found[-1].profile == profile else (0, -1)
            found.append(_first(tried, profile, passed, wanted[done:]))
        return tuple(found)

    def worth(self, gpus: Sequence[Gpu], free: float) -> float:
        """See `Rule`."""
        return free


def _first(gpus: Sequence[Gpu], profile: str, passed: tuple[int, int], rest: Sequence[str]) -> Seat:
    """Create the slice at the first (GPU, start) behind the passed one that leaves places for the rest.

    That is where a search that goes back from every dead end comes to in the end, without the dead ends.
    """
    for position, gpu in islice(enumerate(gpus), passed[0], None):
        for start in gpu.room(profile):
            if (position, start) > passed:
                made = gpu.create(profile, start)
                if _fit(gpus, rest):
                    return Seat(position, profile, start)
                gpu.destroy(made)
    raise AssertionError("all of them fit before the first was placed")


def _fit(gpus: Sequence[Gpu], profiles: Iterable[str]) -> bool:
    """Whether every one of the slices has a place, on whichever GPUs; equal ones are neighbours."""
    wanted = tuple(Counter(profiles).items())
    numbers = tuple(number for _, number in wanted)
    reached = {(0,) * len(wanted)}
    for gpu in gpus:
        if numbers in reached:
            return True
        if gpu.instances is not None:
            held = frozenset((one.profile, one.start, one.size) for one in gpu.instances)
            ways = _ways(gpu.geometry, held, wanted)
            sums = {tuple(map(sum, zip(before, way, strict=True))) for before in reached for way in ways}
            reached = {total for total in sums if all(map(int.__le__, total, numbers))}
    return numbers in reached


@lru_cache(1 << 14)
def _ways(
    geometry: Geometry, held: frozenset[tuple[str, int, int]], wanted: Counts
) -> frozenset[tuple[int, ...]]:
    """How many of each wanted profile, at most so many as are wanted, a GPU takes beside what it holds.

    They are created in the order of `wanted`, for the driver may refuse what lies between two legal layouts.
    """
    found = {(0,) * len(wanted)}
    gpu = Gpu("", 0, geometry, [Instance(*one, "") for one in sorted(held)])
    for index, (profile, number) in enumerate(wanted):
        for start in gpu.room(profile) if number else ():
            made = gpu.create(profile, start)
            more = held | {(made.profile, made.start, made.size)}
            gpu.destroy(made)
            for few, *others in _ways(geometry, more, ((profile, number - 1), *wanted[index + 1 :])):
                found.add((*(0,) * index, few + 1, *others))
    return frozenset(found)


def _used(gpu: Gpu) -> float:
    """HAMi's score of a GPU: the shares of its ten tickets, its compute and its memory that are used."""
    tickets = compute = memory = 0
    for instance in gpu.instances or ():
        profile = gpu.geometry.profile(instance.profile)
        tickets += 1
        compute += profile.compute if profile is not None else 0
        memory += instance.size
    return tickets / 10 + compute / gpu.geometry.compute_slices + memory / gpu.geometry.memory_slices


def _flat(slices: Mapping[str, int]) -> list[str]:
    """One profile a slice; those with more compute slices first."""
    return sorted((name for name, amount in slices.items() for _ in range(amount)), reverse=True)


def _copy(gpu: Gpu) -> Gpu:
    """A GPU to try things on."""
    return Gpu(gpu.node, gpu.index, gpu.geometry, None if gpu.instances is None else list(gpu.instances))
