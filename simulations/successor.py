"""The pod that a controller makes in place of one that is gone."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core.rows import PodRow
from simulations.world import World


def successor(world: World, pod: PodRow) -> PodRow:
    """Another pod under the name of one that is gone, with its constraints; it was tried nowhere yet."""
    return replace(
        pod,
        uid=world.uid(pod.key),
        created=world.stamp(),
        phase="Pending",
        node="",
        nominated="",
        tried=False,
        ready=False,
        bound_at=None,
        unschedulable_since=None,
    )


def evict(world: World, pod: PodRow) -> None:
    """The pod goes at once, and its controller makes another one, which has its whole time to run.

    Of one that was being deleted there is no other.
    """
    world.delete(pod)
    if not pod.terminating:
        world.write(successor(world, pod))
