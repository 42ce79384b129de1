"""The reflector against the real API server: what it holds is what is there, whatever happens between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoslicer.cluster import paths, reflector
from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError
from autoslicer.cluster.connection import connect
from autoslicer.cluster.reflector import Reflector
from autoslicer.cluster.tasks import running
from autoslicer.core import reading
from autoslicer.core.rows import MigNodeRow
from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster_room.overtaken import Overtaken
from tests.cluster_room.waiting import until

ABSENT = "/apis/resource.k8s.io/v1alpha1/resourceslices"
"""a version that no API server has any more, of a resource that we may list"""


@pytest.fixture
def mignodes(running_cluster: Cluster, account: Path) -> Iterator[Cluster]:
    """The cluster, whose MigNodes go afterwards."""
    yield running_cluster
    for item in running_cluster.api.list(paths.MIG_NODES):
        _delete(running_cluster, item["metadata"]["name"])


class Seen(Reflector[MigNodeRow]):
    """A reflector of MigNodes that notes what it tells."""

    def __init__(self, client: Client, path: str = paths.MIG_NODES, **more: Any) -> None:
        self.told: list[tuple[str | None, str | None]] = []
        self.lists: list[str] = []
        super().__init__(
            client,
            "MigNode",
            path,
            more.pop("read", reading.mig_node),
            changed=lambda old, new: self.told.append((_driver(old), _driver(new))),
            relisted=lambda kind, cause: self.lists.append(cause),
            **more,
        )

    def drivers(self) -> dict[str, str]:
        """What the rows say, by name."""
        return {name: row.driver for name, row in self.rows.items()}


def _driver(row: MigNodeRow | None) -> str | None:
    return None if row is None else row.driver


def _create(cluster: Cluster, name: str, driver: str = "1") -> Object:
    cluster.api.create(
        paths.MIG_NODES,
        {"apiVersion": "autoslicer.dev/v1alpha1", "kind": "MigNode", "metadata": {"name": name}},
    )
    return _set(cluster, name, driver)


def _set(cluster: Cluster, name: str, driver: str) -> Object:
    status = {"observedAt": "2026-11-20T12:00:00Z", "driverVersion": driver, "gpus": []}
    return cluster.api.patch(f"{paths.MIG_NODES}/{name}/status", {"status": status})


def _delete(cluster: Cluster, name: str) -> None:
    cluster.api.delete(f"{paths.MIG_NODES}/{name}")


async def test_what_was_there_and_what_comes_is_seen(mignodes: Cluster, client: Client) -> None:
    """Objects of several pages, new ones, changed ones and deleted ones are all told, each once."""
    for number in range(5):
        _create(mignodes, f"a{number}")
    found = Seen(client, page=2)
    async with running(found.run()):
        await until(lambda: found.synced)
        assert found.drivers() == {f"a{number}": "1" for number in range(5)}
        _set(mignodes, "a0", "2")
        _create(mignodes, "b0", "3")
        _delete(mignodes, "a1")
        await until(lambda: found.drivers() == {"a0": "2", "a2": "1", "a3": "1", "a4": "1", "b0": "3"})
    assert found.lists == ["start"]
    assert found.told.count(("1", "2")) == 1
    assert found.told.count(("1", None)) == 1


class Ancient(Client):
    """A client whose first watch starts from a version that the API server has forgotten."""

    asked = 0

    def watch(self, path: str, **query: str) -> AsyncIterator[Object]:
        """As its parent's."""
        self.asked += 1
        if self.asked == 1:
            query["resourceVersion"] = "1"
        return super().watch(path, **query)


async def test_an_expired_watch_lists_again(mignodes: Cluster, client: Client) -> None:
    """410 is answered by a list, and the watch goes on from there."""
    _create(mignodes, "a0")
    found = Seen(Ancient(client.api))
    async with running(found.run()):
        await until(lambda: found.lists == ["start", "expired"])
        _set(mignodes, "a0", "2")
        await until(lambda: found.drivers() == {"a0": "2"})


async def test_a_gap_leaves_no_ghosts(mignodes: Cluster, account: Path, proxy: Proxy) -> None:
    """What was deleted while the API server could not be reached is gone afterwards, the rest is not."""
    for name in ("goes", "stays"):
        _create(mignodes, name)
    client = await connect(str(proxy.kubeconfig(account)))
    found = Seen(client)
    async with running(found.run()):
        await until(lambda: len(found.rows) == 2)
        proxy.cut()
        _delete(mignodes, "goes")
        _create(mignodes, "comes")
        await asyncio.sleep(0.5)
        assert found.rows.keys() == {"goes", "stays"}, "a list is replaced, never emptied"
        proxy.mend()
        await until(lambda: found.rows.keys() == {"stays", "comes"})
        assert "unreachable" in found.lists
    await client.close()


async def test_a_silent_watch_is_given_up(mignodes: Cluster, account: Path, proxy: Proxy) -> None:
    """A connection through which nothing comes any more, though it is open, does not blind the cache."""
    _create(mignodes, "a0")
    client = await connect(str(proxy.kubeconfig(account)), inactive_seconds=1)
    found = Seen(client)
    async with running(found.run()):
        await until(lambda: found.synced)
        proxy.freeze()
        _set(mignodes, "a0", "2")
        await until(lambda: found.age > 1)
        assert found.drivers() == {"a0": "1"}
        proxy.cut()
        proxy.thaw()
        proxy.mend()
        await until(lambda: found.drivers() == {"a0": "2"})
        assert found.age < 1
    await client.close()


def _picky(obj: object) -> MigNodeRow:
    row = reading.mig_node(obj)
    if row.driver == "broken":
        raise ValueError(f"MigNode {row.name}: status.driverVersion must not be broken")
    return row


async def test_what_cannot_be_read_is_left_out_and_named(mignodes: Cluster, client: Client) -> None:
    """A malformed object is no row, is remembered with its sentence, and comes back when it is mended."""
    _create(mignodes, "a0")
    _create(mignodes, "bad", "broken")
    found = Seen(client, read=_picky)
    async with running(found.run()):
        await until(lambda: found.synced)
        assert found.drivers() == {"a0": "1"}
        sentence = "MigNode bad: status.driverVersion must not be broken"
        assert found.unread == {"bad": (sentence, "bad")}, "the node that it speaks of counts as in use"
        found.told.clear()
        _set(mignodes, "bad", "2")
        await until(lambda: found.drivers() == {"a0": "1", "bad": "2"})
        assert not found.unread
        _set(mignodes, "a0", "broken")
        await until(lambda: found.unread.get("a0", ("", ""))[1] == "a0")
        assert found.drivers() == {"bad": "2"}
        _delete(mignodes, "a0")
        await until(lambda: not found.unread)
    assert found.told == [(None, "2"), (None, None), ("1", None), (None, None), (None, None)]


async def test_a_resource_that_is_absent_is_empty(client: Client) -> None:
    """Where the status is one that means nothing is there, the cache is complete, empty and fresh."""
    found = Seen(client, ABSENT, empty_on={404})
    async with running(found.run()):
        await until(lambda: found.synced)
        assert not found.rows
        assert found.age < 5


async def test_a_resource_that_must_be_there_is_waited_for(client: Client) -> None:
    """Without that exception an absent resource is unknown, not empty."""
    found = Seen(client, ABSENT)
    async with running(found.run()):
        await until(lambda: len(found.lists) > 1)
        assert not found.synced
    assert set(found.lists) == {"start", "refused"}


async def test_an_own_write_is_there_at_once(mignodes: Cluster, client: Client) -> None:
    """What a write returned counts before the watch tells of it, and is not told twice."""
    _create(mignodes, "a0")
    found = Seen(client)
    async with running(found.run()):
        await until(lambda: found.synced)
        written = _set(mignodes, "a0", "2")
        found.observe(written)
        assert found.drivers() == {"a0": "2"}
        _create(mignodes, "b0")
        await until(lambda: "b0" in found.rows)
    assert found.told.count(("1", "2")) == 1


async def test_an_older_event_undoes_no_own_write(mignodes: Cluster, client: Client) -> None:
    """The watch may lag behind our writes: what it tells of an older state is dropped."""
    _create(mignodes, "a0")
    found = Seen(client)
    await found._list("start")
    older, newer = _set(mignodes, "a0", "2"), _set(mignodes, "a0", "3")
    found.observe(newer)
    found._hear("MODIFIED", older)
    assert found.drivers() == {"a0": "3"}
    found._hear("MODIFIED", newer)
    assert found.told[-1] == ("1", "3")
    newest = _set(mignodes, "a0", "4")
    found._hear("MODIFIED", newest)
    assert found.drivers() == {"a0": "4"}


async def test_a_late_answer_brings_nothing_back(mignodes: Cluster, client: Client) -> None:
    """The answer to a write that arrives after the object's deletion was told makes no ghost."""
    _create(mignodes, "a0")
    found = Seen(client)
    async with running(found.run()):
        await until(lambda: found.synced)
        written = _set(mignodes, "a0", "2")
        _delete(mignodes, "a0")
        await until(lambda: not found.rows)
        found.observe(written)
        assert not found.rows


async def test_a_list_that_is_older_than_an_own_write_keeps_it(mignodes: Cluster, client: Client) -> None:
    """A list that was read before our write does not take it back."""
    _create(mignodes, "a0")
    found = Seen(client)
    await found._list("start")
    listed = await client.get(paths.MIG_NODES)
    found.observe(_set(mignodes, "a0", "2"))
    at = int(listed["metadata"]["resourceVersion"])
    found._replace({"a0": reading.mig_node(listed["items"][0])}, {}, at)
    assert found.drivers() == {"a0": "2"}
    await found._list("expired")
    assert found.drivers() == {"a0": "2"}
    assert found._ahead == {}


async def test_a_list_beside_the_watch_takes_back_nothing_that_was_told_meanwhile(
    mignodes: Cluster, client: Client
) -> None:
    """What the watch tells while the list is under way stays, deletions too: it tells nothing twice."""
    for name in ("changes", "goes", "stays"):
        _create(mignodes, name)
    slow = Overtaken(client.api)
    found = Seen(slow)
    await found._list("start")

    def watched() -> None:
        found._hear("MODIFIED", _set(mignodes, "changes", "2"))
        gone = mignodes.api.get(f"{paths.MIG_NODES}/goes")
        _delete(mignodes, "goes")
        at = mignodes.api.get(paths.MIG_NODES)["metadata"]["resourceVersion"]
        found._hear("DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": at}})

    slow.meanwhile = watched
    await found.refresh()
    assert found.drivers() == {"changes": "2", "stays": "1"}


async def test_a_list_beside_the_watch_brings_what_was_not_told(mignodes: Cluster, client: Client) -> None:
    """A watch that lags is overtaken, and what it tells later of older states is passed over."""
    _create(mignodes, "changes")
    gone = _create(mignodes, "goes")
    found = Seen(client)
    await found._list("start")
    older = _set(mignodes, "changes", "2")
    _set(mignodes, "changes", "3")
    _delete(mignodes, "goes")
    await found.refresh()
    assert found.drivers() == {"changes": "3"}
    found._hear("MODIFIED", older)
    found._hear("ADDED", gone)
    assert found.drivers() == {"changes": "3"}


async def test_versions_that_went_back_are_taken_over(mignodes: Cluster, client: Client) -> None:
    """After an etcd was restored from a backup the next list counts, though its version is an older one."""
    _create(mignodes, "a0")
    found = Seen(client)
    await found._list("start")
    lost = _create(mignodes, "lost")
    found._hear("ADDED", _at(lost, 10**9))
    found.observe(_at({**lost, "metadata": {"name": "written"}}, 10**9 + 1))
    assert found.rows.keys() == {"a0", "lost", "written"}
    _delete(mignodes, "lost")
    await found._list("expired")
    assert found.drivers() == {"a0": "1"}
    found._hear("MODIFIED", _set(mignodes, "a0", "2"))
    assert found.drivers() == {"a0": "2"}


def _at(item: Object, version: int) -> Object:
    return {**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}}


class Refusing(Client):
    """A client that is refused every list while `status` is set; its watches end for their silence."""

    status = 0

    async def get(self, path: str, **query: str) -> Object:
        """As its parent's."""
        if self.status:
            raise RefusedError(self.status, "no such right is known")
        return await super().get(path, **query)


async def test_a_first_refusal_is_not_believed_at_once(mignodes: Cluster, client: Client) -> None:
    """Who starts beside an API server that knows no rights yet waits for it, and takes nothing for empty."""
    _create(mignodes, "a0")
    refused = Refusing(client.api)
    refused.status = 403
    found = Seen(refused, empty_on={403})
    async with running(found.run()):
        await until(lambda: found.lists.count("refused") > 1)
        assert not found.synced
        refused.status = 0
        await until(lambda: found.synced)
        assert found.drivers() == {"a0": "1"}


@pytest.mark.parametrize("status", [403, 404])
async def test_a_passing_refusal_empties_nothing(mignodes: Cluster, client: Client, status: int) -> None:
    """An API server that starts anew may refuse for some seconds what it allows: the rows stay meanwhile."""
    _create(mignodes, "a0")
    refused = Refusing(client.api, inactive_seconds=0.3)
    found = Seen(refused, empty_on={403, 404})
    async with running(found.run()):
        await until(lambda: found.synced)
        refused.status = status
        await until(lambda: found.lists.count("refused") > 1)
        assert found.drivers() == {"a0": "1"}
        assert found.age > 0.1, "the cache does not pretend to be fresh"
        _set(mignodes, "a0", "2")
        refused.status = 0
        await until(lambda: found.drivers() == {"a0": "2"})


async def test_a_lasting_refusal_empties(
    mignodes: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may not be listed any more for good is not believed for ever."""
    monkeypatch.setattr(reflector, "LASTING_REFUSAL", 1.0)
    _create(mignodes, "a0")
    refused = Refusing(client.api, inactive_seconds=0.3)
    found = Seen(refused, empty_on={403})
    async with running(found.run()):
        await until(lambda: found.synced)
        refused.status = 403
        await until(lambda: not found.rows)
        assert found.age < 1
    assert found.lists.count("refused") > 1


async def test_refusals_and_silence_are_told_apart(client: Client, account: Path, proxy: Proxy) -> None:
    """A request that is answered by an error is refused, one that is not answered is unreachable."""
    with pytest.raises(RefusedError, match="not found") as refused:
        await client.get(f"{paths.MIG_NODES}/nobody")
    assert refused.value.conflict
    with pytest.raises(RefusedError, match="forbidden") as forbidden:
        await client.get("/api/v1/namespaces/default/secrets")
    assert (forbidden.value.status, forbidden.value.conflict) == (403, False)
    behind = await connect(str(proxy.kubeconfig(account)))
    proxy.cut()
    with pytest.raises(UnreachableError):
        await behind.get(paths.MIG_NODES)
    await behind.close()
