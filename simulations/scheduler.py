"""The virtual kube-scheduler: by priority and age, to the emptiest node that the rules of `fitting` allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoslicer.core import fitting
from autoslicer.core.actions import Report
from autoslicer.core.rows import NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from simulations.world import Row, World

REACTION_SECONDS = 0.02
"""from a change to the attempt that it causes"""


@dataclass(slots=True)
class Scheduler:
    """Binds what fits, and calls the rest Unschedulable, after every change that may matter."""

    world: World
    _planned: bool = False

    def __post_init__(self) -> None:
        self.world.watch(self._notice)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        if isinstance(new or old, NodeRow | PodRow) and not self._planned:
            self._planned = True
            self.world.clock.after(REACTION_SECONDS, self._try_all)

    def _try_all(self) -> None:
        self._planned = False
        waiting = [pod for pod in self.world.pods.values() if _to_be_tried(pod)]
        for pod in sorted(waiting, key=lambda pod: (-pod.priority, pod.created, pod.key)):
            self._try(pod)

    def _try(self, pod: PodRow) -> None:
        snapshot = self.world.snapshot()
        free = {name: _free(snapshot, node) for name, node in snapshot.nodes.items()}
        obstacles = {
            name: self._obstacle(snapshot, pod, node, free[name]) for name, node in snapshot.nodes.items()
        }
        fitting_nodes = [name for name, obstacle in obstacles.items() if not obstacle]
        if fitting_nodes:
            emptiest = min(fitting_nodes, key=lambda name: (-_room(snapshot.nodes[name], free[name]), name))
            self.world.write(
                replace(pod, node=emptiest, tried=True, unschedulable_since=None, bound_at=self.world.stamp())
            )
        elif pod.unschedulable_since is None:
            counted = sorted((n, text) for text, n in Counter(obstacles.values()).items())
            why = ", ".join(f"{n} {text}" for n, text in counted)
            message = f"0/{len(obstacles)} nodes are available: {why}."
            self.world.report(
                Report("Pod", pod.namespace, pod.name, pod.uid, "Warning", "FailedScheduling", message)
            )
            self.world.write(replace(pod, tried=True, unschedulable_since=self.world.stamp()))

    def _obstacle(self, snapshot: Snapshot, pod: PodRow, node: NodeRow, free: Mapping[str, int]) -> str:
        """Why the pod cannot go there, as kube-scheduler says it; empty where it can."""
        if fitting.closed(node) is not None:
            return "node(s) were unschedulable"
        if (taint := fitting.untolerated(pod, node)) is not None:
            return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
        if not fitting.selected(pod, node):
            return "node(s) didn't match Pod's node affinity/selector"
        if fitting.repelled(pod, node, fitting.repulsions(snapshot)):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
        short = [resource for resource, amount in pod.requests.items() if free.get(resource, 0) < amount]
        return f"Insufficient {short[0]}" if short else ""


def _to_be_tried(pod: PodRow) -> bool:
    return pod.phase == "Pending" and not pod.node and not pod.gated and not pod.terminating


def _free(snapshot: Snapshot, node: NodeRow) -> dict[str, int]:
    """What the scheduler thinks is left: allocatable less what bound pods ask for."""
    free = dict(node.allocatable)
    for pod in snapshot.tenants.get(node.name, ()):
        for resource, amount in pod.requests.items():
            free[resource] = free.get(resource, 0) - amount
    return free


def _room(node: NodeRow, free: Mapping[str, int]) -> float:
    """LeastAllocated: the mean share of cpu and memory that is free."""
    shares = [free[resource] / node.allocatable[resource] for resource in ("cpu", "memory")]
    return sum(shares) / len(shares)
