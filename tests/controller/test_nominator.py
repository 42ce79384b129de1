"""Hints to kube-scheduler on the real API server, with the real scheduler that drops them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object
from autoslicer.cluster.events import Recorder
from autoslicer.cluster.tasks import running
from autoslicer.cluster.writer import Writer
from autoslicer.controller.nominator import Nominator
from autoslicer.core.hints import LEAD_SECONDS
from autoslicer.core.pacing.renewal import LONGEST_SECONDS
from autoslicer.core.phases import Phase, phase
from tests.cluster.fixture import Cluster
from tests.cluster_room.waiting import until
from tests.controller.stage import change_of
from tests.e2e.controller import policy


class Old(Client):
    """A client of an API server of an older release."""

    async def _request(self, verb: str, method: str, path: str, *more: object) -> Object:
        if path == "/version":
            return {"major": "1", "minor": "34+"}
        return await super()._request(verb, method, path, *more)  # type: ignore[arg-type]


@asynccontextmanager
async def nominating(client: Client) -> AsyncIterator[Nominator]:
    """A nominator at work over a cache that is complete."""
    cache = Cache(client)
    nominator = Nominator(client, cache, Writer(client, cache, Recorder(client, "test")), 2.0)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        async with running(nominator.run()):
            yield nominator


def _scene(cluster: Cluster, phase: str = "Applied") -> str:
    """A node with a change in that phase which serves a pod; gives the pod's key."""
    policy(cluster)
    cluster.plain_node("gpu-a")
    key = cluster.pod("infer", {"1g.10gb": 1})
    cluster.api.create(paths.CHANGES, change_of(cluster, "gpu-a", serves=(key,)))
    _enter(cluster, phase)
    cluster.wait_unschedulable([key])
    return key


def _enter(cluster: Cluster, phase: str) -> None:
    """Let the change of the scene be in that phase."""
    step = {
        "phase": phase,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "message": "",
    }
    cluster.api.patch(f"{paths.CHANGES}/gpu-a-1/status", {"status": {"phase": phase, "steps": [step]}})


def _hint(cluster: Cluster, key: str) -> str:
    found: str = cluster.get_pod(key)["status"].get("nominatedNodeName", "")
    return found


async def test_a_hint_that_the_scheduler_dropped_is_set_again(cluster: Cluster, client: Client) -> None:
    """The real scheduler drops the hint when it tries the pod in vain, and the pod has it again at once."""
    key = _scene(cluster)
    async with nominating(client):
        await until(lambda: _hint(cluster, key) == "gpu-a")
        version = cluster.get_pod(key)["metadata"]["resourceVersion"]
        cluster.plain_node("more")  # wakes the pods that no node was good enough for
        dropped, again = await asyncio.wait_for(asyncio.to_thread(_dropped, cluster, key, version), 20)
    print(f"hinted again after {(again - dropped) * 1000:.0f} ms")


def _dropped(cluster: Cluster, key: str, version: str) -> tuple[float, float]:
    """When the pod was seen without its hint, and when with it again."""
    dropped = 0.0
    for _, item in cluster.api.watch(f"/api/v1/namespaces/{key.split('/')[0]}/pods", version):
        hint = item["status"].get("nominatedNodeName", "")
        if dropped and hint == "gpu-a":
            return dropped, time.monotonic()
        dropped = time.monotonic() if not hint else 0.0
    raise AssertionError("the watch ended")


async def test_a_hint_goes_with_its_promise(cluster: Cluster, client: Client) -> None:
    """A change that is given up takes the hint back; nothing is hinted after that."""
    key = _scene(cluster)
    async with nominating(client):
        await until(lambda: _hint(cluster, key) == "gpu-a")
        _enter(cluster, "Cancelled")
        await until(lambda: _hint(cluster, key) == "")


async def test_a_change_that_is_deleted_on_its_way_takes_its_hint_back(
    cluster: Cluster, client: Client
) -> None:
    """Nothing remembers the promise after that, so that the hint must go at once."""
    key = _scene(cluster)
    async with nominating(client):
        await until(lambda: _hint(cluster, key) == "gpu-a")
        cluster.api.delete(f"{paths.CHANGES}/gpu-a-1")
        await until(lambda: _hint(cluster, key) == "")


async def test_hints_are_limited(cluster: Cluster, client: Client) -> None:
    """Where somebody keeps removing the hint, the pod gets it ever more slowly."""
    key = _scene(cluster)
    namespace, name = key.split("/")
    status = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    renewed, began = 0, time.monotonic()
    async with nominating(client):
        while time.monotonic() - began < 5:
            await until(lambda: _hint(cluster, key) == "gpu-a")
            renewed += 1
            cluster.api.patch(status, {"status": {"nominatedNodeName": None}})
    slow = (time.monotonic() - began) / LONGEST_SECONDS
    assert 3 <= renewed <= slow + 6


async def test_an_older_scheduler_is_not_hinted(cluster: Cluster, client: Client) -> None:
    """Below Kubernetes 1.35 nobody is nominated, nodes need not wait for each other, and the log says so."""
    key = _scene(cluster)
    with capture_logs() as logs:
        async with nominating(Old(client.api)) as nominator:
            await until(lambda: any(line["event"] == "pods are not nominated" for line in logs))
            change = nominator._hints._live["gpu-a-1"]
            assert [nominator.turn(change, 100.0), nominator.turn(change, 100.0)] == [0.0, 0.0]
    assert _hint(cluster, key) == ""
    assert [line["reason"] for line in logs] == ["that needs Kubernetes 1.35, this is 1.34"]


async def test_nodes_come_back_one_after_the_other(cluster: Cluster, client: Client) -> None:
    """A change gets its turn a moment after it asks, and the next one only after the spacing."""
    _scene(cluster, "Labelled")
    async with nominating(client) as nominator:
        await until(lambda: nominator._able)
        change, now = nominator._hints._live["gpu-a-1"], time.time()
        assert nominator.turn(change, now) == pytest.approx(LEAD_SECONDS)
        assert nominator.turn(change, now + LEAD_SECONDS) == 0
        other = replace(change, name="gpu-b-1")
        assert nominator.turn(other, now + 1.0) > 0
        assert nominator.turn(other, now + LEAD_SECONDS + 2.1) > 0, "the first one is not back yet"
        _enter(cluster, "Verified")
        await until(lambda: phase(nominator._hints._live["gpu-a-1"]) is Phase.VERIFIED)
        assert nominator.turn(other, now + LEAD_SECONDS + 2.2) == 0
