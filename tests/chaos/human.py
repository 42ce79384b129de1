"""What a human operator does with nodes that autoslicer leaves alone: look, put in order, let go."""

from __future__ import annotations

import time

from autoslicer.core import names
from autoslicer.core.phases import FINAL, Phase
from autoslicer.core.reasons import Reason
from tests.chaos import invariants
from tests.chaos.history import ChangeLife
from tests.chaos.invariants import Violation
from tests.chaos.scene import Scene, paused
from tests.cluster.waiting import until

OWN_SECONDS = 10.0
"""a quarantine that lasts longer than it should is ended by a human"""
PATIENCE = 45.0
"""seconds that a node may stay out of order before a human acts: longer than any recovery of its own takes"""


class Human:
    """Looks after the fleet when asked to `attend`.

    Attributes:
        released: how often a node was allowed to be changed again.
        repaired: how often a node was put in order.
        abandoned: nodes that had to be, and of which autoslicer had not said so by a quarantine.
    """

    def __init__(self, scene: Scene, patience: float = PATIENCE) -> None:
        self._scene, self._patience = scene, patience
        self.released, self.repaired = 0, 0
        self.abandoned: list[Violation] = []

    def attend(self) -> None:
        """One round: release nodes that are refused but in order, repair those that stay out of order."""
        self.allow_again()
        for node in self._scene.nodes:
            newest = self._scene.newest(node)
            if not refused(newest) or newest is None or newest.ended is None:
                continue
            since = time.time() - newest.ended
            if self._scene.in_order(node):
                if since > OWN_SECONDS:
                    self.release(node)
                    self.released += 1
            elif since > self._patience and not self._scene.tenants(node):
                self.repair(node)
                self.release(node)

    def allow_again(self) -> None:
        """The driver is in order: forget the changes that keep their layouts from being planned again."""
        for change in [change for node in self._scene.nodes for change in self._scene.changes(node)]:
            old = change.ended is not None and time.time() - change.ended > OWN_SECONDS
            if old and not change.live and change.reason in (Reason.LayoutRefused, Reason.LayoutCleared):
                self._scene.forget(change)
                self.released += 1

    def release(self, node: str) -> None:
        """End a node's rest or quarantine: delete its ended changes."""
        for change in self._scene.changes(node):
            if change.phase in FINAL:
                self._scene.forget(change)

    def repair(self, node: str) -> None:
        """The runbook: let the GPU clients run, drive another label, disown the node."""
        self.repaired += 1
        self.abandoned += invariants.inconsistent([self._scene.state(node)])
        self.drive(node)

    def drive(self, node: str) -> None:
        """Give a node another layout by its label, as a human would, and disown it."""
        labels = self._scene.cluster.labels(node)
        running = {key: "true" for key, value in labels.items() if paused(key, value)}
        fresh = "all-7g.80gb" if labels.get(names.MIG_CONFIG) != "all-7g.80gb" else "all-3g.40gb"
        driven = {names.MIG_CONFIG: fresh, names.MIG_CONFIG_STATE: "pending"}
        body = {"labels": {**running, **driven}, "annotations": {names.APPLIED_CONFIG: None}}
        self._scene.patch_node(node, {"metadata": body})
        until(lambda: self._scene.in_order(node), 90, self._scene.cluster.describe)


def refused(change: ChangeLife | None) -> bool:
    """The change ended in a way after which its node is left alone."""
    return change is not None and change.phase in (Phase.QUARANTINED, Phase.ROLLED_BACK)
