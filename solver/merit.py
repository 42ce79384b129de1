"""What a plan is worth on each level, and how far every plan is from better."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from solver.draft import Draft, evicted, spare
from solver.instance import Instance


@dataclass(frozen=True, slots=True)
class Merit:
    """The levels of one plan.

    Attributes:
        served: the weight of the pods served, for each rank of the instance.
        nodes: nodes that change.
        gpus: GPUs that change.
        spare: squared memory units of instances on changed GPUs that stay free.
        evictions: tenants that are evicted.
    """

    served: tuple[int, ...]
    nodes: int
    gpus: int
    spare: int
    evictions: int = 0

    @property
    def score(self) -> tuple[int, ...]:
        """Greater is better, level by level."""
        return (*self.served, -self.evictions, -self.nodes, -self.gpus, self.spare)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no plan can pass on a level, given the values of the levels above; None where nothing is known.

    That no plan evicts fewer than nobody is always known.
    """

    served: tuple[int, ...]
    nodes: int | None = None
    gpus: int | None = None
    spare: int | None = None
    evictions: int = 0


def merit(instance: Instance, plan: Draft) -> Merit:
    """What the plan is worth."""
    served = [0] * len(instance.ranks)
    for pods in plan.pods.values():
        for q, count in pods.items():
            group = instance.classes[q]
            if group.tenant is None:
                served[group.rank] += count * group.weight
    gpus = sum(len(new) for changed in plan.layouts.values() for new in changed.values())
    gone = sum(len(evicted(instance.sites[s], changed)) for s, changed in plan.layouts.items())
    return Merit(tuple(served), len(plan.layouts), gpus, spare(instance, plan), gone)


def certain(instance: Instance) -> Bounds:
    """What is known without search: a class has only so many pods, and its sites only take so many."""
    room: Counter[int] = Counter()
    for site in instance.sites:
        room.update(site.fits)
    served = [0] * len(instance.ranks)
    for q, group in enumerate(instance.classes):
        if group.tenant is None:
            served[group.rank] += min(len(group.pods), room[q]) * group.weight
    return Bounds(tuple(served))
