"""Counts each pod that gets its slices once, from what changes between two sights of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoslicer.core.fitting import slices
from autoslicer.core.phases import Phase, reached
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.observability.metrics import Metrics, profile_label
from solver.solution import By


class Fulfilment:
    """Follows pods from Pending to bound.

    A pod that is bound when it is first seen never waited in our sight and is not counted, so that a restart
    counts nothing twice.
    """

    def __init__(self, metrics: Metrics, changes: Callable[[], Mapping[str, ReconfigurationRow]]) -> None:
        self._metrics, self._changes = metrics, changes

    def see(self, old: PodRow | None, new: PodRow | None, now: float) -> None:
        """Take note of one pod's change."""
        if old is None or new is None or old.node or not new.node or old.uid != new.uid:
            return
        wanted = slices(new.requests)
        if not wanted:
            return
        profile = profile_label(min(wanted))
        reshaped = self._by_reshape(new)
        if not reshaped and old.unschedulable_since is None:
            return
        self._metrics.requests_fulfilled.labels(profile, By.RESHAPE if reshaped else By.FREE).inc()
        bound = new.bound_at if new.bound_at is not None else now
        self._metrics.request_wait_seconds.labels(profile).observe(max(0.0, bound - new.created))

    def _by_reshape(self, pod: PodRow) -> bool:
        """A change was made for the pod, and it is on a node that was cut anew since it came.

        The scheduler may swap pods between nodes that change for several of them at once.
        """
        changes = self._changes().values()
        asked_for = any(pod.key in change.serves for change in changes)
        made = (reached(change, Phase.LABELLED) for change in changes if change.node == pod.node)
        return asked_for and any(at is not None and at >= pod.created for at in made)
