"""Which pods are to be looked at for a hint, and when: what `nominating` needs to know beside the objects."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import count

from autoslicer.core import names
from autoslicer.core.actions import Nominate
from autoslicer.core.nominating import REST_SECONDS, nomination
from autoslicer.core.pacing.renewal import Renewal
from autoslicer.core.pacing.spacing import Spacing
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.policy import Policy
from autoslicer.core.reading import Row
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow, Step
from autoslicer.core.snapshot import TAKE_BACK_SECONDS

LEAD_SECONDS = 0.2
"""from the hints to the end of our taint: the scheduler must know of them by then"""
RETRY_SECONDS = 1.0
"""until the next attempt where the API server did not take a hint"""


class Hints:
    """Hears of every object and keeps apart what is due. Times are in seconds since the epoch.

    All that it remembers comes from the objects, and from what it was told of its own hints.

    Attributes:
        due: the pods, by key, to be looked at now; whoever looks takes them away.
    """

    def __init__(
        self,
        nodes: Callable[[], Mapping[str, NodeRow]],
        policies: Callable[[], Mapping[str, Policy]],
        spacing_seconds: float = 0.0,
    ) -> None:
        """Nothing is known yet.

        Args:
            nodes: gives the nodes, by name.
            policies: gives the policies, by name.
            spacing_seconds: between nodes that come back.
        """
        self._nodes, self._policies = nodes, policies
        self._spacing, self._renewal = Spacing(spacing_seconds, LEAD_SECONDS), Renewal()
        self.due: set[str] = set()
        # by pod, the changes by name that serve or have served it; and all that are live
        self._serving: dict[str, dict[str, ReconfigurationRow]] = {}
        self._live: dict[str, ReconfigurationRow] = {}
        # pods that got a hint, those that lost it since, and changes whose nodes are about to come back
        self._hinted: set[str] = set()
        self._lost: set[str] = set()
        self._coming: set[str] = set()
        # changes whose nodes our taint has left, and those of them where that was long enough ago
        self._lifted: set[str] = set()
        self._settled: set[str] = set()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._passed = 0.0

    @property
    def wake(self) -> float | None:
        """When something will be due by the time alone; None for never."""
        return self._later[0][0] if self._later else None

    def pass_time(self, now: float) -> None:
        """Note what is due by now; a clock that was set back makes nothing wait longer."""
        back = max(0.0, self._passed - now)
        if back:
            self._later = [(at - back, order, what) for at, order, what in self._later]
        self._passed = now
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()

    def hear(self, old: Row | None, new: Row | None, now: float) -> None:
        """An object was created, changed or deleted (None: not there)."""
        row = new if new is not None else old
        match row:
            case PodRow():
                if row.key in self._serving:
                    self.due.add(row.key)
            case ReconfigurationRow():
                self._learn(row, now, gone=new is None)
            case NodeRow():
                for change in self._live.values():
                    if change.node == row.name:
                        self._rest(change, now)
                        self.due.update(change.serves)
            case Policy():
                self.look_at_all()
            case _:
                pass

    def look_at_all(self) -> None:
        """Every pod that a change serves or has served is due."""
        self.due.update(self._serving)

    def turn(self, change: ReconfigurationRow, now: float) -> float:
        """In how many seconds our taint may leave the change's node; its pods may be hinted just before."""
        policy = self._policies().get(change.policy)
        if policy is None or not policy.nominate:
            return 0.0
        if change.name not in self._coming:
            self._coming.add(change.name)
            self.due.update(change.serves)
        busy = any(
            phase(other) is Phase.APPLIED or (phase(other) is Phase.LABELLED and self._spacing.gave(name))
            for name, other in self._live.items()
            if name != change.name
        )
        return self._spacing.turn(change.name, now, busy=busy)

    def look(self, key: str, pod: PodRow | None, now: float) -> Nominate | None:
        """The hint that the pod is to get or to lose now; None where there is none, or not yet."""
        if pod is None:
            self._hinted.discard(key)
            self._lost.discard(key)
            return None
        serving, nodes = self._serving.get(key, {}).values(), self._nodes()
        action = nomination(
            pod, serving, nodes, self._policies(), now, coming=self._coming, settled=self._settled
        )
        if action is not None and action.node and (pause := self._pause(key, now)) > 0:
            self._after(now + pause, partial(self.due.add, key))
            return None
        return action

    def carried_out(self, key: str, action: Nominate) -> None:
        """The pod's hint was set or taken back."""
        (self._hinted.add if action.node else self._hinted.discard)(key)

    def refused(self, key: str, now: float) -> None:
        """The API server did not take a hint: it is looked at again soon."""
        self._after(now + RETRY_SECONDS, partial(self.due.add, key))

    def _pause(self, key: str, now: float) -> float:
        """Seconds until the pod may get a hint: a first one at once."""
        if key in self._hinted:
            self._hinted.discard(key)
            self._lost.add(key)
            self._renewal.dropped(now)
        if key not in self._lost:
            return 0.0
        if (pause := self._renewal.pause(now)) <= 0:
            self._lost.discard(key)
            self._renewal.renewed(now)
        return pause

    def _learn(self, change: ReconfigurationRow, now: float, *, gone: bool) -> None:
        """Remember who is served, and forget it with the object.

        The hints of a change that was deleted on its way are taken back.
        """
        self._live.pop(change.name, None)
        if gone or not live(change):
            for known in (self._coming, self._lifted, self._settled):
                known.discard(change.name)
        if gone and live(change):
            change = _cancelled(change, now)
            self._after(now + TAKE_BACK_SECONDS, partial(self._forget, change))
        elif gone:
            self._forget(change)
            return
        elif live(change):
            self._live[change.name] = change
        for key in change.serves:
            self._serving.setdefault(key, {})[change.name] = change
        self._rest(change, now)
        self.due.update(change.serves)

    def _rest(self, change: ReconfigurationRow, now: float) -> None:
        """Give the scheduler time for all pods that the end of our taint has woken."""
        node = self._nodes().get(change.node)
        if phase(change) is not Phase.APPLIED or node is None or change.name in self._lifted:
            return
        if all(taint.key != names.TAINT for taint in node.taints):
            self._lifted.add(change.name)
            self._after(now + REST_SECONDS, partial(self._settle_down, change))

    def _settle_down(self, change: ReconfigurationRow) -> None:
        if change.name in self._live:
            self._settled.add(change.name)
        self.due.update(change.serves)

    def _forget(self, change: ReconfigurationRow) -> None:
        for key in change.serves:
            known = self._serving.get(key, {})
            # a new object of that name may have come
            if change.name in known and known[change.name].uid == change.uid:
                del known[change.name]
            if not known:
                self._serving.pop(key, None)

    def _after(self, at: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._later, (at, next(self._order), what))


def _cancelled(change: ReconfigurationRow, now: float) -> ReconfigurationRow:
    steps = (*change.status.steps, Step(Phase.CANCELLED, now))
    return replace(change, status=replace(change.status, phase=Phase.CANCELLED, steps=steps))
