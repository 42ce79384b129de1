"""What a plan is worth on each level, and how far every plan is from better."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from solver.draft import Draft, spare
from solver.instance import Instance


@dataclass(frozen=True, slots=True)
class Merit:
    """The levels of one plan.

    Attributes:
        served: pods served, for each priority of the instance.
        nodes: nodes that change.
        gpus: GPUs that change.
        spare: squared memory units of instances on changed GPUs that stay free.
    """

    served: dict[int, int]
    nodes: int
    gpus: int
    spare: int

    @property
    def rank(self) -> tuple[int, ...]:
        """Greater is better, level by level."""
        by_priority = (self.served[p] for p in sorted(self.served, reverse=True))
        return (*by_priority, -self.nodes, -self.gpus, self.spare)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no plan can pass on a level, given the values of the levels above; None where nothing is known."""

    served: dict[int, int]
    nodes: int | None = None
    gpus: int | None = None
    spare: int | None = None


def merit(instance: Instance, plan: Draft) -> Merit:
    """What the plan is worth."""
    served: Counter[int] = Counter({group.priority: 0 for group in instance.classes})
    for pods in plan.pods.values():
        for q, count in pods.items():
            served[instance.classes[q].priority] += count
    gpus = sum(len(new) for changed in plan.layouts.values() for new in changed.values())
    return Merit(dict(served), len(plan.layouts), gpus, spare(instance, plan))


def certain(instance: Instance) -> Bounds:
    """What is known without search: a class has only so many pods, and its sites only take so many."""
    room: Counter[int] = Counter()
    for site in instance.sites:
        room.update(site.fits)
    served: Counter[int] = Counter()
    for q, group in enumerate(instance.classes):
        served[group.priority] += min(len(group.pods), room[q])
    return Bounds(dict(served))
