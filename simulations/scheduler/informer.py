"""Keeps the scheduler's state up to date with what is written, and says which of it calls for attempts."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from autoslicer.core.rows import NodeRow, PodRow
from simulations.scheduler.calls import Arrival, Calls
from simulations.scheduler.filters import Filters
from simulations.scheduler.kinds import Kind, Kinds
from simulations.scheduler.nodes import Nodes
from simulations.scheduler.queue import Queue
from simulations.scheduler.residents import Residents
from simulations.world import Row

NAME = "default-scheduler"


class Standing(Enum):
    """What a pod is to the scheduler."""

    NOTHING = auto()
    WAITING = auto()
    BOUND = auto()


def standing(pod: PodRow | None) -> Standing:
    """What the pod is to the scheduler; one that has ended holds nothing."""
    if pod is None or pod.finished:
        return Standing.NOTHING
    if pod.node:
        return Standing.BOUND
    waits = pod.phase == "Pending" and not pod.gated and not pod.terminating and pod.scheduler == NAME
    return Standing.WAITING if waits else Standing.NOTHING


class Informer:
    """The state that attempts are made on.

    Attributes:
        arriving: pods that were not tried yet.
        tried: the pod that is being tried, which has no place in the queue.

    Args:
        now: the present time.
        call: gives what this moment calls for, to be added to.
    """

    def __init__(self, now: Callable[[], float], call: Callable[[], Calls]) -> None:
        self.nodes, self.residents = Nodes(), Residents()
        self.filters = Filters(self.nodes, self.residents)
        self.kinds, self.queue = Kinds(), Queue[Kind]()
        self.arriving: dict[str, Arrival] = {}
        self.tried = ""
        self._now, self._call = now, call

    def notice(self, old: Row | None, new: Row | None) -> None:
        """Something was written."""
        match old, new:
            case ((PodRow() | None), PodRow()):
                self._notice_pod(old, new)
            case PodRow(), None:
                self._notice_pod(old, None)
            case ((NodeRow() | None), NodeRow()):
                self._notice_node(old, new)
            case NodeRow(), None:
                self.nodes.remove(old.name)
                self._survey()

    def _notice_node(self, old: NodeRow | None, new: NodeRow) -> None:
        fixed = old is not None and _static(old) == _static(new)
        if old is not None and fixed and old.allocatable == new.allocatable:
            self.nodes.rows[new.name] = new
            return
        self.nodes.put(new)
        if not fixed:
            for shape in self.kinds.shapes():
                self.filters.change(shape, new)
            self._survey()
        if self.queue:
            self._call().nodes.append((old, new))

    def _survey(self) -> None:
        """Anti-affinity reigns over labels of nodes."""
        before = self.residents.repulsions
        self.residents.survey(self.nodes.rows)
        if self.residents.repulsions != before:
            self.nodes.gain_all()

    def _notice_pod(self, old: PodRow | None, new: PodRow | None) -> None:
        was, now = standing(old), standing(new)
        if old is not None and new is not None and was is now and _same(old, new):
            return
        if old is not None and new is not None and was is now is Standing.WAITING and _alike(old, new):
            self._renominate(old, new)
            return
        if old is not None:
            self._end(was, old, bound=now is Standing.BOUND)
        if new is not None:
            self._begin(now, new)

    def _end(self, was: Standing, pod: PodRow, *, bound: bool) -> None:
        if was is Standing.BOUND:
            self.nodes.release(pod.node, pod.requests)
            repelled = self.residents.part(pod, self.nodes.rows)
            if repelled:
                self.nodes.gain_all()
            self._free(float("inf"), unrepelled=repelled)
        elif was is Standing.WAITING:
            if (arrival := self.arriving.pop(pod.key, None)) is not None:
                arrival.gone = True
            elif pod.key in self.queue:
                self.queue.remove(pod.key, self.kinds.of(pod))
            if self.residents.dismiss(pod):
                self.nodes.gain(pod.nominated)
                if not bound:
                    self._free(pod.priority)

    def _begin(self, now: Standing, pod: PodRow) -> None:
        if now is Standing.BOUND:
            self.nodes.occupy(pod.node, pod.requests)
            self.residents.settle(pod, self.nodes.rows)
        elif now is Standing.WAITING:
            arrival = Arrival(pod.key, self.queue.stamp(self._now()))
            self.residents.nominate(pod)
            self.arriving[pod.key] = arrival
            self._call().arrivals.append(arrival)

    def _renominate(self, old: PodRow, new: PodRow) -> None:
        """The pod keeps its place, and is of another kind."""
        if new.key in self.queue and new.key != self.tried:
            kind, alone = self.kinds.of(new), self.queue.remove(old.key, self.kinds.of(old))
            self.queue.restore(alone, kind)
            kind.looked = -1
        if self.residents.dismiss(old):
            self.nodes.gain(old.nominated)
            self._free(old.priority)
        self.residents.nominate(new)

    def _free(self, priority: float, *, unrepelled: bool = False) -> None:
        """There may be room for pods up to this priority."""
        if self.queue:
            calls = self._call()
            calls.freed = max(calls.freed, priority)
            calls.unrepelled |= unrepelled


def _static(node: NodeRow) -> tuple[object, ...]:
    return node.labels, node.taints, node.unschedulable, node.ready, node.terminating


def _alike(one: PodRow, other: PodRow) -> bool:
    """One pod, and to the scheduler the same but for where it is, or is promised to be."""
    return (
        (one.uid, one.priority, one.requests, one.selector)
        == (other.uid, other.priority, other.requests, other.selector)
        and (one.affinity, one.tolerations, one.labels) == (other.affinity, other.tolerations, other.labels)
        and one.repels == other.repels
    )


def _same(one: PodRow, other: PodRow) -> bool:
    return (one.node, one.nominated) == (other.node, other.nominated) and _alike(one, other)
