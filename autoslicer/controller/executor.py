"""Carries every live change on, each in a task of its own, so that one bad node never holds another up."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache, same_but_for_version
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.cluster.config_file import PublishError
from autoslicer.cluster.observer import UnreadableError, look
from autoslicer.cluster.writer import UntouchableError, Writer
from autoslicer.core.actions import Action, WakeAt, WriteChangeStatus
from autoslicer.core.changes.observation import Observation, Timing, needs_fresh, sight
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.progress import advance
from autoslicer.core.reading import Row
from autoslicer.core.rows import (
    ChangeStatus,
    ConfigMapRow,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    ResourceSliceRow,
)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""seconds between attempts when the API server does not answer; doubled, with jitter"""

log = structlog.get_logger("autoslicer.executor")


class Executor:
    """One task for each live change in the cache."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        writer: Writer,
        timing: Timing,
        turn: Callable[[ReconfigurationRow, float], float] = lambda change, now: 0.0,
    ) -> None:
        """Nothing is done before `follow` or `resume`.

        Args:
            client: to read with.
            cache: what is known.
            writer: to act with.
            timing: of the steps.
            turn: in how many seconds the node of a change may come back, at a moment in seconds since the
                epoch.
        """
        self._client, self._cache, self._writer, self._timing = client, cache, writer, timing
        self._turn = turn
        self._holds: Mapping[str, Verdict] = {}
        self._decided: frozenset[str] = frozenset()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pokes: dict[str, asyncio.Event] = {}
        self._begun: set[str] = set()
        cache.listen(self._hear)

    @property
    def starting(self) -> frozenset[str]:
        """The Waiting changes that may start, or be starting, on what was said of them until now."""
        rows = self._cache.changes.rows
        free = (self._decided - self._holds.keys()) | self._begun
        return frozenset(name for name in free if name in rows and phase(rows[name]) is Phase.WAITING)

    def follow(self, holds: Mapping[str, Verdict], decided: frozenset[str]) -> None:
        """Take over what the last cycle said of Waiting changes, and carry every live change on.

        Args:
            holds: why a Waiting change may not start.
            decided: the changes that this cycle knew; others wait for the next one.
        """
        self._holds, self._decided = holds, decided
        self.resume()

    def resume(self) -> None:
        """Start a task for each live change that has none, and let the others look again."""
        for name, change in self._cache.changes.rows.items():
            if live(change) and name not in self._tasks:
                self._pokes[name] = asyncio.Event()
                task = asyncio.create_task(self._carry_on(name), name=f"change {name}")
                task.add_done_callback(partial(self._forget, name))
                self._tasks[name] = task
        for poke in self._pokes.values():
            poke.set()

    async def stop(self) -> None:
        """Cancel every task; the objects know where each change stands."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_on(self, name: str) -> None:
        """Advance one change until it has ended; what goes wrong is tried again, ever more slowly."""
        sightings: tuple[float, ...] = ()
        touchable = True
        pause, stale = FIRST_PAUSE, False
        poke = self._pokes[name]
        while (change := self._cache.changes.rows.get(name)) is not None and live(change):
            asked = 0.0
            poke.clear()
            if not self._ripe(change):
                await poke.wait()
                continue
            try:
                sightings, again = await self._step(change, sightings, stale, touchable)
            except UntouchableError as error:
                log.warning("the kubelet's own time is waited for", change=name, error=str(error))
                touchable = False
                continue
            except (RefusedError, UnreachableError, UnreadableError, PublishError) as error:
                if not (isinstance(error, RefusedError) and error.conflict):
                    log.warning("a step failed and is tried again", change=name, error=str(error))
                asked = error.retry_after if isinstance(error, RefusedError) else 0.0
            except Exception:
                # a fault of ours, which must not leave a tainted node alone for good
                log.exception("a step failed and is tried again", change=name)
            else:
                pause, stale = FIRST_PAUSE, False
                with contextlib.suppress(TimeoutError):
                    # Python 3.11's wait_for forgets a cancellation that comes with the poke
                    async with asyncio.timeout(again):
                        await poke.wait()
                continue
            stale = True
            await asyncio.sleep(max(asked, pause * random.uniform(0.5, 1.0)))
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._look_again(name)

    async def _look_again(self, name: str) -> None:
        """Read the change itself anew: an answer may have been lost, and a watch may be silent."""
        with contextlib.suppress(RefusedError, UnreachableError):
            try:
                self._cache.changes.observe(await self._client.get(paths.one(paths.CHANGES, name)))
            except RefusedError as error:
                if error.status == 404:
                    await self._cache.changes.refresh()

    async def _step(
        self, change: ReconfigurationRow, sightings: tuple[float, ...], stale: bool, touchable: bool
    ) -> tuple[tuple[float, ...], float | None]:
        """One observation and what follows from it.

        The cache tells when there is something to do; whatever is then written to the cluster, and every
        phase, follows from reads made for it, however long ago a watch was last heard of.

        Returns:
            The sightings, and in how many seconds to look again although nothing changes (None: not at all).
        """
        hold = self._holds.get(change.name)
        (self._begun.discard if hold else self._begun.add)(change.name)
        fresh = stale or needs_fresh(change, hold)
        snapshot = await look(self._client, self._cache, change) if fresh else self._cache.snapshot()
        now = time.time()
        seen = Observation(snapshot, fresh, hold, sightings, touchable)
        seen = replace(seen, sightings=sight(sightings, change, seen, now))
        sightings = seen.sightings
        status, actions = advance(change, seen, now, self._timing)
        if status.phase == Phase.APPLIED != change.status.phase and (pause := self._turn(change, now)) > 0:
            return sightings, pause
        if not fresh and (_moved(change.status, status) or not all(isinstance(a, WakeAt) for a in actions)):
            return await self._step(change, sightings, True, touchable)
        await self._writer.carry_out(actions, now)
        if status == change.status:
            return sightings, _until(actions, now)
        await self._writer.carry_out([WriteChangeStatus(change.name, change.resource_version, status)], now)
        if len(status.steps) > len(change.status.steps):
            log.info("step", change=change.name, phase=status.phase, message=status.steps[-1].message)
        return sightings, 0.0 if _moved(change.status, status) else _until(actions, now)

    def _ripe(self, change: ReconfigurationRow) -> bool:
        """A Waiting change goes no further before a cycle has judged it."""
        return phase(change) is not Phase.WAITING or change.name in self._decided

    def _forget(self, name: str, _: asyncio.Task[None]) -> None:
        self._tasks.pop(name, None)
        self._pokes.pop(name, None)
        self._begun.discard(name)

    def _hear(self, old: Row | None, new: Row | None) -> None:
        """Wake the tasks that a change of the cluster concerns."""
        row = new if new is not None else old
        if row is None or same_but_for_version(old, new):
            return
        for name, poke in self._pokes.items():
            change = self._cache.changes.rows.get(name)
            if change is None or _concerns(row, change):
                poke.set()


def _concerns(row: Row, change: ReconfigurationRow) -> bool:
    match row:
        case NodeRow() | MigNodeRow():
            return row.name == change.node
        case PodRow():
            return row.node == change.node or row.key in change.serves
        case ReconfigurationRow():
            return row.name == change.name
        case ResourceSliceRow():
            return row.node in ("", change.node)
        case ConfigMapRow() | Policy():
            return True


def _until(actions: tuple[Action, ...], now: float) -> float | None:
    times = [action.at for action in actions if isinstance(action, WakeAt)]
    return max(0.0, min(times) - now) if times else None


def _moved(old: ChangeStatus, new: ChangeStatus) -> bool:
    """A phase was entered: the next step may be due at once."""
    return len(new.steps) > len(old.steps)
