"""Where HAMi's dynamic MIG and NVIDIA's DRA driver put a pod's instances.

docs/baselines.md has the sources. Rules look at the instances that are there and say where others go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from simulations.gpu import Gpu


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
        return next(_first([_copy(gpu) for gpu in gpus], _flat(slices)), None)

    def worth(self, gpus: Sequence[Gpu], free: float) -> float:
        """See `Rule`."""
        return free


def _first(gpus: Sequence[Gpu], profiles: Sequence[str]) -> Iterator[tuple[Seat, ...]]:
    """Every choice of devices for the profiles, in the order in which the allocator tries them."""
    if not profiles:
        yield ()
        return
    for position, gpu in enumerate(gpus):
        for start in gpu.room(profiles[0]):
            made = gpu.create(profiles[0], start)
            for rest in _first(gpus, profiles[1:]):
                yield (Seat(position, profiles[0], start), *rest)
            gpu.destroy(made)


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


RULES: Mapping[str, Rule] = {rule.name: rule for rule in (Hami(), Dra())}
