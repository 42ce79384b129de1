"""Which nodes may take a pod, and why the others may not, in kube-scheduler's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from autoslicer.core import fitting
from autoslicer.core.rows import NodeRow, PodRow
from simulations.scheduler.kinds import Kind, Plugin, Shape
from simulations.scheduler.nodes import Nodes
from simulations.scheduler.residents import Residents

Mask = npt.NDArray[np.bool_]

REPELLED = "node(s) didn't satisfy existing pods anti-affinity rules"


PASSES: Mapping[Plugin, Callable[[PodRow, NodeRow], bool]] = {
    Plugin.NODE_UNSCHEDULABLE: lambda pod, node: fitting.closed(node) is None,
    Plugin.TAINT_TOLERATION: lambda pod, node: fitting.untolerated(pod, node) is None,
    Plugin.NODE_AFFINITY: fitting.selected,
}
"""the filters to which it is the same what runs on the node"""


def obstacle(pod: PodRow, node: NodeRow) -> tuple[Plugin, str] | None:
    """Who keeps the pod off the node whatever runs there, and in which words; None where nobody does."""
    for plugin, passes in PASSES.items():
        if not passes(pod, node):
            return plugin, _words(plugin, pod, node)
    return None


def _words(plugin: Plugin, pod: PodRow, node: NodeRow) -> str:
    if plugin is Plugin.NODE_UNSCHEDULABLE:
        return "node(s) were unschedulable"
    taint = fitting.untolerated(pod, node)
    if plugin is Plugin.TAINT_TOLERATION and taint is not None:
        return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
    return "node(s) didn't match Pod's node affinity/selector"


class Filters:
    """Applies every filter to a kind of pods, on all nodes at once or on one."""

    def __init__(self, nodes: Nodes, residents: Residents) -> None:
        self._nodes, self._residents = nodes, residents
        # one object for all pods that the same plugins keep off
        self._known: dict[frozenset[Plugin], frozenset[Plugin]] = {}

    def renew(self, shape: Shape) -> None:
        """Bring a shape up to date after nodes came or went."""
        if shape.version != self._nodes.version:
            shape.version = self._nodes.version
            rows = [self._nodes.rows[name] for name in self._nodes.order]
            shape.obstacles = [obstacle(shape.pod, row) for row in rows]
            shape.open = np.array([found is None for found in shape.obstacles], np.bool_)
            shape.disliked = np.array([_disliked(shape.pod, row) for row in rows], np.int64)
            shape.count()

    def change(self, shape: Shape, row: NodeRow) -> None:
        """Bring a shape up to date after a node changed."""
        if shape.version == self._nodes.version and not self._nodes.stale:
            at = self._nodes.index[row.name]
            shape.obstacles[at] = obstacle(shape.pod, row)
            shape.open[at] = shape.obstacles[at] is None
            shape.disliked[at] = _disliked(shape.pod, row)
            shape.count()

    def passing(self, kind: Kind, pod: str) -> Mask:
        """The nodes that may take the pod."""
        self.renew(kind.shape)
        mask = kind.shape.open.copy()
        for resource, amount in kind.requests.items():
            mask &= self._nodes.free(resource) >= amount
        for name in self._residents.nominations:
            at = self._nodes.index.get(name)
            if at is not None and mask[at]:
                mask[at] = self._fits(kind, pod, name)
        if self._residents.repulsions:
            for place in np.flatnonzero(mask):
                mask[place] = not self._repelled(kind, self._nodes.order[place])
        return mask

    def passes(self, kind: Kind, pod: str, name: str) -> bool:
        """The node may take the pod."""
        self.renew(kind.shape)
        at = self._nodes.index.get(name)
        return (
            at is not None
            and bool(kind.shape.open[at])
            and self._fits(kind, pod, name)
            and not self._repelled(kind, name)
        )

    def reject(self, kind: Kind, pod: str) -> None:
        """Remember which plugins keep the pod off: only what concerns them wakes it again."""
        self.renew(kind.shape)
        # with no node at all kube-scheduler tries on and on: here whatever any plugin waits for wakes the pod
        found = set(kind.shape.rejectors) if self._nodes.order else set(Plugin)
        if self._residents.repulsions:
            names = (self._nodes.order[at] for at in np.flatnonzero(kind.shape.open))
            rooms = {self._fits(kind, pod, name) for name in names}
            found |= {Plugin.INTER_POD_AFFINITY if room else Plugin.NODE_RESOURCES_FIT for room in rooms}
        elif kind.shape.any_open:
            found.add(Plugin.NODE_RESOURCES_FIT)
        rejectors = frozenset(found)
        kind.rejectors = self._known.setdefault(rejectors, rejectors)

    def message(self, kind: Kind, pod: str) -> str:
        """Why no node takes the pod."""
        self.renew(kind.shape)
        total = len(self._nodes.order)
        if not total:
            return "no nodes available to schedule pods"
        counts = Counter(kind.shape.reasons)
        enough = kind.shape.open.copy()
        for resource, amount in kind.requests.items():
            short = kind.shape.open & (self._nodes.free(resource) < amount)
            for name in self._residents.nominations:
                at = self._nodes.index.get(name)
                if at is not None and kind.shape.open[at]:
                    reserved = self._residents.reserved(name, kind.priority, pod)
                    short[at] = not self._nodes.fits(name, {resource: amount}, reserved)
            enough &= ~short
            counts["Too many pods" if resource == "pods" else f"Insufficient {resource}"] += int(short.sum())
        counts[REPELLED] += int(enough.sum())
        why = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))
        return f"0/{total} nodes are available: {why}."

    def _fits(self, kind: Kind, pod: str, name: str) -> bool:
        return self._nodes.fits(name, kind.requests, self._residents.reserved(name, kind.priority, pod))

    def _repelled(self, kind: Kind, name: str) -> bool:
        return fitting.repelled(kind.shape.pod, self._nodes.rows[name], self._residents.repulsions)


def _disliked(pod: PodRow, node: NodeRow) -> int:
    """The taints of effect PreferNoSchedule that the pod does not tolerate."""
    return sum(
        taint.effect == "PreferNoSchedule"
        and not any(fitting.tolerates(toleration, taint) for toleration in pod.tolerations)
        for taint in node.taints
    )
