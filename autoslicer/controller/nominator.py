"""Sets and renews hints to kube-scheduler as soon as a pod shows that it lacks one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

import structlog

from autoslicer.cluster.cache import Cache, same_but_for_version
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.cluster.version import release
from autoslicer.cluster.writer import Writer
from autoslicer.controller.renewal import Renewal
from autoslicer.controller.spacing import Spacing
from autoslicer.core import names
from autoslicer.core.nominating import OLDEST_VERSION, REST_SECONDS, nomination
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.policy import Policy
from autoslicer.core.reading import Row
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow, Step
from autoslicer.core.snapshot import TAKE_BACK_SECONDS

LEAD_SECONDS = 0.2
"""from the hints to the end of our taint: the scheduler must know of them by then"""
RETRY_SECONDS = 1.0
"""until the next attempt where the API server did not take a hint"""

log = structlog.get_logger("autoslicer.nominator")


class Nominator:
    """Gives every pod the hint that `core.nominating` says; it needs no memory to do so.

    It listens to the cache from the start, and acts while `run` does.
    """

    def __init__(self, client: Client, cache: Cache, writer: Writer, spacing_seconds: float = 0.0) -> None:
        self._client, self._cache, self._writer = client, cache, writer
        self._spacing, self._renewal = Spacing(spacing_seconds, LEAD_SECONDS), Renewal()
        self._able = False
        # by pod, the changes by name that serve or have served it; and all that are live
        self._serving: dict[str, dict[str, ReconfigurationRow]] = {}
        self._live: dict[str, ReconfigurationRow] = {}
        self._due: set[str] = set()
        self._busy: set[str] = set()
        self._poked = asyncio.Event()
        # pods that got a hint, those that lost it since, and changes whose nodes are about to come back
        self._hinted: set[str] = set()
        self._lost: set[str] = set()
        self._coming: set[str] = set()
        # changes whose nodes our taint has left, and those of them where that was long enough ago
        self._lifted: set[str] = set()
        self._settled: set[str] = set()
        cache.listen(self._hear)

    async def run(self) -> None:
        """Hint until cancelled; return where this cluster's scheduler would not heed hints."""
        found = await self._release()
        if found < OLDEST_VERSION:
            wanted, have = (".".join(map(str, version)) for version in (OLDEST_VERSION, found))
            log.warning("pods are not nominated", reason=f"that needs Kubernetes {wanted}, this is {have}")
            return
        self._able = True
        self._note(self._serving)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._poked.wait()
                    self._poked.clear()
                    for key in self._due - self._busy:
                        self._busy.add(key)
                        group.create_task(self._settle(key), name=f"hint {key}")
        finally:
            self._able = False

    def turn(self, change: ReconfigurationRow, now: float) -> float:
        """In how many seconds our taint may leave the change's node; its pods may be hinted just before."""
        policy = self._policies().get(change.policy)
        if not self._able or policy is None or not policy.nominate:
            return 0.0
        if change.name not in self._coming:
            self._coming.add(change.name)
            self._note(change.serves)
        busy = any(
            phase(other) is Phase.APPLIED or (phase(other) is Phase.LABELLED and self._spacing.gave(name))
            for name, other in self._live.items()
            if name != change.name
        )
        return self._spacing.turn(change.name, now, busy=busy)

    async def _release(self) -> tuple[int, int]:
        while True:
            try:
                return await release(self._client)
            except (RefusedError, UnreachableError) as error:
                log.warning("the version of Kubernetes cannot be read", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _settle(self, key: str) -> None:
        """Bring the pod's hint in order, as often as something about it changes meanwhile."""
        try:
            while key in self._due:
                self._due.discard(key)
                await self._look(key, time.time())
        except Exception:
            # a fault of ours, which must not end the hints of all other pods
            log.exception("a pod is not nominated", pod=key)
        finally:
            self._busy.discard(key)

    async def _look(self, key: str, now: float) -> None:
        """Set or take back the pod's hint where that is due."""
        pod = self._cache.pods.rows.get(key)
        if pod is None:
            self._hinted.discard(key)
            self._lost.discard(key)
            return
        serving, nodes = self._serving.get(key, {}).values(), self._cache.nodes.rows
        action = nomination(
            pod, serving, nodes, self._policies(), now, coming=self._coming, settled=self._settled
        )
        if action is None:
            return
        later = asyncio.get_running_loop().call_later
        if action.node and (pause := self._pause(key, now)) > 0:
            later(pause, self._note, [key])
            return
        try:
            await self._writer.carry_out([action], now)
        except (RefusedError, UnreachableError) as error:
            if not (isinstance(error, RefusedError) and error.conflict):
                log.warning("a pod is not nominated", pod=key, node=action.node, error=str(error))
                later(RETRY_SECONDS, self._note, [key])
            # else the news of what has changed is on its way
        else:
            (self._hinted.add if action.node else self._hinted.discard)(key)
            log.debug("nominated", pod=key, node=action.node)

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

    def _policies(self) -> dict[str, Policy]:
        return {policy.name: policy for policy in self._cache.policies.rows()}

    def _hear(self, old: Row | None, new: Row | None) -> None:
        row = new if new is not None else old
        if row is None or same_but_for_version(old, new):
            return
        match row:
            case PodRow():
                if row.key in self._serving:
                    self._note([row.key])
            case ReconfigurationRow():
                self._learn(row, gone=new is None)
            case NodeRow():
                for change in self._live.values():
                    if change.node == row.name:
                        self._rest(change)
                        self._note(change.serves)
            case Policy():
                self._note(self._serving)

    def _learn(self, change: ReconfigurationRow, *, gone: bool) -> None:
        """Remember who is served, and forget it with the object.

        The hints of a change that was deleted on its way are taken back.
        """
        self._live.pop(change.name, None)
        if gone or not live(change):
            for known in (self._coming, self._lifted, self._settled):
                known.discard(change.name)
        if gone and live(change):
            change = _cancelled(change, time.time())
            asyncio.get_running_loop().call_later(TAKE_BACK_SECONDS, self._forget, change)
        elif gone:
            self._forget(change)
            return
        elif live(change):
            self._live[change.name] = change
        for key in change.serves:
            self._serving.setdefault(key, {})[change.name] = change
        self._rest(change)
        self._note(change.serves)

    def _rest(self, change: ReconfigurationRow) -> None:
        """Give the scheduler time for all pods that the end of our taint has woken."""
        node = self._cache.nodes.rows.get(change.node)
        if phase(change) is not Phase.APPLIED or node is None or change.name in self._lifted:
            return
        if all(taint.key != names.TAINT for taint in node.taints):
            self._lifted.add(change.name)
            asyncio.get_running_loop().call_later(REST_SECONDS, self._settle_down, change)

    def _settle_down(self, change: ReconfigurationRow) -> None:
        if change.name in self._live:
            self._settled.add(change.name)
        self._note(change.serves)

    def _forget(self, change: ReconfigurationRow) -> None:
        for key in change.serves:
            known = self._serving.get(key, {})
            # a new object of that name may have come
            if change.name in known and known[change.name].uid == change.uid:
                del known[change.name]
            if not known:
                self._serving.pop(key, None)

    def _note(self, keys: Iterable[str]) -> None:
        """Look at these pods soon."""
        self._due.update(keys)
        self._poked.set()


def _cancelled(change: ReconfigurationRow, now: float) -> ReconfigurationRow:
    steps = (*change.status.steps, Step(Phase.CANCELLED, now))
    return replace(change, status=replace(change.status, phase=Phase.CANCELLED, steps=steps))
