"""Nothing is written by whom somebody else may have replaced, whatever had been decided before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoslicer.cluster import fence as fences
from autoslicer.cluster.client import Client, FencedError, UnreachableError
from autoslicer.cluster.connection import connect
from autoslicer.cluster.fence import Fence, elapsed
from autoslicer.cluster.lease import LeaseTimings, lead
from autoslicer.cluster.tasks import running
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.faults import Reset, Silence, Slow
from tests.cluster.fixture import Cluster
from tests.cluster_room.waiting import until
from tests.e2e.controller import NAMESPACE

NODE = "/api/v1/nodes/plain"
LABEL = "nvidia.com/mig.config"
"""a label that the controller's account may set"""
TIMINGS = LeaseTimings(6, 5, 1)
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/autoslicer"


@pytest.fixture
async def through(faults: FaultProxy, account: Path) -> AsyncIterator[Client]:
    found = await connect(str(faults.kubeconfig(account)))
    yield found
    await found.close()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_fence_that_has_closed_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal moves its end; one that comes after the end, as after a long sleep, opens nothing."""
    clock = Clock()
    monkeypatch.setattr(fences, "elapsed", clock)
    fence = Fence()
    assert (fence.left, fence.closed) == (0, False)
    fence.open(1010)
    clock.now = 1008
    assert fence.left == 2
    fence.open(1018)
    assert fence.left == 10
    clock.now = 1018
    fence.open(1030)
    assert (fence.left, fence.closed) == (0, True)
    other = Fence()
    other.open(2000)
    other.close()
    other.open(3000)
    assert (other.left, other.closed) == (0, True)


def test_the_clock_goes_on_while_the_process_stands_still() -> None:
    """It agrees with the monotonic clock, or is ahead of it by the time that the machine slept."""
    assert elapsed() >= time.monotonic() - 0.01


async def _label(client: Client, value: str) -> None:
    await client.patch(NODE, {"metadata": {"labels": {LABEL: value}}})


async def test_writes_end_with_the_fence_and_reads_do_not(
    cluster: Cluster, faults: FaultProxy, through: Client
) -> None:
    """Before it opens and after it has closed no write leaves the process; in between all do."""
    cluster.plain_node("plain")
    fence = Fence()
    fenced = through.fenced(fence)
    with pytest.raises(FencedError):
        await _label(fenced, "early")
    fence.open(elapsed() + 1)
    await _label(fenced, "in-time")
    await asyncio.sleep(1)
    for write in (_label(fenced, "late"), fenced.delete(NODE, uid="x"), fenced.create(NODE, {})):
        with pytest.raises(FencedError):
            await write
    assert (await fenced.get(NODE))["metadata"]["labels"][LABEL] == "in-time"
    await _label(through, "not-fenced")
    assert [one.body["metadata"]["labels"][LABEL] for one in faults.writes("nodes")] == [
        "in-time",
        "not-fenced",
    ]


async def test_a_write_that_hangs_is_given_up_when_the_fence_closes(
    cluster: Cluster, faults: FaultProxy, through: Client
) -> None:
    """Its sender does not wait on, so that nothing of it is sent again later."""
    cluster.plain_node("plain")
    fence = Fence()
    faults.inject(Silence(), "patch")
    began = elapsed()
    fence.open(began + 1)
    with pytest.raises(UnreachableError):
        await _label(through.fenced(fence), "hangs")
    assert 1 <= elapsed() - began < 3
    assert len(faults.writes("nodes")) == 1


async def _leading(client: Client, fence: Fence, timings: LeaseTimings = TIMINGS) -> None:
    await lead(client, NAMESPACE, "me", timings, fence, asyncio.Event().wait)  # type: ignore[arg-type]


async def test_the_fence_is_open_while_one_leads(cluster: Cluster, through: Client) -> None:
    """It opens with the Lease, and closes before that is given back."""
    cluster.api.delete(LEASE)
    fence = Fence()
    async with running(_leading(through, fence)):
        await until(lambda: fence.left > 4)
        await asyncio.sleep(3.1)
        assert fence.left > 2, "it was not renewed"
    assert fence.closed
    assert "holderIdentity" not in cluster.api.get(LEASE)["spec"]


async def test_another_holder_closes_the_fence_at_once(cluster: Cluster, through: Client) -> None:
    """Whoever sees another name in the Lease writes nothing more, long before their own deadline."""
    cluster.api.delete(LEASE)
    fence = Fence()
    async with running(_leading(through, fence, LeaseTimings(40, 30, 1))) as leading:
        await until(lambda: fence.left > 20)
        while cluster.api.get(LEASE)["spec"]["holderIdentity"] == "me":
            cluster.api.patch(LEASE, {"spec": {"holderIdentity": "somebody"}})
            await asyncio.sleep(0.1)
        await until(lambda: fence.closed, 5)
        await until(leading.done, 5)
    assert cluster.api.get(LEASE)["spec"]["holderIdentity"] == "somebody"
    cluster.api.delete(LEASE)


@pytest.mark.parametrize("fault", [Reset(lost=True), Slow(1.5)], ids=str)
async def test_a_renewal_that_fails_now_and_then_changes_nothing(
    cluster: Cluster, faults: FaultProxy, through: Client, fault: Reset | Slow
) -> None:
    """Answers that are lost or late cost no leadership as long as the deadline is kept."""
    cluster.api.delete(LEASE)
    fence = Fence()
    async with running(_leading(through, fence)) as leading:
        await until(lambda: fence.left > 4)
        faults.inject(fault, "update", path="leases", times=2)
        await asyncio.sleep(6)
        assert not leading.done()
        assert fence.left > 2
