"""Tries pods in kube-scheduler's order, binds those that fit, and calls the others Unschedulable."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from autoslicer.core.actions import Report
from autoslicer.core.rows import PodRow
from simulations.scheduler.calls import Calls
from simulations.scheduler.informer import Informer, Standing, standing
from simulations.scheduler.kinds import Kind
from simulations.scheduler.nodes import Amounts
from simulations.scheduler.queue import Round
from simulations.scheduler.scores import best, enough
from simulations.world import Row, World

REACTION_SECONDS = 0.02
"""from what calls for an attempt to its end"""


@dataclass(slots=True)
class Scheduler:
    """Binds pods as kube-scheduler 1.36 does with its default profile.

    Not modelled: preemption, preferred affinities, topology spread, volumes and images. Among nodes of equal
    score kube-scheduler draws one; here it is the first in its order. An attempt takes no time of its own:
    all that one moment calls for ends `delay` seconds after it.

    Attributes:
        world: whose pods are bound.
        delay: seconds from what calls for an attempt to its end.
    """

    world: World
    delay: float = REACTION_SECONDS
    _informer: Informer = field(init=False)
    _calls: Calls | None = None
    _called: float = 0.0
    _round: Round[Kind] | None = None
    _later: list[tuple[Row | None, Row | None]] = field(default_factory=list)
    _start: int = 0

    def __post_init__(self) -> None:
        self._informer = Informer(lambda: self.world.clock.now, self._call)
        for node in self.world.nodes.values():
            self._notice(None, node)
        for pod in self.world.pods.values():
            self._notice(None, pod)
        self.world.watch(self._notice)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        row = new or old
        if self._round is not None and isinstance(row, PodRow) and row.key != self._informer.tried:
            # somebody answers a binding at once: the queue must not change until the round ends
            self._later.append((old, new))
        else:
            self._informer.notice(old, new)

    def _call(self) -> Calls:
        """What this moment calls for."""
        now = self.world.clock.now
        if self._calls is None or self._called != now:
            calls = Calls()
            self._calls, self._called = calls, now
            self.world.clock.after(self.delay, lambda: self._answer(calls))
        return self._calls

    def _answer(self, calls: Calls) -> None:
        """Empty the queue of all that was woken or came."""
        if self._calls is calls:
            self._calls = None
        informer = self._informer
        informer.nodes.settle()
        informer.kinds.forget()
        woken = [(kind, runs) for kind in informer.queue.waiting if (runs := calls.woken(kind))]
        self._round = Round(informer.queue, self.world.clock.now, woken)
        for arrival in calls.arrivals:
            if not arrival.gone:
                del informer.arriving[arrival.pod]
                kind = informer.kinds.of(self.world.pods[arrival.pod])
                self._round.arrive(arrival.pod, kind, arrival.stamp)
        while (popped := self._round.pop()) is not None:
            self._try(self._round, *popped)
        self._round.close()
        self._round, informer.tried = None, ""
        later, self._later = self._later, []
        for old, new in later:
            informer.notice(old, new)

    def _try(self, attempts: Round[Kind], key: str, kind: Kind) -> None:
        self._informer.tried = key
        pod = self.world.pods.get(key)
        if pod is None or standing(pod) is not Standing.WAITING:
            return
        node = None if attempts.hopeless(kind) else self._choose(kind, key)
        if node is None:
            self._fail(attempts, kind, pod)
            return
        kind.looked = -1
        now = self.world.stamp()
        self.world.write(replace(pod, node=node, tried=True, unschedulable_since=None, bound_at=now))
        if kind.nominated:
            attempts.reopen()

    def _fail(self, attempts: Round[Kind], kind: Kind, pod: PodRow) -> None:
        """The pod waits; the node that it was promised is no longer kept for it."""
        informer = self._informer
        informer.filters.reject(kind, pod.key)
        since = pod.unschedulable_since
        if since is None:
            since, message = self.world.clock.now, informer.filters.message(kind, pod.key)
            what = ("Pod", pod.namespace, pod.name, pod.uid, "Warning", "FailedScheduling", message)
            self.world.report(Report(*what))
        elif not kind.nominated:
            attempts.fail(kind, kind.rejectors, alone=False)
            return
        failed = replace(pod, nominated="", tried=True, unschedulable_since=since)
        after = informer.kinds.of(failed) if kind.nominated else kind
        if after is not kind:
            after.looked = -1
        attempts.fail(after, kind.rejectors, alone=bool(kind.nominated))
        self.world.write(failed)
        if kind.nominated:
            attempts.reopen()

    def _choose(self, kind: Kind, key: str) -> str | None:
        """The node for the pod; None where there is none."""
        informer = self._informer
        if kind.nominated and informer.filters.passes(kind, key, kind.nominated):
            return kind.nominated
        gained = informer.nodes.gained(kind.looked) if kind.looked >= 0 else None
        if gained is None or any(informer.filters.passes(kind, key, name) for name in dict.fromkeys(gained)):
            found = np.flatnonzero(informer.filters.passing(kind, key))
            if len(found):
                return self._pick(kind, found)
        kind.looked = informer.nodes.gains
        return None

    def _pick(self, kind: Kind, found: Amounts) -> str:
        """The best of as many nodes as the scheduler looks for, from where it stopped looking last."""
        nodes = self._informer.nodes
        total, wanted = len(nodes.order), enough(len(nodes.order))
        start = self._start % total
        first = int(np.searchsorted(found, start))
        found = np.concatenate((found[first:], found[:first]))
        looked = (int(found[wanted]) - start) % total if len(found) > wanted else total
        self._start = (start + looked) % total
        found = found[:wanted]
        return nodes.order[int(found[0]) if len(found) == 1 else best(nodes, kind, found)]
