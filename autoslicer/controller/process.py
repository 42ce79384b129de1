"""Everything that runs in the controller's process, put together."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from contextlib import AsyncExitStack

import structlog

from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.cluster.events import Recorder
from autoslicer.cluster.fence import Fence
from autoslicer.cluster.lease import lead
from autoslicer.cluster.tasks import first, running
from autoslicer.cluster.writer import Writer
from autoslicer.controller import search
from autoslicer.controller.batcher import Batcher
from autoslicer.controller.executor import Executor
from autoslicer.controller.http import serving
from autoslicer.controller.loop import RETRY_SECONDS, Loop
from autoslicer.controller.measures import step
from autoslicer.controller.nominator import Nominator
from autoslicer.controller.settings import Settings, listen_on
from autoslicer.core.changes.observation import Timing
from autoslicer.core.reading import Row
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.observability.fulfilment import Fulfilment
from autoslicer.observability.metrics import Metrics

log = structlog.get_logger("autoslicer")


class ControllerError(Exception):
    """Why the controller ended by itself, in one sentence."""


async def run(settings: Settings, client: Client, cache: Cache, metrics: Metrics) -> None:
    """Watch, wait for leadership and act until cancelled.

    Raises:
        ControllerError: the metrics address cannot be listened on, or leadership was lost.
    """
    identity = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    fence = Fence()
    writing = client.fenced(fence)
    recorder = Recorder(writing, identity)
    writer = Writer(writing, cache, recorder)
    timing = Timing(
        settings.idle_confirm_seconds, settings.publish_settle_seconds, settings.retry_backoff_seconds
    )
    nominator = Nominator(client, cache, writer, settings.ready_spacing_seconds)
    executor = Executor(client, cache, writer, timing, nominator.turn)
    loop = Loop(cache, writer, executor, Batcher(), metrics, settings.limits())

    async def work() -> None:
        log.info("leading", identity=identity)
        metrics.leader.set(1)
        _record(cache, metrics)
        try:
            await _renewed(cache)
            async with running(recorder.run()), running(nominator.run()):
                await loop.run()
        finally:
            metrics.leader.set(0)

    async with AsyncExitStack() as stack:
        try:
            port = await stack.enter_async_context(
                serving(listen_on(settings.metrics_address), cache, metrics)
            )
        except OSError as error:
            # what asyncio puts before the reason differs between versions of Python
            reason = str(error.strerror).rpartition(": ")[2].rpartition("] ")[2]
            raise ControllerError(f"cannot listen on {settings.metrics_address}: {reason}") from None
        log.info("serving", port=port)
        search.warm_up()
        watching = await stack.enter_async_context(running(cache.run()))
        leading = lead(client, settings.namespace, identity, settings.lease_timings(), fence, work, loop.told)
        election = await stack.enter_async_context(running(leading))
        await first(watching, election)
    raise ControllerError("leadership is lost, so that another process may act by now")


async def _renewed(cache: Cache) -> None:
    """Return when the changes were listed anew: a watch may not have told yet what the last leader did.

    A taint whose change is not known would be taken for a stray one.
    """
    while True:
        try:
            await cache.changes.refresh()
        except (RefusedError, UnreachableError) as error:
            log.warning("the changes cannot be listed", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def _record(cache: Cache, metrics: Metrics) -> None:
    """Count what happens from now on; only the leader does, so that replicas count nothing twice."""
    fulfilment = Fulfilment(metrics, lambda: cache.changes.rows)

    def hear(old: Row | None, new: Row | None) -> None:
        match old, new:
            case (PodRow(), PodRow()):
                fulfilment.see(old, new, time.time())
            case (ReconfigurationRow(), ReconfigurationRow()):
                step(metrics, old, new)

    cache.listen(hear)
