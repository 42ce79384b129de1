"""One site while greedy fills it: what it could still take, and at what price in changed GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from solver.instance import Instance
from solver.problem import Counts

Vector = list[int]
"""One number for each profile that the site's classes ask for, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Step:
    """One GPU of a class gets packing `new` instead of packing `old`; None where it was unchanged."""

    gpus: int
    old: int | None
    new: int


@dataclass(frozen=True, slots=True)
class Offer:
    """How a site would take one more pod of a class.

    Attributes:
        price: the smaller the better: whether the node is opened; then, negative, how many pods follow
            without more change; GPUs changed; leftovers lost.
        steps: what must change before.
    """

    price: tuple[int, int, int, int]
    steps: tuple[Step, ...]


class Room:
    """The state of one site: supply and demand of slices, other resources, and the layouts given so far."""

    def __init__(self, instance: Instance, site: int, changeable: bool) -> None:
        self.site = instance.sites[site]
        names = self.site.profiles(instance.classes)
        self.weights: Vector = [self.site.weights.get(name, 1) for name in names]
        self.needs = {q: _vector(instance.classes[q].slices, names) for q in self.site.fits}
        self.asks = {q: instance.classes[q].resources for q in self.site.fits}
        self.supply = [self.site.free.get(name, 0) for name in names]
        self.used = [0] * len(names)
        self.left = dict(self.site.node.resources)
        self.pods: Counter[int] = Counter()
        # Offers since the room last changed: many classes differ in cpu and memory only.
        self.offers: dict[tuple[int, ...], Offer | None] = {}
        gpus = self.site.gpus if changeable else ()
        self.olds = [_vector(gpu.layout, names) for gpu in gpus]
        self.packings = [[_vector(packing, names) for packing in gpu.packings] for gpu in gpus]
        self.unchanged = [len(gpu.indexes) for gpu in gpus]
        self.given: list[Counter[int]] = [Counter() for _ in gpus]

    @property
    def changed(self) -> bool:
        """Whether a GPU of the site changes."""
        return any(given.total() for given in self.given)

    def layouts(self) -> dict[int, tuple[Counts, ...]]:
        """The layouts given so far, by GPU class."""
        return {
            c: tuple(sorted(self.site.gpus[c].packings[v] for v in given.elements()))
            for c, given in enumerate(self.given)
            if given.total()
        }

    def offer(self, q: int, wanted: int) -> Offer | None:
        """The cheapest way found to take one more pod of class `q`, of which `wanted` wait; None: no way."""
        if any(self.left.get(name, 0) < count for name, count in self.asks[q]):
            return None
        key = (wanted, *self.needs[q])
        if key not in self.offers:
            self.offers[key] = self._search(self.needs[q], wanted)
        return self.offers[key]

    def fits(self, q: int) -> bool:
        """Whether one more pod of class `q` can come without any change."""
        slices = zip(self.supply, self.used, self.needs[q], strict=True)
        return all(have - used >= each for have, used, each in slices) and all(
            self.left.get(name, 0) >= count for name, count in self.asks[q]
        )

    def _search(self, need: Vector, wanted: int) -> Offer | None:
        target = [used + each for used, each in zip(self.used, need, strict=True)]
        supply, unchanged, given = self.supply, list(self.unchanged), [Counter(g) for g in self.given]
        steps: list[Step] = []
        lack = self._lack(supply, target)
        while lack:
            best: tuple[tuple[int, ...], Step, Vector] | None = None
            for position, step in enumerate(_steps(unchanged, given, self.packings)):
                after = self._after(supply, step)
                missing = self._lack(after, target)
                if missing < lack:
                    fresh = int(step.old is None)
                    follow = -self._follow(after, target, need, wanted)
                    rank = (missing, fresh, follow, -self._leftovers(after, target), position)
                    if best is None or rank < best[0]:
                        best = rank, step, after
            if best is None:
                return None
            (lack, *_), step, supply = best
            _apply(step, unchanged, given)
            steps.append(step)
        fresh = sum(step.old is None for step in steps)
        opens = int(fresh > 0 and not self.changed)
        follow = -self._follow(supply, target, need, wanted) if opens else 0
        lost = self._leftovers(self.supply, self.used) - self._leftovers(supply, target)
        return Offer((opens, follow, fresh, lost), tuple(steps))

    def take(self, q: int, steps: tuple[Step, ...] = ()) -> None:
        """Take one pod of class `q` after these steps."""
        self.offers.clear()
        for step in steps:
            self.supply = self._after(self.supply, step)
            _apply(step, self.unchanged, self.given)
        self.used = [used + each for used, each in zip(self.used, self.needs[q], strict=True)]
        for name, count in self.asks[q]:
            self.left[name] -= count
        self.pods[q] += 1

    def drop(self, q: int) -> None:
        """Give one pod of class `q` back."""
        self.offers.clear()
        self.used = [used - each for used, each in zip(self.used, self.needs[q], strict=True)]
        for name, count in self.asks[q]:
            self.left[name] += count
        self.pods[q] -= 1

    def _after(self, supply: Vector, step: Step) -> Vector:
        packings = self.packings[step.gpus]
        old = self.olds[step.gpus] if step.old is None else packings[step.old]
        return [have - out + into for have, out, into in zip(supply, old, packings[step.new], strict=True)]

    def _lack(self, supply: Vector, target: Vector) -> int:
        rows = zip(supply, target, self.weights, strict=True)
        return sum((want - have) * weight for have, want, weight in rows if want > have)

    def _leftovers(self, supply: Vector, target: Vector) -> int:
        rows = zip(supply, target, self.weights, strict=True)
        return sum((have - want) * weight for have, want, weight in rows if have > want)

    def _follow(self, supply: Vector, target: Vector, need: Vector, wanted: int) -> int:
        rows = zip(supply, target, need, strict=True)
        return min([wanted - 1, *((have - want) // each for have, want, each in rows if each)])


def _vector(slices: Counts, names: tuple[str, ...]) -> Vector:
    have = dict(slices)
    return [have.get(name, 0) for name in names]


def _steps(unchanged: list[int], given: list[Counter[int]], packings: list[list[Vector]]) -> Iterator[Step]:
    for c, left in enumerate(unchanged):
        olds: list[int | None] = [old for old, count in sorted(given[c].items()) if count]
        for old in (*olds, *([None] if left else [])):
            yield from (Step(c, old, new) for new in range(len(packings[c])) if new != old)


def _apply(step: Step, unchanged: list[int], given: list[Counter[int]]) -> None:
    if step.old is None:
        unchanged[step.gpus] -= 1
    else:
        given[step.gpus][step.old] -= 1
    given[step.gpus][step.new] += 1
