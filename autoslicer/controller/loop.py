"""The controller's loop: snapshot, decide, act; only while leading and only on a cache that is fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from autoslicer.cluster.cache import Cache, same_but_for_version
from autoslicer.cluster.client import RefusedError, UnreachableError
from autoslicer.cluster.config_file import PublishError
from autoslicer.cluster.writer import Writer
from autoslicer.controller import search
from autoslicer.controller.batcher import Batcher
from autoslicer.controller.executor import Executor
from autoslicer.controller.measures import measure
from autoslicer.core import names
from autoslicer.core.actions import Action
from autoslicer.core.cycle import decide
from autoslicer.core.nodes.idleness import asks_gpu
from autoslicer.core.pacing import fleet
from autoslicer.core.pacing.fleet import DEFAULT_LIMITS, FleetLimits
from autoslicer.core.planner import Prepared
from autoslicer.core.reading import Row
from autoslicer.core.rows import PodRow
from autoslicer.observability.metrics import Metrics

STALE_SECONDS = 120.0
"""nothing is decided on a cache that has not heard of the API server for so long"""
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
"""until the next cycle where one could not be run, or something of it failed: then ever longer"""

log = structlog.get_logger("autoslicer.loop")


class Loop:
    """One cycle after the other."""

    def __init__(
        self,
        cache: Cache,
        writer: Writer,
        executor: Executor,
        batcher: Batcher,
        metrics: Metrics,
        limits: FleetLimits = DEFAULT_LIMITS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._cache, self._writer, self._executor = cache, writer, executor
        self._batcher, self._metrics, self._stale_seconds = batcher, metrics, stale_seconds
        self._limits = self._set_limits = limits
        self._prepared = Prepared()
        cache.listen(self._hear)

    async def run(self) -> None:
        """Run cycles until cancelled; changes under way go on whatever happens to a cycle."""
        self._batcher.poke()
        pause = RETRY_SECONDS
        try:
            while True:
                await self._batcher.wait()
                if not self._cache.synced or self._cache.age > self._stale_seconds:
                    await asyncio.sleep(RETRY_SECONDS)
                    self._batcher.poke()
                    continue
                if await self._attempt():
                    pause = RETRY_SECONDS
                else:
                    asyncio.get_running_loop().call_later(pause, self._batcher.poke)
                    pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        finally:
            await self._executor.stop()

    async def _attempt(self) -> bool:
        """One cycle; a fault of ours in it must not keep changes that are under way from going on."""
        try:
            return await self._cycle()
        except Exception:
            log.exception("a cycle failed and is tried again")
            self._executor.resume()
            await asyncio.sleep(RETRY_SECONDS)
            return False

    async def _cycle(self) -> bool:
        """One cycle; false where something of it must be tried again."""
        began = time.monotonic()
        now = time.time()
        # 1. the cluster, frozen
        snapshot, starting = self._cache.snapshot(), self._executor.starting
        taken = time.monotonic()
        # 2. what shall be done; planning may take long and must not hold up the watches
        decision, self._prepared = await search.apart(
            partial(
                decide,
                snapshot,
                snapshot.policies,
                now,
                self._prepared,
                limits=self._limits,
                starting=starting,
            )
        )
        decided = time.monotonic()
        # 3. do it
        well = await self._act(decision.actions, now)
        self._executor.follow(decision.holds, frozenset(snapshot.changes))
        self._batcher.wake_at(decision.wake)
        spent = {"snapshot": taken - began, "decide": decided - taken, "act": time.monotonic() - decided}
        measure(self._metrics, snapshot, decision, spent)
        return well

    async def _act(self, actions: Sequence[Action], now: float) -> bool:
        """Carry out each action by itself: one that fails holds up no other and is decided anew."""
        well = True
        for action in actions:
            try:
                await self._writer.carry_out([action], now)
            except (RefusedError, UnreachableError, PublishError) as error:
                well = False
                if not (isinstance(error, RefusedError) and error.conflict):
                    log.warning("an action failed", action=type(action).__name__, error=str(error))
        return well

    def told(self, annotations: Mapping[str, str]) -> None:
        """Take over what the Lease's annotations say."""
        limits = fleet.told(self._set_limits, annotations)
        if limits != self._limits:
            if limits.paused != self._limits.paused:
                log.info("no change starts" if limits.paused else "changes may start", said=limits.paused)
            self._limits = limits
            self._batcher.poke()

    def _hear(self, old: Row | None, new: Row | None) -> None:
        if not same_but_for_version(old, new) and (
            self._matters(old) or self._matters(new) or old is new is None
        ):
            self._batcher.poke()

    def _matters(self, row: Row | None) -> bool:
        """Pods that neither ask for GPUs nor run beside some change no decision."""
        if row is None:
            return False
        if not isinstance(row, PodRow) or asks_gpu(row):
            return True
        node = self._cache.nodes.rows.get(row.node)
        return node is not None and node.labels.get(names.MIG_CAPABLE) == "true"
