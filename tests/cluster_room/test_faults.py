"""Our client before every fault of the fault proxy: an error that its callers know, or a late answer."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.cluster.connection import connect
from autoslicer.cluster.observer import look
from autoslicer.core import reading
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.faults import Answer, Expired, Fault, HalfOpen, Reset, Silence, Slow
from tests.cluster.fixture import Cluster
from tests.controller.stage import waiting_change

NODE = "/api/v1/nodes/plain"
LABEL = "nvidia.com/mig.config"
"""a label that the controller's account may set"""


@pytest.fixture
async def through(faults: FaultProxy, account: Path) -> AsyncIterator[Client]:
    """Our client with our rights behind the proxy; it waits half a second for an answer."""
    found = await connect(str(faults.kubeconfig(account)), inactive_seconds=0.5)
    yield found
    await found.close()


async def _label(client: Client, value: str) -> None:
    async with asyncio.timeout(5):
        await client.patch(NODE, {"metadata": {"labels": {LABEL: value}}})


async def test_without_a_rule_everything_goes_through(
    cluster: Cluster, faults: FaultProxy, through: Client
) -> None:
    """Reads, writes, watches and refusals are as they are without the proxy, and each is on record."""
    cluster.plain_node("plain")
    await _label(through, "1")
    assert (await through.get(NODE))["metadata"]["labels"][LABEL] == "1"
    events = through.watch(paths.NODES)
    while (await anext(events))["object"]["metadata"]["labels"].get(LABEL) != "2":
        await _label(through, "2")
    await events.aclose()  # type: ignore[attr-defined]
    with pytest.raises(RefusedError, match="forbidden"):
        await through.delete(NODE, uid="any")
    assert [(one.verb, one.true, one.told) for one in faults.seen] == [
        *(("patch", 200, 200), ("get", 200, 200), ("watch", 200, 200)),
        *(("patch", 200, 200), ("delete", 403, 403)),
    ]
    assert faults.writes("nodes")[0].body == {"metadata": {"labels": {LABEL: "1"}}}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Answer(409), "a fault: 409"),
        (Answer(429, retry_after="1"), "a fault: 429"),
        (Answer(500, lost=True), "a fault: 500"),
        (Answer(503), "a fault: 503"),
        (Silence(), ".?"),
        (Silence(lost=True), ".?"),
        (Reset(), "."),
        (Reset(lost=True), "."),
        (Slow(0.3), None),
        (Slow(0.3, there=True), None),
    ],
    ids=str,
)
async def test_a_write_that_meets_a_fault(
    cluster: Cluster, faults: FaultProxy, through: Client, fault: Fault, error: str | None
) -> None:
    """The client says that it failed, whether or not it was carried out; the next one goes through."""
    cluster.plain_node("plain")
    faults.inject(fault, "patch", path="nodes/plain$")
    began = time.monotonic()
    if error is None:
        await _label(through, "1")
        assert time.monotonic() - began >= 0.3
    else:
        with pytest.raises((RefusedError, UnreachableError, TimeoutError), match=error) as failed:
            async with asyncio.timeout(0.5):
                await _label(through, "1")
        assert isinstance(failed.value, RefusedError) == isinstance(fault, Answer)
    carried_out = isinstance(fault, Slow) or getattr(fault, "lost", False)
    assert (cluster.labels("plain").get(LABEL) == "1") == carried_out
    await _label(through, "2")
    assert cluster.labels("plain")[LABEL] == "2"


async def test_a_write_that_is_held_up_comes_although_its_sender_is_gone(
    cluster: Cluster, faults: FaultProxy, through: Client
) -> None:
    """What was sent arrives some time: no sender can take it back."""
    cluster.plain_node("plain")
    faults.inject(Slow(0.5, there=True), "patch")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await _label(through, "late")
    assert LABEL not in cluster.labels("plain")
    await asyncio.sleep(1)
    assert cluster.labels("plain")[LABEL] == "late"


@pytest.mark.parametrize(("fault", "end"), [(HalfOpen(1), UnreachableError), (Expired(1), None)], ids=str)
async def test_a_watch_that_meets_a_fault(
    cluster: Cluster, faults: FaultProxy, through: Client, fault: Fault, end: type[Exception] | None
) -> None:
    """One event comes; then nothing, which the client takes for the end, or the word that it is too old."""
    version = (await through.get(paths.NODES))["metadata"]["resourceVersion"]
    faults.inject(fault, "watch")
    cluster.plain_node("plain")
    events = through.watch(paths.NODES, resourceVersion=version)
    assert (await anext(events))["type"] == "ADDED"
    if end is None:
        last = await anext(events)
        assert (last["type"], last["object"]["code"]) == ("ERROR", 410)
    else:
        with pytest.raises(end):
            await anext(events)
    await events.aclose()  # type: ignore[attr-defined]


async def test_rules_count_and_draw(cluster: Cluster, faults: FaultProxy, through: Client) -> None:
    """A rule lets the first pass, ends by itself or when it is removed, and may be left to chance."""
    cluster.plain_node("plain")
    rule = faults.inject(Answer(500), "get", path="^/api/v1/nodes/", skip=1, times=2)
    assert await _codes(through, 5) == [200, 500, 500, 200, 200]
    assert rule.met == 2
    faults.inject(Answer(503), path="nodes", times=None)
    assert await _codes(through, 2) == [503, 503]
    faults.clear()
    rule = faults.inject(Answer(500), "get", times=None, chance=0.5)
    drawn = await _codes(through, 20)
    assert {drawn.count(200), drawn.count(500)} != {0, 20}
    faults.remove(rule)
    assert await _codes(through, 3) == [200] * 3


async def test_the_same_seed_brings_the_same_faults(
    cluster: Cluster, running_cluster: Cluster, account: Path
) -> None:
    """A storm can be had again, and another seed is another storm."""
    cluster.plain_node("plain")
    told = []
    for seed in (1, 1, 2):
        control = running_cluster.control_plane
        proxy = FaultProxy(control.server, control.pki.directory, seed)
        proxy.storm(0.05)
        client = await connect(str(proxy.kubeconfig(account)))
        told.append(await _codes(client, 40))
        await client.close()
        proxy.close()
    assert told[0] == told[1] != told[2]


async def _codes(client: Client, count: int) -> list[int]:
    """What so many reads of a node are answered; 0 where they are not."""
    found = []
    for _ in range(count):
        try:
            await client.get(NODE)
            found.append(200)
        except RefusedError as error:
            found.append(error.status)
        except UnreachableError:
            found.append(0)
    return found


async def test_the_end_of_the_proxy_is_quiet(
    cluster: Cluster, running_cluster: Cluster, account: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that the proxy still holds when it ends leaves no failure behind that nobody asked for."""
    cluster.plain_node("plain")
    control = running_cluster.control_plane
    proxy = FaultProxy(control.server, control.pki.directory)
    client = await connect(str(proxy.kubeconfig(account)))
    for fault in (Slow(1.0, there=True), Slow(0.3, there=True)):
        proxy.inject(fault, "get")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.get(NODE)
    await client.close()
    proxy.close()
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_look_outlives_what_passes(cluster: Cluster, faults: FaultProxy, through: Client) -> None:
    """One look is many reads: each is tried again where an error may pass, and not where it will not."""
    row = reading.change(cluster.api.get(f"{paths.CHANGES}/{waiting_change(cluster, 'gpu-a')}"))
    look_at = functools.partial(look, through, Cache(through), row)
    faults.inject(Answer(503), "get", path="nodes/gpu-a")
    faults.inject(Answer(429), "list", path="pods", times=2)
    faults.inject(Reset(lost=True), "get", path="policies/default")
    assert "gpu-a" in (await look_at()).nodes
    faults.clear()
    faults.inject(Answer(503), "get", path="nodes/gpu-a", times=3)
    with pytest.raises(RefusedError, match="503"):
        await look_at()
    faults.inject(Answer(403), "list", path="pods")
    with pytest.raises(RefusedError, match="403"):
        await look_at()
    assert "gpu-a" in (await look_at()).nodes
