"""What happened at one moment that calls for attempts, and which pods it wakes: the queueing hints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoslicer.core.rows import NodeRow
from simulations.scheduler.filters import PASSES
from simulations.scheduler.kinds import Kind, Plugin
from simulations.scheduler.queue import Run, Stamp

_WOKEN_BY_TAINTS = frozenset((Plugin.NODE_AFFINITY, Plugin.NODE_RESOURCES_FIT, Plugin.INTER_POD_AFFINITY))
"""they ask for nodes that come, and are told of every taint that changes too (`buildQueueingHintMap`)"""


@dataclass(slots=True)
class Arrival:
    """A pod that came; `gone` when it is no longer to be tried."""

    pod: str
    stamp: Stamp
    gone: bool = False


@dataclass(slots=True)
class Calls:
    """The events of one moment.

    Attributes:
        arrivals: pods that came.
        freed: a pod left a node, or lost its nomination: pods of at most that priority may have room.
        unrepelled: a pod left that kept others away.
        nodes: those that came (no row before) or changed, with their rows before and after.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    freed: float = -math.inf
    unrepelled: bool = False
    nodes: list[tuple[NodeRow | None, NodeRow]] = field(default_factory=list)

    def woken(self, kind: Kind) -> list[Run]:
        """Those of the pods that wait which are to be tried."""
        if self._quiet or not self._wake(kind, kind.blamed):
            return []
        return [run for run in kind.runs if run.rejectors == kind.blamed or self._wake(kind, run.rejectors)]

    @property
    def _quiet(self) -> bool:
        """Nothing happened but that pods came."""
        return not self.nodes and self.freed == -math.inf

    def _wake(self, kind: Kind, rejectors: frozenset[str]) -> bool:
        """Any of the plugins that kept pods of the kind off the nodes thinks that this may have changed."""
        if Plugin.NODE_RESOURCES_FIT in rejectors and kind.priority <= self.freed:
            return True
        if Plugin.INTER_POD_AFFINITY in rejectors and self.unrepelled:
            return True
        return any(_wakes(kind, rejectors, old, new) for old, new in self.nodes)


def _wakes(kind: Kind, rejectors: frozenset[str], old: NodeRow | None, new: NodeRow) -> bool:
    """As `isSchedulableAfterNodeChange` of each plugin.

    A label that anti-affinity looks at is not told from others: the pod is woken.
    """
    if old is not None and _tainted_anew(old, new) and rejectors & _WOKEN_BY_TAINTS:
        return True
    pod = kind.shape.pod
    for plugin, passes in PASSES.items():
        if plugin in rejectors and passes(pod, new) and (old is None or not passes(pod, old)):
            return True
    if Plugin.NODE_RESOURCES_FIT in rejectors and _grown(kind, old, new.allocatable):
        return True
    return Plugin.INTER_POD_AFFINITY in rejectors and (old is None or old.labels != new.labels)


def _tainted_anew(old: NodeRow, new: NodeRow) -> bool:
    """What is an UpdateNodeTaint event to the scheduler; a node that is not ready has a taint for it."""
    opened = old.unschedulable and not new.unschedulable
    return opened or (old.taints, old.ready) != (new.taints, new.ready)


def _grown(kind: Kind, old: NodeRow | None, now: Mapping[str, int]) -> bool:
    """The node would hold the pod if it were empty, and offers more of something that the pod asks for."""
    if any(now.get(resource, 0) < amount for resource, amount in kind.requests.items()):
        return False
    before = old.allocatable if old is not None else {}
    return old is None or any(now[resource] > before.get(resource, 0) for resource in kind.requests)
