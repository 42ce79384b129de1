"""Everything that runs in the controller's process, put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import connect
from autoslicer.cluster.events import Recorder
from autoslicer.cluster.lease import LeaseTimings, lead
from autoslicer.cluster.writer import Writer
from autoslicer.controller.batcher import Batcher
from autoslicer.controller.executor import Executor
from autoslicer.controller.http import serving
from autoslicer.controller.loop import Loop
from autoslicer.controller.measures import step
from autoslicer.controller.settings import Settings, listen_on
from autoslicer.core.progress import Timing
from autoslicer.core.reading import Row
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.observability.fulfilment import Fulfilment
from autoslicer.observability.metrics import Metrics

log = structlog.get_logger("autoslicer")


async def run(settings: Settings, started: Callable[[Cache], None]) -> None:
    """Watch, wait for leadership and act; returns only when leadership is lost.

    Args:
        settings: of this process.
        started: told of the cache before anything is listed, so that policy events can go there.

    Raises:
        UnreachableError: there is neither a kubeconfig nor a service account.
        OSError: the metrics address cannot be listened on.
    """
    metrics = Metrics()
    client = await connect(
        settings.kubeconfig,
        settings.context,
        lambda verb, code: metrics.api_requests.labels(verb, code).inc(),
    )
    try:
        cache = Cache(client, lambda kind, cause: metrics.relists.labels(kind, cause).inc())
        started(cache)
        _record(cache, metrics)
        writer = Writer(client, cache, Recorder(client, settings.identity))
        timing = Timing(settings.idle_confirm_seconds, settings.publish_settle_seconds)
        executor = Executor(client, cache, writer, timing)
        loop = Loop(cache, writer, executor, Batcher(), metrics)
        timings = LeaseTimings(
            settings.lease_duration_seconds, settings.renew_deadline_seconds, settings.retry_period_seconds
        )

        async def work() -> None:
            metrics.leader.set(1)
            log.info("leading", identity=settings.identity)
            try:
                await loop.run()
            finally:
                metrics.leader.set(0)

        async with serving(listen_on(settings.metrics_address), cache, metrics) as port:
            log.info("serving", port=port)
            watching = asyncio.create_task(cache.run(), name="cache")
            leading = asyncio.create_task(lead(client, settings.namespace, settings.identity, timings, work))
            await _until_one_ends(watching, leading)
            log.error("leadership is lost")
    finally:
        await client.close()


async def _until_one_ends(*tasks: asyncio.Task[None]) -> None:
    """Wait for the first task to end, cancel the others and raise what went wrong."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _record(cache: Cache, metrics: Metrics) -> None:
    fulfilment = Fulfilment(metrics, lambda: cache.changes.rows)

    def hear(old: Row | None, new: Row | None) -> None:
        match old, new:
            case (PodRow(), PodRow()):
                fulfilment.see(old, new, time.time())
            case (ReconfigurationRow(), ReconfigurationRow()):
                step(metrics, old, new)

    cache.listen(hear)
