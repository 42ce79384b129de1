"""A per-pod system in the virtual world: its scheduler, its node agents, and the life of its pods."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from autoslicer.core import fitting
from autoslicer.core.rows import NodeRow, PodRow
from simulations.gpu import Gpu, Instance
from simulations.strategies.per_pod.choice import Choice
from simulations.strategies.per_pod.rules import Rule
from simulations.strategies.per_pod.seating import Seating
from simulations.world import Row, World
from solver.problem import counts

CREATE_SECONDS, DESTROY_SECONDS = 0.25, 0.1
"""of one pod's instances, as MIGBench charges them"""


class System:
    """Binds each pod where the rule has room for it, and runs it there until it ends.

    Waiting pods are tried in the order of their priority and age after every change, and one that does not
    fit keeps no other from being tried. What is booked for a pod stays booked until its instances are gone.

    Args:
        world: the virtual cluster; nothing else binds or runs its pods.
        gpus: of each node, by name; what they are cut into goes.
        rule: where instances go.
        schedule_seconds: from a change to the attempts that it causes; they see all that happened by then,
            but no pod that has come since.
    """

    def __init__(
        self, world: World, gpus: Mapping[str, Sequence[Gpu]], rule: Rule, schedule_seconds: float
    ) -> None:
        self._world, self._gpus, self._rule = world, gpus, rule
        self._schedule_seconds = schedule_seconds
        self._seating = Seating(rule, gpus)
        self._choice = Choice(self._worth)
        self._waiting: dict[str, PodRow] = {}
        self._came: dict[str, float] = {}
        self._left: dict[str, dict[str, int]] = {}
        self._planned = -1.0
        for node in world.nodes.values():
            self._join(node)
        for pod in world.pods.values():
            self._notice(None, pod)
            if pod.node and not pod.finished:
                self._seating.hold(pod.key, pod.node)
        world.watch(self._notice)

    def moments(self) -> Iterator[float]:
        """Live: each moment at which something happens, once all that it asks for is done."""
        return self._world.clock.moments()

    def _notice(self, old: Row | None, new: Row | None) -> None:
        match old, new:
            case (None, PodRow(node="", phase="Pending")):
                self._waiting[new.key] = new
                self._came[new.key] = self._world.clock.now
            case (PodRow(), None):
                self._waiting.pop(old.key, None)
                self._came.pop(old.key, None)
                self._leave(old)
            case ((NodeRow() | None), NodeRow()):
                self._join(new)
            case (NodeRow(), None):
                self._left.pop(old.name, None)
                self._choice.change(old.name)
            case _:
                return
        self._plan()

    def _join(self, node: NodeRow) -> None:
        self._seating.adopt(node.name)
        left = fitting.others(node.allocatable)
        for pod in self._world.pods.values():
            if pod.node == node.name and not pod.finished:
                _add(left, pod, -1)
        self._left[node.name] = left
        self._choice.change(node.name)

    def _plan(self) -> None:
        now = self._world.clock.now
        if self._planned != now:
            self._planned = now
            self._world.clock.after(self._schedule_seconds, lambda: self._try_all(now))

    def _try_all(self, until: float) -> None:
        """Try the pods that had come by then."""
        self._planned = -1.0
        refused: set[Hashable] = set()
        for pod in sorted(self._waiting.values(), key=lambda pod: -pod.priority):
            kind = (counts(pod.requests), pod.selector, pod.affinity, pod.tolerations)
            if pod.gated or pod.terminating or self._came[pod.key] > until:
                continue
            node = None if kind in refused else self._choice.best(kind, pod)
            if node is None:
                refused.add(kind)
                self._refuse(pod)
            else:
                self._bind(pod, node)

    def _worth(self, pod: PodRow, name: str) -> float | None:
        """What the node is worth for the pod; None where it cannot go there."""
        left, node = self._left.get(name), self._world.nodes.get(name)
        if left is None or node is None or not _allowed(pod, node):
            return None
        if any(left.get(resource, 0) < amount for resource, amount in fitting.others(pod.requests).items()):
            return None
        if self._seating.offer(name, counts(fitting.slices(pod.requests))) is None:
            return None
        return self._rule.worth(self._gpus.get(name, ()), _share(node, left))

    def _refuse(self, pod: PodRow) -> None:
        """The first time that a pod does not fit, it is unschedulable from then on."""
        if pod.unschedulable_since is None:
            told = replace(pod, tried=True, unschedulable_since=self._world.clock.now)
            self._waiting[pod.key] = told
            self._world.write(told)

    def _bind(self, pod: PodRow, node: str) -> None:
        del self._waiting[pod.key], self._came[pod.key]
        seats = self._seating.offer(node, counts(fitting.slices(pod.requests)))
        assert seats is not None, "the node was chosen because it has room"
        self._seating.take(pod.key, node, seats)
        _add(self._left[node], pod, -1)
        self._choice.change(node)
        bound = replace(pod, node=node, tried=True, unschedulable_since=None, bound_at=self._world.stamp())
        self._world.write(bound)
        self._world.clock.after(CREATE_SECONDS, lambda: self._start(pod))

    def _start(self, bound: PodRow) -> None:
        pod = self._same(bound)
        if pod is None:
            return
        self._world.write(replace(pod, phase="Running", ready=True))
        if pod.key in self._world.durations:
            self._world.clock.after(self._world.durations[pod.key], lambda: self._finish(bound))

    def _finish(self, started: PodRow) -> None:
        pod = self._same(started)
        if pod is not None:
            self._leave(pod)
            self._world.write(replace(pod, phase="Succeeded", ready=False))

    def _same(self, known: PodRow) -> PodRow | None:
        """The pod as it is now; None where it is gone, or another one of its name has come."""
        pod = self._world.pods.get(known.key)
        return pod if pod is not None and pod.uid == known.uid else None

    def _leave(self, pod: PodRow) -> None:
        """What the pod held is given back: its instances once they are destroyed."""
        found = self._seating.leave(pod.key)
        if found is None:
            return
        node, made = found
        if node in self._left:
            _add(self._left[node], pod, 1)
            self._choice.change(node)
            self._plan()
        self._world.clock.after(DESTROY_SECONDS, lambda: self._clear(node, made))

    def _clear(self, node: str, made: Sequence[tuple[Gpu, Instance]]) -> None:
        self._seating.clear(node, made)
        self._choice.change(node)
        self._plan()


def _allowed(pod: PodRow, node: NodeRow) -> bool:
    closed = fitting.closed(node) is not None or fitting.untolerated(pod, node) is not None
    return not closed and fitting.selected(pod, node)


def _add(left: dict[str, int], pod: PodRow, times: int) -> None:
    """Add what the pod asks for besides slices to what is left, or take it away."""
    for resource, amount in fitting.others(pod.requests).items():
        left[resource] = left.get(resource, 0) + times * amount


def _share(node: NodeRow, left: Mapping[str, int]) -> float:
    """The mean share of CPU and memory that no pod asks for."""
    shares = [
        left.get(name, 0) / node.allocatable[name] for name in ("cpu", "memory") if node.allocatable.get(name)
    ]
    return sum(shares) / len(shares) if shares else 0.0
