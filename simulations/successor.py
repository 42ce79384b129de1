"""The pod that a controller makes in place of one that is gone."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core.rows import PodRow
from simulations.world import World


def successor(pod: PodRow, uid: str, created: float) -> PodRow:
    """Another pod under the name of one that is gone: it has the same constraints and was tried nowhere yet.

    Args:
        pod: the one that is gone.
        uid: of the new one.
        created: seconds since the epoch.
    """
    return replace(
        pod,
        uid=uid,
        created=created,
        phase="Pending",
        node="",
        nominated="",
        tried=False,
        ready=False,
        bound_at=None,
        unschedulable_since=None,
    )


def evict(world: World, pod: PodRow) -> None:
    """The pod goes at once, and its controller makes another one, which has its whole time to run."""
    world.delete(pod)
    world.write(successor(pod, f"{pod.uid}-again", world.stamp()))
