"""The endpoints that Prometheus and the kubelet ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client
from autoslicer.cluster.connection import connect
from autoslicer.controller.http import serving
from autoslicer.observability.metrics import Metrics
from tests.cluster.fixture import Cluster
from tests.e2e.controller import install


@pytest.fixture
async def client(running_cluster: Cluster) -> AsyncIterator[Client]:
    install(running_cluster)
    found = await connect(str(running_cluster.kubeconfig))
    yield found
    await found.close()


async def _get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_ready_means_that_everything_was_listed(client: Client) -> None:
    """/readyz and cache_synced turn once the cache is complete; /healthz is ok before."""
    cache = Cache(client)
    async with serving(("127.0.0.1", 0), cache, Metrics()) as port:
        assert (await _get(port, "/readyz"))[0] == 503
        assert "autoslicer_cache_synced 0.0" in (await _get(port, "/metrics"))[1]
        assert await _get(port, "/healthz") == (200, "ok\n")
        watching = asyncio.create_task(cache.run())
        async with asyncio.timeout(10):
            while (await _get(port, "/readyz"))[0] != 200:
                await asyncio.sleep(0.05)
        assert "autoslicer_cache_synced 1.0" in (await _get(port, "/metrics"))[1]
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_scraper_that_stays_connected_holds_nothing_up(client: Client) -> None:
    """The endpoints go away at once at the end of the process, although a connection is kept open."""
    async with aiohttp.ClientSession() as session:
        async with serving(("127.0.0.1", 0), Cache(client), Metrics()) as port:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.content_type == "text/plain"
                await answer.read()
            began = time.monotonic()
        assert time.monotonic() - began < 1


async def test_an_address_in_use_is_an_error(client: Client) -> None:
    """A second process on the same port is told so instead of running unseen."""
    async with serving(("127.0.0.1", 0), Cache(client), Metrics()) as port:
        with pytest.raises(OSError, match="address already in use"):
            async with serving(("127.0.0.1", port), Cache(client), Metrics()):
                pass
