"""A virtual GPU behind a virtual NVML: instances at legal places, and none destroyed while a pod holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from solver.geometry import Geometry
from solver.problem import Counts, counts


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
        sizes = {profile.name: profile.size for profile in self.geometry.profiles}
        self.instances = [
            Instance(name, start, sizes[name], f"MIG-{self.node}-{self.index}-{next(self._made)}")
            for name, start in places
        ]

    def _clear(self) -> None:
        while self.instances:
            if self.instances[0].holder:
                raise NvmlError(
                    f"{self.instances[0].uuid} of {self.uuid} is in use by {self.instances[0].holder}"
                )
            self.instances.pop(0)
