"""The HTTP endpoints: /metrics, /healthz (the event loop answers), /readyz (everything was listed)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from autoslicer.cluster.cache import Cache
from autoslicer.observability.metrics import Metrics


@asynccontextmanager
async def serving(address: tuple[str, int], cache: Cache, metrics: Metrics) -> AsyncIterator[int]:
    """Serve while the context lasts; gives the port.

    Raises:
        OSError: the address cannot be listened on.
    """

    async def exposition(_: web.Request) -> web.Response:
        metrics.cache_synced.set(cache.synced)
        metrics.cache_age_seconds.set(cache.age)
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        return (
            web.Response(text="ok\n") if cache.synced else web.Response(status=503, text="not synced yet\n")
        )

    app = web.Application()
    app.add_routes([web.get("/metrics", exposition), web.get("/healthz", healthy), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
