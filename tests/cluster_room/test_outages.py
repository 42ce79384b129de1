"""What Kubernetes itself does to a watch: etcd forgets, the API server restarts, a right is missing."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client, Counter
from autoslicer.cluster.connection import connect
from autoslicer.cluster.reflector import Reflector
from autoslicer.cluster.tasks import running
from autoslicer.core import reading
from autoslicer.core.rows import ConfigMapRow
from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster_room.waiting import until


@asynccontextmanager
async def connected(kubeconfig: Path, count: Counter = lambda verb, code: None) -> AsyncIterator[Client]:
    """A client that is closed afterwards."""
    client = await connect(str(kubeconfig), count=count)
    try:
        yield client
    finally:
        await client.close()
        # connections that the API server broke off are closed in the loop's next rounds
        await asyncio.sleep(0.1)


class Named(Reflector[ConfigMapRow]):
    """A reflector of any kind, which keeps no more of an object than a ConfigMap's row does."""

    def __init__(self, client: Client, path: str) -> None:
        self.lists: list[str] = []
        super().__init__(
            client,
            "ConfigMap",
            path,
            lambda item: reading.config_map(
                {**item, "kind": "ConfigMap"} if isinstance(item, dict) else item
            ),
            changed=lambda old, new: None,
            relisted=lambda kind, cause: self.lists.append(cause),
        )

    def names(self) -> set[str]:
        """The names of the rows, without the ConfigMap that every namespace has."""
        return {row.name for row in self.rows.values()} - {"kube-root-ca.crt"}


def _etcd(cluster: Cluster, call: str, **body: object) -> dict[str, Any]:
    """One call of etcd's own API."""
    url = f"http://127.0.0.1:{cluster.control_plane._ports[0]}/v3/kv/{call}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _key(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _create(cluster: Cluster, path: str, *names: str, **body: object) -> None:
    for name in names:
        cluster.api.create(path, {"metadata": {"name": name, "namespace": cluster.namespace}, **body})


async def test_a_compacted_history_leaves_no_ghost(
    cluster: Cluster, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that cannot go on where the last one ended, for etcd has forgotten, lists again.

    Events are watched in etcd itself, so that its compaction shows at once, as an event of type ERROR.
    """
    monkeypatch.setattr(random, "randint", lambda least, most: 1)
    path = f"/api/v1/namespaces/{cluster.fresh_namespace()}/events"
    regarding = {"kind": "Pod", "namespace": cluster.namespace, "name": "p"}
    _create(cluster, path, "goes", "stays", involvedObject=regarding)
    through = proxy.kubeconfig(cluster.kubeconfig)
    async with connected(through) as client, running((found := Named(client, path)).run()):
        await until(lambda: found.names() == {"goes", "stays"})
        proxy.freeze()
        # the watch, of one second, ends at the API server; when the object goes, that has not come here
        await asyncio.sleep(1.5)
        cluster.api.delete(paths.one(path, "goes"))
        _create(cluster, paths.config_maps(cluster.namespace), "one-more-revision")
        revision = _etcd(cluster, "range", key=_key("any"))["header"]["revision"]
        _etcd(cluster, "compaction", revision=revision, physical=True)
        proxy.thaw()
        await until(lambda: found.names() == {"stays"})
        assert found.lists[:2] == ["start", "expired"]


async def test_a_restarted_api_server_leaves_no_ghost(cluster: Cluster, account: Path) -> None:
    """What went while no API server was there, so that no watch can ever tell of it, is gone afterwards."""
    path = paths.config_maps(cluster.namespace)
    _create(cluster, path, "goes", "stays")
    async with connected(cluster.kubeconfig) as client, running((found := Named(client, path)).run()):
        await until(lambda: found.names() == {"goes", "stays"})
        cluster.control_plane.kill_apiserver()
        try:
            gone = _etcd(cluster, "deleterange", key=_key(f"/registry/configmaps/{cluster.namespace}/goes"))
            assert gone["deleted"] == "1"
            await asyncio.sleep(0.5)
            assert found.names() == {"goes", "stays"}
        finally:
            # from this thread: what another one starts dies with it
            cluster.control_plane.start_apiserver()
            for kind in (paths.POLICIES, paths.CHANGES, paths.MIG_NODES):
                await until(lambda kind=kind: cluster.serves(kind))
        await until(lambda: found.names() == {"stays"})
        _create(cluster, path, "comes")
        await until(lambda: found.names() == {"stays", "comes"})


async def test_a_missing_right_causes_no_storm(cluster: Cluster, account: Path) -> None:
    """Without the right to list, or with that but none to watch, it is tried ever more slowly."""
    told: list[str] = []
    path = paths.config_maps(cluster.namespace)
    async with connected(account, lambda verb, code: told.append(f"{verb} {code}")) as client:
        async with running((found := Named(client, path)).run()):
            await asyncio.sleep(3)
        assert not found.synced
        assert set(told) == {"get 403"}
        assert len(told) <= 6
        told.clear()
        _allow_to_list(cluster)
        async with running((found := Named(client, path)).run()):
            await asyncio.sleep(3)
        assert found.synced
        assert set(told) == {"get 200", "watch 403"}
        assert len(told) <= 2 * 6


def _allow_to_list(cluster: Cluster) -> None:
    """Let our ServiceAccount list the ConfigMaps of the test's namespace."""
    rbac = "rbac.authorization.k8s.io"
    collection = f"/apis/{rbac}/v1/namespaces/{cluster.namespace}"
    subject = {"kind": "ServiceAccount", "name": "autoslicer", "namespace": "autoslicer-system"}
    made: Mapping[str, Mapping[str, object]] = {
        "roles": {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]},
        "rolebindings": {
            "subjects": [subject],
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "lists"},
        },
    }
    for plural, body in made.items():
        cluster.api.create(f"{collection}/{plural}", {"metadata": {"name": "lists"}, **body})
