"""Changes under way: each goes on by itself, whatever happens to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client, Object
from autoslicer.cluster.connection import connect
from autoslicer.controller import executor
from autoslicer.core import names
from autoslicer.core.progress import advance
from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster_room.waiting import until
from tests.controller.stage import Refusing, controlling, phase_of, waiting_change

ENDED = "Cancelled"


async def test_a_change_waits_for_the_cycle_that_judges_it(cluster: Cluster, client: Client) -> None:
    """A change that no cycle has seen is not touched; one that a cycle let pass is carried on at once."""
    names = [waiting_change(cluster, node) for node in ("gpu-a", "gpu-b")]
    async with controlling(client) as parts:
        parts.executor.follow({}, frozenset(names[:1]))
        await until(lambda: phase_of(cluster, names[0]) == ENDED)
        assert phase_of(cluster, names[1]) == ""
        parts.executor.follow({}, frozenset(names))
        await until(lambda: phase_of(cluster, names[1]) == ENDED)


async def test_one_bad_node_holds_no_other_up(cluster: Cluster, client: Client) -> None:
    """Where everything about one node is refused, the other's change ends; the first ends afterwards."""
    bad, good = (waiting_change(cluster, node) for node in ("gpu-bad", "gpu-good"))
    refusing = Refusing(client, "nodes/gpu-bad")
    async with controlling(refusing) as parts:
        parts.executor.follow({}, frozenset({bad, good}))
        await until(lambda: phase_of(cluster, good) == ENDED)
        await until(lambda: refusing.count >= 3)
        assert phase_of(cluster, bad) == ""
        refusing.refused.clear()
        await until(lambda: phase_of(cluster, bad) == ENDED)


async def test_a_fault_of_ours_is_logged_and_tried_again(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change on which the core itself fails is not given up for good, and holds no other up."""
    bad, good = (waiting_change(cluster, node) for node in ("gpu-bad", "gpu-good"))
    failures = 0

    def faulty(change: Any, *more: Any) -> Any:
        nonlocal failures
        if change.name == bad and failures < 3:
            failures += 1
            raise ArithmeticError("a fault")
        return advance(change, *more)

    monkeypatch.setattr(executor, "advance", faulty)
    with capture_logs() as logs:
        async with controlling(client) as parts:
            parts.executor.follow({}, frozenset({bad, good}))
            await until(lambda: phase_of(cluster, good) == ENDED)
            await until(lambda: phase_of(cluster, bad) == ENDED)
    assert failures == 3
    assert [line["change"] for line in logs if line["log_level"] == "error"] == [bad] * 3


async def test_an_outage_in_the_middle_is_survived(cluster: Cluster, account: Path, proxy: Proxy) -> None:
    """A change goes on by itself once the API server can be reached again."""
    name = waiting_change(cluster, "gpu-a")
    client = await connect(str(proxy.kubeconfig(account)))
    async with controlling(client) as parts:
        proxy.cut()
        parts.executor.follow({}, frozenset({name}))
        await until(lambda: parts.cache.pods.age > 0.5)
        assert phase_of(cluster, name) == ""
        proxy.mend()
        await until(lambda: phase_of(cluster, name) == ENDED)
    await client.close()


async def test_a_change_that_is_deleted_is_let_go(cluster: Cluster, client: Client) -> None:
    """No task stays behind for an object that somebody deleted."""
    name = waiting_change(cluster, "gpu-a")
    async with controlling(client) as parts:
        parts.executor.follow({}, frozenset())
        assert parts.executor._tasks.keys() == {name}
        cluster.api.delete(f"{paths.CHANGES}/{name}")
        await until(lambda: not parts.executor._tasks)


class Deaf(Client):
    """A client whose watches are open and bring nothing."""

    async def watch(self, path: str, **query: str) -> AsyncIterator[Object]:
        """As one to a server that was cut off: neither an event nor an end."""
        await asyncio.Event().wait()
        yield {}


async def test_a_change_that_went_on_unseen_is_not_acted_upon(cluster: Cluster, client: Client) -> None:
    """Nothing is done for a change that is gone or was taken further; one that is as known ends."""
    nodes = ("gone", "further", "known")
    changes = {node: waiting_change(cluster, node) for node in nodes}
    taint = {"key": names.TAINT, "value": "1", "effect": "NoSchedule"}
    for node in nodes:
        cluster.api.patch(f"{paths.NODES}/{node}", {"spec": {"taints": [taint]}})
    async with controlling(Deaf(client.api)) as parts:
        cluster.api.delete(f"{paths.CHANGES}/{changes['gone']}")
        status = {"phase": "Labelled", "attempt": 1, "startedAt": "2026-11-20T12:00:00Z"}
        cluster.api.patch(f"{paths.CHANGES}/{changes['further']}/status", {"status": status})
        parts.executor.follow({}, frozenset(changes.values()))
        await until(lambda: phase_of(cluster, changes["known"]) == ENDED)
        await until(lambda: changes["gone"] not in parts.cache.changes.rows)
        await until(lambda: parts.cache.changes.rows[changes["further"]].status.phase == "Labelled")
        assert [cluster.taints(node) for node in nodes] == [[names.TAINT], [names.TAINT], []]
