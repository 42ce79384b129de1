"""The cache as a whole: what holds it up and what does not, and what it makes of what it cannot read."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from autoslicer.cluster import paths, policies
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError
from autoslicer.cluster.observer import UnreadableError, look
from autoslicer.cluster.policies import Policies
from autoslicer.cluster.tasks import running
from autoslicer.core import reading
from autoslicer.core.rows import PodRow
from tests.cluster.fixture import Cluster
from tests.cluster_room.overtaken import Overtaken
from tests.cluster_room.waiting import until
from tests.controller.stage import waiting_change

MAP = {"config.yaml": "version: v1\nmig-configs: {all-disabled: [{devices: all, mig-enabled: false}]}\n"}


def _policy(cluster: Cluster, name: str, namespace: str = "gpu-operator") -> Object:
    spec = {
        "nodeSelector": {"matchLabels": {"pool": name}},
        "layouts": {"configMap": {"namespace": namespace, "name": "ours"}},
    }
    body = {"apiVersion": "autoslicer.dev/v1alpha1", "kind": "MigAutoscalingPolicy"}
    return cluster.api.create(paths.POLICIES, {**body, "metadata": {"name": name}, "spec": spec})


def _breaking(monkeypatch: pytest.MonkeyPatch, kind: str, name: str) -> None:
    """Let one object of a kind be one that cannot be read."""
    read: Any = getattr(reading, kind)

    def picky(obj: Any) -> Any:
        if obj["metadata"]["name"] == name:
            raise ValueError(f"{kind} {name} cannot be read")
        return read(obj)

    monkeypatch.setattr(reading, kind, picky)


async def test_a_namespace_that_may_not_be_read_holds_nothing_up(cluster: Cluster, client: Client) -> None:
    """A policy whose ConfigMap we may not read does not keep the others from being served."""
    _policy(cluster, "far", namespace="kube-system")
    _policy(cluster, "near")
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        assert set(cache.snapshot().policies) == {"far", "near"}
        assert ("gpu-operator", "default-mig-parted-config") in cache.snapshot().config_maps
        assert cache.age < 10


async def test_the_maps_of_a_policy_are_followed_as_long_as_it_is_there(
    cluster: Cluster, client: Client
) -> None:
    """A policy brings the ConfigMaps of its namespace into the cache, and takes them with it."""
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        made = _policy(cluster, "far", namespace="kube-system")
        cache.policies.apply("ADDED", made)
        assert cache._config_maps.keys() == {"gpu-operator", "kube-system"}
        await until(lambda: cache.synced)
        cache.policies.apply("DELETED", made)
        assert cache._config_maps.keys() == {"gpu-operator"}
        assert cache.synced


async def test_a_snapshot_is_made_anew_when_something_has_changed(cluster: Cluster, client: Client) -> None:
    """While nothing changes it is the same one; our writes and those of others are in the next."""
    label = "nvidia.com/mig.config"
    cluster.plain_node("a")
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced and "a" in cache.snapshot().nodes)
        await asyncio.sleep(1)
        before = cache.snapshot()
        assert cache.snapshot() is before
        cache.nodes.observe(
            await client.patch(paths.one(paths.NODES, "a"), {"metadata": {"labels": {label: "1"}}})
        )
        ours = cache.snapshot()
        assert (before.nodes["a"].labels.get(label), ours.nodes["a"].labels.get(label)) == (None, "1")
        cluster.label("a", {label: "2"})
        await until(lambda: cache.snapshot().nodes["a"].labels[label] == "2")
        _policy(cluster, "p")
        cache.policies.apply("ADDED", await client.get(paths.one(paths.POLICIES, "p")))
        assert set(cache.snapshot().policies) == {"p"}
        cluster.remove_node("a")
        await until(lambda: not cache.snapshot().nodes)
        assert cache.snapshot() is not ours


async def test_a_pod_that_cannot_be_read_makes_its_node_count_as_in_use(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot names the node, as nobody knows what the pod holds there, and no other node."""
    _breaking(monkeypatch, "pod", "broken")
    for node in ("gpu-a", "gpu-b"):
        cluster.plain_node(node)
        cluster.pod(f"fine-{node}", nodeName=node)
    cluster.pod("broken", nodeName="gpu-a")
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        found = cache.snapshot()
        assert found.obscured == {"gpu-a": "pod broken cannot be read"}
        assert found.skipped == ("pod broken cannot be read",)
        assert {pod.name for pod in found.pods.values()} == {"fine-gpu-a", "fine-gpu-b"}
        cluster.delete_pod(f"{cluster.namespace}/broken")
        await until(lambda: not cache.snapshot().obscured)


async def test_the_moment_at_which_a_pod_turned_unschedulable_is_known_exactly(
    cluster: Cluster, client: Client
) -> None:
    """A condition carries whole seconds; the cache keeps when it came in, as long as it stays the same."""
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        began = time.time()
        key = cluster.pod("waits", {"1g.10gb": 1})
        await until(lambda: _waits_since(cache.pods.rows.get(key)) > 0)
        since = _waits_since(cache.pods.rows[key])
        assert began <= since <= time.time()
        namespace, name = key.split("/")
        cluster.api.patch(paths.pod(namespace, name), {"metadata": {"labels": {"x": "y"}}})
        await until(lambda: cache.pods.rows[key].labels == {"x": "y"})
        assert _waits_since(cache.pods.rows[key]) == since


def _waits_since(pod: PodRow | None) -> float:
    return (pod.unschedulable_since if pod else None) or 0.0


async def test_of_two_tellings_of_a_policy_the_newer_counts(cluster: Cluster, client: Client) -> None:
    """Events and lists come by two ways; neither brings back what the other knows to be over."""
    first = _policy(cluster, "a")
    path = f"{paths.POLICIES}/a"
    second = cluster.api.patch(path, {"spec": {"suspend": True}})
    told: list[tuple[Any, Any]] = []
    found = Policies(client, lambda old, new: told.append((old, new)))
    found.apply("MODIFIED", second)
    found.apply("ADDED", first)
    assert [policy.suspend for policy in found.rows()] == [True]
    cluster.api.delete(path)
    found.apply("DELETED", _at(second, 10**9))
    found.observe(second)
    assert list(found.rows()) == []
    assert len(told) == 2


def _at(item: Object, version: int) -> Object:
    return {**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}}


async def test_a_list_brings_back_no_policy_that_went_meanwhile(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that is told while the list is under way counts, and the policies are listed again."""
    monkeypatch.setattr(policies, "RETRY_SECONDS", 0.05)
    policy = _policy(cluster, "a")
    slow = Overtaken(client.api)
    told: list[tuple[Any, Any]] = []
    found = Policies(slow, lambda old, new: told.append((old, new)))
    found.apply("ADDED", policy)

    def deleted() -> None:
        slow.meanwhile = lambda: None
        cluster.api.delete(f"{paths.POLICIES}/a")
        at = int(cluster.api.get(paths.POLICIES)["metadata"]["resourceVersion"])
        found.apply("DELETED", _at(policy, at))

    slow.meanwhile = deleted
    async with running(found.run()):
        await until(found.listed.is_set)
    assert list(found.rows()) == []
    assert [new and new.name for _, new in told] == ["a", None, None], "it came and went but once"


async def test_policies_whose_versions_went_back_are_heard(cluster: Cluster, client: Client) -> None:
    """After an etcd was restored from a backup, the next list counts and so does every event after it."""
    first = _policy(cluster, "a")
    found = Policies(client, lambda old, new: None)
    found.apply("ADDED", _at(first, 10**9))
    suspended = cluster.api.patch(f"{paths.POLICIES}/a", {"spec": {"suspend": True}})
    found.apply("MODIFIED", suspended)
    assert [policy.suspend for policy in found.rows()] == [False]
    async with running(found.run()):
        await until(found.listed.is_set)
        assert [policy.suspend for policy in found.rows()] == [True]
        found.apply("MODIFIED", cluster.api.patch(f"{paths.POLICIES}/a", {"spec": {"suspend": False}}))
        assert [policy.suspend for policy in found.rows()] == [False]


async def test_policies_that_cannot_be_listed_age_the_cache(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decides who may be touched must be as fresh as the rest, or nothing is decided."""
    monkeypatch.setattr(policies, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(policies, "RELIST_SECONDS", 0.05)
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        await until(lambda: cache.policies.age < 0.5)
        monkeypatch.setattr(paths, "POLICIES", "/apis/autoslicer.dev/v1alpha1/others")
        await until(lambda: cache.policies.age > 1)
        assert cache.age > 1
        monkeypatch.undo()
        await until(lambda: cache.policies.age < 1)


async def test_policies_that_may_not_be_listed_are_told_once(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who forgot a right reads of it in the log, once; with the right all goes on by itself."""
    monkeypatch.setattr(policies, "RETRY_SECONDS", 0.05)
    right, wrong = paths.POLICIES, "/apis/autoslicer.dev/v1alpha1/others"
    monkeypatch.setattr(paths, "POLICIES", wrong)
    found = Policies(client, lambda old, new: None)
    with capture_logs() as logs:
        async with running(found.run()):
            await asyncio.sleep(0.5)
            assert not found.listed.is_set()
            monkeypatch.setattr(paths, "POLICIES", right)
            await until(found.listed.is_set)
    [line] = logs
    assert "cannot list resource" in line["error"]


async def test_a_missed_deletion_is_found_by_the_next_list(cluster: Cluster, client: Client) -> None:
    """A policy whose deletion no event told does not govern for ever."""
    found = Policies(client, lambda old, new: None)
    stale = _policy(cluster, "a")
    cluster.api.delete(f"{paths.POLICIES}/a")
    found.apply("ADDED", stale)
    _policy(cluster, "b")
    async with running(found.run()):
        await until(found.listed.is_set)
        assert [policy.name for policy in found.rows()] == ["b"]


async def test_a_fresh_look_does_not_trust_the_cache(cluster: Cluster, client: Client) -> None:
    """Node, pods and policy of a change are read anew; this cache has stopped before all of that."""
    _policy(cluster, "default")
    name = waiting_change(cluster, "gpu-a")
    cluster.api.patch(f"{paths.CHANGES}/{name}", {"metadata": {"ownerReferences": None}})
    cluster.plain_node("gpu-b")
    old = cluster.pod("old", nodeName="gpu-a")
    other = cluster.pod("other", nodeName="gpu-b")
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced and {old, other} <= cache.pods.rows.keys())
    cluster.delete_pod(old)
    cluster.delete_pod(other)
    new = cluster.pod("new", nodeName="gpu-a")
    cluster.label("gpu-a", {"x": "y"})
    cluster.label("gpu-b", {"x": "y"})
    cluster.api.patch(f"{paths.POLICIES}/default", {"spec": {"suspend": True}})
    change = cache.changes.rows[name]
    found = await look(client, cache, change)
    assert found.nodes["gpu-a"].labels["x"] == "y"
    assert "x" not in found.nodes["gpu-b"].labels
    assert {pod.key for pod in found.pods.values() if pod.node == "gpu-a"} == {new}
    assert other in found.pods
    assert found.policies["default"].suspend
    cluster.api.delete(f"{paths.POLICIES}/default")
    cluster.remove_node("gpu-a")
    found = await look(client, cache, change)
    assert "gpu-a" not in found.nodes
    assert "default" not in found.policies
    cluster.api.patch(f"{paths.CHANGES}/{name}", {"metadata": {"annotations": {"x": "y"}}})
    with pytest.raises(RefusedError, match=f"change {name} is another by now"):
        await look(client, cache, change)
    cluster.api.delete(f"{paths.CHANGES}/{name}")
    with pytest.raises(RefusedError, match=f"change {name} is gone"):
        await look(client, cache, change)


async def test_a_fresh_look_at_what_cannot_be_read_is_careful(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable pod makes the node count as in use; an unreadable node is no node that is gone.

    An unreadable policy holds nothing up: it is one that is gone.
    """
    _policy(cluster, "default")
    name = waiting_change(cluster, "gpu-a")
    cluster.pod("broken", nodeName="gpu-a")
    cache = Cache(client)
    async with running(cache.run()):
        await until(lambda: cache.synced)
        change = cache.changes.rows[name]
        assert (await look(client, cache, change)).obscured == {}
        _breaking(monkeypatch, "pod", "broken")
        assert (await look(client, cache, change)).obscured == {"gpu-a": "pod broken cannot be read"}
        assert "default" in (await look(client, cache, change)).policies
        _breaking(monkeypatch, "policy", "default")
        assert "default" not in (await look(client, cache, change)).policies
        _breaking(monkeypatch, "node", "gpu-a")
        with pytest.raises(UnreadableError, match="node gpu-a cannot be read"):
            await look(client, cache, change)
