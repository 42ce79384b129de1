"""A node as a greedy planner fills it: what is left, and which GPUs hold pods or were cut anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from simulations.baselines.cutting import Cutting, covers, cutting
from solver.problem import Counts, Gpu, Node

FROZEN = -1
"""the seat of a slice that is free on a GPU which may not change"""


@dataclass(frozen=True, slots=True)
class GpuState:
    """An idle GPU: what it is cut into, and what pods of this plan hold on it.

    Attributes:
        present: its layout now; None while MIG mode is off.
        given: the slices that pods hold.
        changed: it gets another layout, which is settled only when all pods have come.
    """

    index: int
    cutting: Cutting
    present: dict[str, int] | None
    given: Counts = ()
    changed: bool = False

    def with_one(self, profile: str) -> GpuState | None:
        """The GPU once a pod holds one more slice of it; cut anew only where it must be."""
        if not self.changed and self.present is not None:
            kept = dict(self.given)
            kept[profile] = kept.get(profile, 0) + 1
            if self.present.get(profile, 0) >= kept[profile]:
                return replace(self, given=tuple(sorted(kept.items())))
        grown = self.cutting.grown(self.given, profile)
        return None if grown is None else replace(self, given=grown, changed=True)

    @property
    def left(self) -> int:
        """Memory units that no pod holds."""
        return self.cutting.left(self.given)


@dataclass(frozen=True, slots=True)
class Placing:
    """A way to take a pod in.

    Attributes:
        opened: how many GPUs must be cut anew for it that were not yet.
        first: the node had no such GPU before.
        left: memory units that stay free on the idle GPUs it uses, summed.
    """

    opened: int
    first: bool
    left: int
    frozen: dict[str, int] = field(repr=False)
    gpus: list[GpuState] = field(repr=False)


class Site:
    """The state of one node; `tight` seats a slice where least is left, else on the first GPU that has it."""

    def __init__(self, node: Node, *, tight: bool) -> None:
        self.name = node.name
        self._tight = tight
        self._resources = dict(node.resources)
        self._frozen = dict(node.free)
        self._gpus = [
            GpuState(gpu.index, cutting(gpu.geometry, node.profiles), _present(gpu))
            for gpu in node.gpus
            if gpu.changeable and (gpu.layout is not None or node.mode_change)
        ]
        for gpu in self._gpus:
            for profile, count in (gpu.present or {}).items():
                self._frozen[profile] -= count

    def placing(self, slices: Sequence[str], resources: Counts) -> Placing | None:
        """How the node would take a pod in; None where it cannot.

        Args:
            slices: one profile a slice, the largest first.
            resources: everything else.
        """
        if not covers(self._resources, resources):
            return None
        frozen, gpus = self._frozen, self._gpus
        used: set[int] = set()
        for profile in slices:
            if frozen.get(profile, 0) > 0:
                frozen = {**frozen, profile: frozen[profile] - 1}
                continue
            seat = self._seat(gpus, profile)
            if seat is None:
                return None
            position, state = seat
            gpus = [*gpus[:position], state, *gpus[position + 1 :]]
            used.add(position)
        opened = sum(gpus[p].changed and not self._gpus[p].changed for p in used)
        first = opened > 0 and not any(gpu.changed for gpu in self._gpus)
        return Placing(opened, first, sum(gpus[p].left for p in used), frozen, gpus)

    def _seat(self, gpus: Sequence[GpuState], profile: str) -> tuple[int, GpuState] | None:
        """The GPU for one more slice, by position: one that need not be cut anew where there is one."""
        best: tuple[tuple[bool, int, int], GpuState] | None = None
        for position, gpu in enumerate(gpus):
            state = gpu.with_one(profile)
            if state is None:
                continue
            key = (state.changed and not gpu.changed, state.left if self._tight else 0, position)
            if best is None or key < best[0]:
                best = key, state
        return None if best is None else (best[0][2], best[1])

    def take(self, placing: Placing, resources: Counts) -> None:
        """Take the pod in."""
        self._frozen, self._gpus = placing.frozen, placing.gpus
        for name, count in resources:
            self._resources[name] -= count

    def layouts(self) -> dict[int, Counts]:
        """The new layout of each GPU that is cut anew, by index."""
        return {gpu.index: gpu.cutting.filled(gpu.given) for gpu in self._gpus if gpu.changed}


def _present(gpu: Gpu) -> dict[str, int] | None:
    return None if gpu.layout is None else dict(gpu.layout)
