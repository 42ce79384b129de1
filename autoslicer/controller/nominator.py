"""Sets and renews hints to kube-scheduler as soon as a pod shows that it lacks one."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from autoslicer.cluster.cache import Cache, same_but_for_version
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.cluster.version import release
from autoslicer.cluster.writer import Writer
from autoslicer.core.hints import RETRY_SECONDS, Hints
from autoslicer.core.nominating import OLDEST_VERSION
from autoslicer.core.policy import Policy
from autoslicer.core.reading import Row
from autoslicer.core.rows import ReconfigurationRow

log = structlog.get_logger("autoslicer.nominator")


class Nominator:
    """Gives every pod the hint that `core.nominating` says, when `core.hints` says.

    It listens to the cache from the start, and acts while `run` does.
    """

    def __init__(self, client: Client, cache: Cache, writer: Writer, spacing_seconds: float = 0.0) -> None:
        self._client, self._cache, self._writer = client, cache, writer
        self._hints = Hints(lambda: cache.nodes.rows, self._policies, spacing_seconds)
        self._able = False
        self._busy: set[str] = set()
        self._poked = asyncio.Event()
        cache.listen(self._hear)

    async def run(self) -> None:
        """Hint until cancelled; return where this cluster's scheduler would not heed hints."""
        found = await self._release()
        if found < OLDEST_VERSION:
            wanted, have = (".".join(map(str, version)) for version in (OLDEST_VERSION, found))
            log.warning("pods are not nominated", reason=f"that needs Kubernetes {wanted}, this is {have}")
            return
        self._able = True
        self._hints.look_at_all()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._poked.clear()
                    self._hints.pass_time(time.time())
                    for key in self._hints.due - self._busy:
                        self._busy.add(key)
                        group.create_task(self._settle(key), name=f"hint {key}")
                    wake = self._hints.wake
                    pause = None if wake is None else max(0.0, wake - time.time())
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._poked.wait()
        finally:
            self._able = False

    def turn(self, change: ReconfigurationRow, now: float) -> float:
        """In how many seconds our taint may leave the change's node; its pods may be hinted just before."""
        if not self._able:
            return 0.0
        pause = self._hints.turn(change, now)
        self._poked.set()
        return pause

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
            while key in self._hints.due:
                self._hints.due.discard(key)
                await self._look(key, time.time())
        except Exception:
            # a fault of ours, which must not end the hints of all other pods
            log.exception("a pod is not nominated", pod=key)
        finally:
            self._busy.discard(key)
            self._poked.set()

    async def _look(self, key: str, now: float) -> None:
        """Set or take back the pod's hint where that is due."""
        action = self._hints.look(key, self._cache.pods.rows.get(key), now)
        if action is None:
            return
        try:
            await self._writer.carry_out([action], now)
        except (RefusedError, UnreachableError) as error:
            if not (isinstance(error, RefusedError) and error.conflict):
                log.warning("a pod is not nominated", pod=key, node=action.node, error=str(error))
                self._hints.refused(key, now)
            # else the news of what has changed is on its way
        else:
            self._hints.carried_out(key, action)
            log.debug("nominated", pod=key, node=action.node)

    def _policies(self) -> dict[str, Policy]:
        return {policy.name: policy for policy in self._cache.policies.rows()}

    def _hear(self, old: Row | None, new: Row | None) -> None:
        if not same_but_for_version(old, new):
            self._hints.hear(old, new, time.time())
            if self._hints.due:
                self._poked.set()
