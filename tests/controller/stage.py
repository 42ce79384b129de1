"""The controller's parts on the real API server, without the process around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from autoslicer.cluster import documents, paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError
from autoslicer.cluster.events import Recorder
from autoslicer.cluster.tasks import running
from autoslicer.cluster.writer import Writer
from autoslicer.controller.batcher import Batcher
from autoslicer.controller.executor import Executor
from autoslicer.controller.loop import STALE_SECONDS, Loop
from autoslicer.core.changes.observation import Timing
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import GpuTarget, ReconfigurationRow
from autoslicer.observability.metrics import Metrics
from tests.build import NOON
from tests.cluster.fixture import Cluster
from tests.cluster_room.waiting import until


class Refusing(Client):
    """A client to which the API server refuses whatever has one of these words in its path.

    Attributes:
        refused: the words; empty them to end it.
        count: how often that happened.
    """

    def __init__(self, client: Client, *words: str) -> None:
        super().__init__(client.api)
        self.refused, self.count = set(words), 0

    async def _request(self, verb: str, method: str, path: str, *more: object) -> Object:
        if any(word in path for word in self.refused):
            self.count += 1
            raise RefusedError(500, f"{method} {path}: etcdserver: leader changed")
        return await super()._request(verb, method, path, *more)  # type: ignore[arg-type]


@dataclass
class Parts:
    """What runs while the context of `controlling` lasts."""

    cache: Cache
    executor: Executor
    loop: Loop
    metrics: Metrics


@asynccontextmanager
async def controlling(client: Client, stale_seconds: float = STALE_SECONDS) -> AsyncIterator[Parts]:
    """A cache that is complete, and a loop and executor over it which do nothing yet."""
    cache, metrics = Cache(client), Metrics()
    writer = Writer(client, cache, Recorder(client, "test"))
    executor = Executor(client, cache, writer, Timing(0.0, 0.0))
    loop = Loop(cache, writer, executor, Batcher(), metrics, stale_seconds=stale_seconds)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        try:
            yield Parts(cache, executor, loop, metrics)
        finally:
            await executor.stop()


def waiting_change(cluster: Cluster, node: str) -> str:
    """Create an approved change of a node that has no GPUs: it is cancelled as soon as it is looked at."""
    cluster.plain_node(node)
    name: str = cluster.api.create(paths.CHANGES, change_of(cluster, node))["metadata"]["name"]
    return name


def change_of(cluster: Cluster, node: str, serves: tuple[str, ...] = ()) -> Object:
    """The first change of a node, approved."""
    row = ReconfigurationRow(
        name=f"{node}-1",
        uid="",
        resource_version="",
        created=NOON,
        node=node,
        node_uid=cluster.node(node)["metadata"]["uid"],
        policy="default",
        plan_digest="sha256:" + "0" * 64,
        source="all-7g.80gb",
        target="autoslicer-000000000000",
        gpus=(GpuTarget(0, (("7g.80gb", 1),), (("1g.10gb", 7),), True),),
        serves=serves,
        evicts=(),
        recovery=Recovery(pending_deadline=60.0),
        approved=True,
    )
    return documents.change(row, row.node_uid)


def phase_of(cluster: Cluster, change: str) -> str:
    """The phase that the API server has."""
    found: str = cluster.api.get(f"{paths.CHANGES}/{change}").get("status", {}).get("phase", "")
    return found
