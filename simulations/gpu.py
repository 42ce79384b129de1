"""A virtual GPU behind a virtual NVML: instances at legal places, and none destroyed while a pod holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from solver.geometry import Geometry
from solver.problem import Counts, counts

PROCESS = "(a process)"
"""holds an instance that no pod is known to have"""


class NvmlError(Exception):
    """NVML refuses: an instance is in use, or the layout has no legal place."""


@dataclass(slots=True)
class Instance:
    """A GPU instance; `holder` is the key of the pod that has it, empty for none."""

    profile: str
    start: int
    size: int
    uuid: str
    holder: str = ""

    @property
    def end(self) -> int:
        """The first memory unit behind it."""
        return self.start + self.size


@dataclass(slots=True)
class Gpu:
    """One GPU of a node; `instances` is None while its MIG mode is off."""

    node: str
    index: int
    geometry: Geometry
    instances: list[Instance] | None = None
    _made: Iterator[int] = field(default_factory=count)

    @property
    def uuid(self) -> str:
        """Its name for NVML."""
        return f"GPU-{self.node}-{self.index}"

    @property
    def layout(self) -> Counts | None:
        """The instances by profile; None while MIG mode is off."""
        if self.instances is None:
            return None
        return counts(Counter(instance.profile for instance in self.instances))

    def room(self, profile: str) -> list[int]:
        """Where an instance of the profile could be created beside those that are there, in order."""
        known = self.geometry.profile(profile)
        if known is None or self.instances is None:
            return []
        grown = Counter(instance.profile for instance in self.instances)
        grown[profile] += 1
        if not self.geometry.legal(grown):
            return []
        taken = {unit for instance in self.instances for unit in range(instance.start, instance.end)}
        return [start for start in known.starts if taken.isdisjoint(range(start, start + known.size))]

    def create(self, profile: str, start: int, holder: str = "") -> Instance:
        """Create an instance beside those that are there, for a pod or for nobody yet.

        Raises:
            NvmlError: it does not fit there.
        """
        if self.instances is None or start not in self.room(profile):
            raise NvmlError(f"{self.uuid} has no place for {profile} at {start}")
        made = self._made_at(profile, start)
        made.holder = holder
        self.instances.append(made)
        return made

    def destroy(self, instance: Instance) -> None:
        """Destroy an instance.

        Raises:
            NvmlError: it is in use, or gone.
        """
        if instance.holder:
            raise NvmlError(f"{instance.uuid} of {self.uuid} is in use by {instance.holder}")
        if self.instances is None or instance not in self.instances:
            raise NvmlError(f"{self.uuid} has no {instance.uuid}")
        self.instances.remove(instance)

    def set_mode(self, *, enabled: bool) -> None:
        """Switch MIG mode, which takes every instance away, whether or not the mode was right before.

        Raises:
            NvmlError: an instance is in use.
        """
        self._clear()
        self.instances = [] if enabled else None

    def cut(self, layout: Counts) -> None:
        """Destroy every instance and create those of the layout; the driver chooses the places.

        A profile that the driver does not know makes mig-parted clear the GPU and call that a success.

        Raises:
            NvmlError: an instance is in use (those before it are gone then), or the layout is not legal (the
                GPU is empty then).
        """
        self._clear()
        if any(name not in self.geometry.names for name, _ in layout):
            return
        places = self.geometry.placements(layout)
        if places is None:
            raise NvmlError(f"{self.uuid} cannot hold {dict(layout)}")
        self.instances = [self._made_at(name, start) for name, start in places]

    def _made_at(self, profile: str, start: int) -> Instance:
        known = self.geometry.profile(profile)
        assert known is not None, "its place was looked up"
        return Instance(profile, start, known.size, f"MIG-{self.node}-{self.index}-{next(self._made)}")

    def _clear(self) -> None:
        while self.instances:
            self.destroy(self.instances[0])
