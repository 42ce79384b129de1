"""What nos knows of a node: which slices of each GPU are used or free, and how it cuts and books them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random

from simulations.baselines.cutting import covers
from simulations.baselines.nos_layouts import layouts
from solver.problem import Counts, Node, counts


@dataclass(slots=True)
class NosGpu:
    """A GPU: its used and free slices, and the layouts that it may get (none where it is in use)."""

    index: int
    layouts: tuple[Counts, ...]
    free: Counter[str]
    used: Counter[str] = field(default_factory=Counter)

    def copy(self) -> NosGpu:
        """A GPU of its own."""
        return NosGpu(self.index, self.layouts, Counter(self.free), Counter(self.used))

    def cut(self, need: Mapping[str, int], rng: Random | None) -> None:
        """Take the layout that covers most of the need; where several do, a random one, or the first.

        Free slices that vanish cost nothing; a layout that covers nothing is not taken.
        """
        best = 0
        found: list[Counts] = []
        for layout in self.layouts:
            score = self._score(dict(layout), need)
            if score > best:
                best, found = score, []
            if score == best and best:
                found.append(layout)
        if found:
            chosen = Counter(dict(found[0] if rng is None else rng.choice(found)))
            self.free = chosen - self.used

    def _score(self, layout: Mapping[str, int], need: Mapping[str, int]) -> int:
        if not all(layout.get(name, 0) >= count for name, count in self.used.items()):
            return 0
        return sum(
            max(0, min(layout.get(name, 0) - self.used[name], count))
            for name, count in need.items()
            if self.free[name] < count
        )

    def book(self, name: str, count: int) -> None:
        """Free slices become used ones."""
        self.free[name] -= count
        self.used[name] += count


class NosNode:
    """A node, with every GPU that has something free or may change."""

    def __init__(self, node: Node, *, complete: bool) -> None:
        self.name = node.name
        self._now = {gpu.index: gpu.layout for gpu in node.gpus}
        self._resources = dict(node.resources)
        self._gpus: list[NosGpu] = []
        rest = Counter(dict(node.free))
        for gpu in node.gpus:
            if gpu.changeable and gpu.layout is not None:
                rest.subtract(dict(gpu.layout))
        for gpu in node.gpus:
            if gpu.layout is None:
                continue
            free = Counter(dict(gpu.layout))
            if not gpu.changeable:
                free &= rest
                rest -= free
            choice = layouts(gpu.geometry, node.profiles, complete=complete) if gpu.changeable else ()
            self._gpus.append(NosGpu(gpu.index, choice, free))
        if +rest:
            self._gpus.append(NosGpu(max(self._now, default=-1) + 1, (), +rest))
        self.candidate = any(+gpu.free or self._unlisted(gpu) for gpu in self._gpus)

    def _unlisted(self, gpu: NosGpu) -> bool:
        return bool(gpu.layouts) and self._now[gpu.index] not in gpu.layouts

    def copy(self) -> tuple[list[NosGpu], dict[str, int]]:
        """What `restore` needs."""
        return [gpu.copy() for gpu in self._gpus], dict(self._resources)

    def restore(self, fork: tuple[list[NosGpu], dict[str, int]]) -> None:
        """The state of that copy."""
        self._gpus, self._resources = fork

    def free(self) -> Counter[str]:
        """Free slices, over all GPUs."""
        total: Counter[str] = Counter()
        for gpu in self._gpus:
            total.update(gpu.free)
        return total

    def changed(self) -> dict[int, Counts]:
        """The new layout of each GPU that has another one, by index."""
        found = {gpu.index: counts(gpu.free + gpu.used) for gpu in self._gpus if gpu.layouts}
        return {index: layout for index, layout in found.items() if layout != self._now[index]}

    def cut(self, lack: Mapping[str, int], rng: Random | None) -> None:
        """Cut the GPUs in turn for what is lacking; what each has free then counts as given."""
        need = dict(lack)
        for gpu in self._gpus:
            gpu.cut(need, rng)
            need = {name: left for name, count in need.items() if (left := count - gpu.free[name]) > 0}

    def might_hold(self, slices: Counts, resources: Counts) -> bool:
        """There are resources for the pod, and a layout of some GPU has all its slices."""
        choices = {gpu.layouts for gpu in self._gpus}
        return covers(self._resources, resources) and any(_offered(choice, slices) for choice in choices)

    def take(self, slices: Counts, resources: Counts, rng: Random | None) -> bool:
        """Book a pod on the first GPU that has all its slices free; False where there is none.

        With random maps it goes wrong as the program does: a GPU that has some of the slices keeps those that
        were tried first booked, and the number of pods is not counted.
        """
        if not covers(self._resources, resources):
            return False
        for gpu in self._gpus:
            if covers(gpu.free, slices):
                for name, count in slices:
                    gpu.book(name, count)
                self._use(resources, uncounted="" if rng is None else "pods")
                return True
            if rng is not None and len(slices) > 1:
                _book_part(gpu, slices, rng)
        return False

    def bind(self, slices: Counts, resources: Counts) -> None:
        """Book a pod that fits on any GPUs, those in use first, as the scheduler and the kubelet do."""
        for name, count in slices:
            left = count
            for gpu in sorted(self._gpus, key=lambda gpu: bool(gpu.layouts)):
                taken = min(left, gpu.free[name])
                gpu.book(name, taken)
                left -= taken
        self._use(resources)

    def _use(self, resources: Counts, uncounted: str = "") -> None:
        for name, count in resources:
            if name != uncounted:
                self._resources[name] -= count


def _book_part(gpu: NosGpu, slices: Counts, rng: Random) -> None:
    for name, count in rng.sample(slices, len(slices)):
        if gpu.free[name] < count:
            return
        gpu.book(name, count)


@cache
def _offered(choice: tuple[Counts, ...], slices: Counts) -> bool:
    return any(covers(dict(layout), slices) for layout in choice)
