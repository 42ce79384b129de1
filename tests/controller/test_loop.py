"""Cycles: when they act, and what their failures leave untouched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client
from autoslicer.cluster.tasks import running
from autoslicer.controller import loop
from autoslicer.core.cycle import decide
from tests.cluster.fixture import Cluster
from tests.cluster_room.waiting import until
from tests.controller.stage import Refusing, controlling, phase_of, waiting_change


def _policy(cluster: Cluster, name: str, **spec: object) -> None:
    body = {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "MigAutoscalingPolicy",
        "metadata": {"name": name},
    }
    selector = {"nodeSelector": {"matchLabels": {"pool": name}}}
    cluster.api.create(paths.POLICIES, {**body, "spec": {**selector, **spec}})


def _judged(cluster: Cluster, name: str) -> bool:
    """A cycle has written the policy's status."""
    return "conditions" in cluster.api.get(f"{paths.POLICIES}/{name}").get("status", {})


async def test_a_cycle_acts(cluster: Cluster, client: Client) -> None:
    """The first cycle judges each policy; a second one is run when something changes."""
    _policy(cluster, "a")
    async with controlling(client) as parts, running(parts.loop.run()):
        await until(lambda: _judged(cluster, "a"))
        _policy(cluster, "b")
        parts.cache.policies.apply("ADDED", cluster.api.get(f"{paths.POLICIES}/b"))
        await until(lambda: _judged(cluster, "b"))


async def test_nothing_is_decided_on_a_stale_cache(cluster: Cluster, client: Client) -> None:
    """A cache that has not heard of the API server for too long is not acted upon."""
    _policy(cluster, "a")
    async with controlling(client, stale_seconds=-1) as parts, running(parts.loop.run()):
        await asyncio.sleep(1.5)
        assert not _judged(cluster, "a")


async def test_one_failing_action_holds_no_other_up(cluster: Cluster, client: Client) -> None:
    """What is refused for one policy is done for the next, and tried again."""
    for name in ("a-bad", "b-good"):
        _policy(cluster, name)
    refusing = Refusing(client, "a-bad/status")
    async with controlling(refusing) as parts, running(parts.loop.run()):
        await until(lambda: _judged(cluster, "b-good"))
        await until(lambda: refusing.count >= 2)
        assert not _judged(cluster, "a-bad")
        refusing.refused.clear()
        await until(lambda: _judged(cluster, "a-bad"))


async def test_a_cycle_that_fails_is_run_again(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in a decision stops neither the next cycle nor the changes under way before it."""
    _policy(cluster, "a")
    name = waiting_change(cluster, "gpu-a")
    cluster.api.patch(f"{paths.CHANGES}/{name}/status", {"status": {"phase": "Validated"}})
    failures = 0

    def faulty(*arguments: Any, **limits: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ArithmeticError("a fault")
        return decide(*arguments, **limits)

    monkeypatch.setattr(loop, "decide", faulty)
    async with controlling(client) as parts, running(parts.loop.run()):
        await until(lambda: phase_of(cluster, name) == "Cancelled")
        assert failures == 1
        await until(lambda: _judged(cluster, "a"))
