"""One leader at a time, on the real API server and with our own rights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from autoslicer.cluster.client import Client
from autoslicer.cluster.connection import connect
from autoslicer.cluster.fence import Fence
from autoslicer.cluster.lease import LeaseTimings, lead
from autoslicer.cluster.tasks import running
from autoslicer.core import names
from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster_room.waiting import until
from tests.e2e.controller import NAMESPACE

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
TIMINGS = LeaseTimings(3, 2, 1)


class Candidate:
    """Somebody who wants to lead, and when they worked."""

    def __init__(self, name: str, client: Client, timings: LeaseTimings = TIMINGS) -> None:
        self.name, self._client, self._timings = name, client, timings
        self.worked: list[list[float]] = []
        self.failure: Exception | None = None
        self.told: Mapping[str, str] = {}

    async def run(self) -> None:
        """Until leadership is lost."""
        await lead(self._client, NAMESPACE, self.name, self._timings, Fence(), self._work, self._hear)

    def _hear(self, annotations: Mapping[str, str]) -> None:
        self.told = annotations

    @property
    def works(self) -> bool:
        """It does so now."""
        return bool(self.worked) and len(self.worked[-1]) == 1

    async def _work(self) -> None:
        self.worked.append([time.monotonic()])
        try:
            while self.failure is None:
                await asyncio.sleep(0.01)
            raise self.failure
        finally:
            self.worked[-1].append(time.monotonic())


@pytest.fixture
async def other(account: Path) -> AsyncIterator[Client]:
    found = await connect(str(account))
    yield found
    await found.close()


@pytest.fixture(autouse=True)
def no_lease(running_cluster: Cluster, account: Path) -> None:
    """Nobody led before."""
    running_cluster.api.delete(f"{LEASES}/autoslicer")


def _lease(cluster: Cluster) -> Object:
    spec: Object = cluster.api.get(f"{LEASES}/autoslicer")["spec"]
    return spec


async def test_the_first_leads_and_the_second_follows(
    running_cluster: Cluster, client: Client, other: Client
) -> None:
    """While one works the other waits; when it stops as asked, the other need not wait the Lease out."""
    first, second = Candidate("first", client), Candidate("second", other)
    async with running(first.run()):
        await until(lambda: first.works)
        assert _lease(running_cluster)["holderIdentity"] == "first"
        async with running(second.run()):
            await asyncio.sleep(TIMINGS.duration + 1)
            assert first.works
            assert not second.worked
    assert not second.worked
    async with running(first.run()) as leading:
        await until(lambda: len(first.worked) == 2)
        async with running(second.run()):
            leading.cancel()
            await until(lambda: second.works)
            waited = second.worked[0][0] - first.worked[1][1]
            assert 0 <= waited < TIMINGS.retry_period + 1
    assert "holderIdentity" not in _lease(running_cluster)
    assert _lease(running_cluster)["leaseTransitions"] >= 1


@pytest.mark.parametrize("fault", ["freeze", "cut"])
async def test_a_leader_that_is_cut_off_stops_before_the_next_begins(
    account: Path, other: Client, proxy: Proxy, fault: str
) -> None:
    """Work ends by the renew deadline, also where a request just hangs, and only then another one starts."""
    client = await connect(str(proxy.kubeconfig(account)))
    first, second = Candidate("first", client), Candidate("second", other)
    async with running(first.run()) as leading:
        await until(lambda: first.works)
        async with running(second.run()):
            getattr(proxy, fault)()
            began = time.monotonic()
            await until(lambda: second.works)
            assert not first.works
            assert first.worked[0][1] - began <= TIMINGS.renew_deadline + 0.5
            assert first.worked[0][1] <= second.worked[0][0]
            await until(leading.done)
            assert leading.exception() is None
    assert len(first.worked) == len(second.worked) == 1
    await client.close()


async def test_a_lease_that_was_taken_away_ends_the_work(running_cluster: Cluster, client: Client) -> None:
    """Where another name stands in the Lease, whoever wrote it, the work ends."""
    first = Candidate("first", client)
    async with running(first.run()) as leading:
        await until(lambda: first.works)
        # its next renewal may come between our reading and its own
        while _lease(running_cluster)["holderIdentity"] == "first":
            running_cluster.api.patch(f"{LEASES}/autoslicer", {"spec": {"holderIdentity": "somebody"}})
            await asyncio.sleep(0.1)
        await until(leading.done)
        assert not first.works
    assert _lease(running_cluster)["holderIdentity"] == "somebody"


async def test_a_lease_that_is_deleted_comes_back_with_what_it_said(
    running_cluster: Cluster, client: Client
) -> None:
    """The leader goes on leading, and a pause lasts until somebody ends it; one that was ended stays so."""
    leader, pause = Candidate("first", client, LeaseTimings(12, 8, 1)), {names.PAUSE: "until Friday"}
    async with running(leader.run()):
        await until(lambda: leader.works)
        for wanted in (pause, {}):
            annotations = {names.PAUSE: wanted.get(names.PAUSE)}
            patch = {"metadata": {"annotations": annotations}}
            running_cluster.api.patch(f"{LEASES}/autoslicer", patch)
            await until(lambda wanted=wanted: leader.told == wanted)
            running_cluster.api.delete(f"{LEASES}/autoslicer")
            await until(lambda: bool(running_cluster.list_if_served(LEASES)))
            made = running_cluster.api.get(f"{LEASES}/autoslicer")["metadata"]
            assert made.get("annotations", {}) == wanted
            await asyncio.sleep(1.5)
            assert leader.told == wanted
        assert leader.works


async def test_work_that_fails_is_not_led_on(running_cluster: Cluster, client: Client) -> None:
    """Nobody holds the Lease for work that is over, and the failure is not swallowed."""
    first = Candidate("first", client)
    first.failure = ArithmeticError("a fault")
    with pytest.raises(ArithmeticError, match="a fault"):
        await first.run()
    assert "holderIdentity" not in _lease(running_cluster)


@pytest.mark.parametrize("timings", [(10, 10, 2), (15, 2, 2), (15, 10, 0), (15, 1, 1), (1, 2, 1)])
def test_times_that_make_no_sense_are_refused(timings: tuple[int, int, int]) -> None:
    """A sentence names all three times and how they must lie."""
    with pytest.raises(
        ValueError, match=r"duration .* must be longer than its renew deadline .* retry period"
    ):
        LeaseTimings(*timings)
    assert LeaseTimings(3, 2, 1)
    assert LeaseTimings()
