"""Events, as the real API server takes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoslicer.cluster import events
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.cluster.connection import connect
from autoslicer.cluster.events import NOTE_BYTES, PACE_SECONDS, Recorder
from autoslicer.cluster.tasks import running
from autoslicer.core.actions import Report
from autoslicer.core.reasons import Reason
from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster_room.waiting import until


@pytest.fixture
def namespace(running_cluster: Cluster, account: Path) -> Iterator[str]:
    """An empty namespace."""
    yield running_cluster.fresh_namespace()
    running_cluster.fresh_namespace()
    for event in _events(running_cluster, "default"):
        path = f"/apis/events.k8s.io/v1/namespaces/default/events/{event['metadata']['name']}"
        running_cluster.api.delete(path)


def _events(cluster: Cluster, namespace: str) -> list[Object]:
    found = cluster.api.list(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    return [event for event in found if event.get("reportingController") == "autoslicer.dev/controller"]


def _report(
    namespace: str, name: str = "infer", reason: Reason = Reason.NoFeasibleLayout, message: str = "no"
) -> Report:
    return Report("Pod", namespace, name, f"uid-{name}", "Warning", reason, message)


async def test_an_object_hears_each_reason_once(
    running_cluster: Cluster, client: Client, namespace: str
) -> None:
    """The same reason is said once of a pod, another one again, and of another pod too."""
    recorder = Recorder(client, "a-controller")
    for message in ("no", "still no"):
        await recorder.post(_report(namespace, message=message))
    await recorder.post(_report(namespace, reason=Reason.OutOfCapacity))
    await recorder.post(_report(namespace, "other"))
    found = _events(running_cluster, namespace)
    assert sorted((event["regarding"]["name"], event["reason"], event["note"]) for event in found) == [
        ("infer", "NoFeasibleLayout", "no"),
        ("infer", "OutOfCapacity", "no"),
        ("other", "NoFeasibleLayout", "no"),
    ]
    first = found[0]
    assert (first["type"], first["reportingInstance"]) == ("Warning", "a-controller")
    assert first["regarding"]["apiVersion"] == "v1"


async def test_the_next_process_repeats_nothing(
    running_cluster: Cluster, client: Client, namespace: str
) -> None:
    """What the API server still has an event of is not told again after a restart; the rest is."""
    await Recorder(client, "before").post(_report(namespace))
    after = Recorder(client, "after")
    await after.post(_report(namespace))
    await after.post(_report(namespace, reason=Reason.OutOfCapacity))
    found = {event["reason"]: event["reportingInstance"] for event in _events(running_cluster, namespace)}
    assert found == {"NoFeasibleLayout": "before", "OutOfCapacity": "after"}


async def test_what_comes_back_after_long_is_told_again(
    running_cluster: Cluster, client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drift weeks after the first is news; what was reported all the while is not."""
    monkeypatch.setattr(events, "FORGOTTEN_SECONDS", 0.5)
    recorder = Recorder(client)
    await recorder.post(_report(namespace, "goes-on"))
    await recorder.post(_report(namespace, "comes-back"))
    for event in _events(running_cluster, namespace):  # as the API server does after its --event-ttl
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/{event['metadata']['name']}"
        running_cluster.api.delete(path)
    for _ in range(8):
        await recorder.post(_report(namespace, "goes-on"))
        await asyncio.sleep(0.1)
    for name in ("goes-on", "comes-back"):
        await recorder.post(_report(namespace, name))
    assert [event["regarding"]["name"] for event in _events(running_cluster, namespace)] == ["comes-back"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 253, "x" * 5000),
        (f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 7}-{'e' * 20}", "\N{GREEK SMALL LETTER MU}" * 2000),
        (f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 6}.-", "\N{PILE OF POO}" * 300),
        ("a", ""),
    ],
    ids=["long", "dash at the cut", "dot at the cut", "empty note"],
)
async def test_long_names_and_notes_are_taken(
    running_cluster: Cluster, client: Client, namespace: str, name: str, message: str
) -> None:
    """However long a name or a message is, in whatever script, the API server takes the event."""
    await Recorder(client).post(_report(namespace, name, message=message))
    [event] = _events(running_cluster, namespace)
    note = event.get("note", "")
    assert message.startswith(note)
    assert len(note.encode()) <= NOTE_BYTES < len(note.encode()) + 4 or note == message


async def test_objects_without_a_namespace_have_their_events_in_default(
    running_cluster: Cluster, client: Client, namespace: str
) -> None:
    """That is where kubectl looks for the events of nodes and cluster-scoped custom resources."""
    kinds = {"Node": "v1", "MigReconfiguration": "autoslicer.dev/v1alpha1"}
    for kind in kinds:
        await Recorder(client).post(Report(kind, "", "gpu-a-1", "u", "Normal", Reason.Done, "done"))
    found = _events(running_cluster, "default")
    assert {event["regarding"]["kind"]: event["regarding"]["apiVersion"] for event in found} == kinds


async def test_what_could_not_be_said_is_said_later(
    running_cluster: Cluster, account: Path, namespace: str, proxy: Proxy
) -> None:
    """An event that was refused, or that nobody heard, is not remembered as said."""
    client = await connect(str(proxy.kubeconfig(account)))
    recorder = Recorder(client)
    with pytest.raises(RefusedError, match="not found"):
        await recorder.post(_report("no-such-namespace"))
    with pytest.raises(RefusedError, match="not found"):
        await recorder.post(_report("no-such-namespace"))
    proxy.cut()
    with pytest.raises(UnreachableError):
        await recorder.post(_report(namespace, "other"))
    proxy.mend()
    await recorder.post(_report(namespace, "other"))
    await recorder.post(_report(namespace, "other"))
    assert len(_events(running_cluster, namespace)) == 1
    await client.close()


async def test_a_burst_is_told_beside_the_work(
    running_cluster: Cluster, client: Client, namespace: str
) -> None:
    """Sixty pods at once hold nobody up: they are told of one after the other, and each but once."""
    recorder = Recorder(client)
    async with running(recorder.run()):
        began = time.monotonic()
        for _ in range(2):
            for number in range(60):
                recorder.report(_report(namespace, f"infer-{number}"))
        assert time.monotonic() - began < 0.1
        await until(lambda: len(_events(running_cluster, namespace)) == 60)
        assert time.monotonic() - began >= 59 * PACE_SECONDS
        recorder.report(_report(namespace, "infer-0"))
        recorder.report(_report(namespace, "one-more"))
        await until(lambda: len(_events(running_cluster, namespace)) == 61)


async def test_one_that_cannot_be_told_holds_no_other_up(
    running_cluster: Cluster, account: Path, namespace: str, proxy: Proxy
) -> None:
    """A refusal or a network that is away costs that event alone; what is reported again is told then."""
    client = await connect(str(proxy.kubeconfig(account)))
    recorder = Recorder(client)
    async with running(recorder.run()):
        recorder.report(_report("no-such-namespace"))
        recorder.report(_report(namespace, "first"))
        await until(lambda: len(_events(running_cluster, namespace)) == 1)
        proxy.cut()
        recorder.report(_report(namespace, "second"))
        await asyncio.sleep(0.5)
        proxy.mend()
        assert len(_events(running_cluster, namespace)) == 1
        recorder.report(_report(namespace, "third"))
        await until(lambda: len(_events(running_cluster, namespace)) == 2)
        recorder.report(_report(namespace, "second"))
        await until(lambda: len(_events(running_cluster, namespace)) == 3)
    await client.close()
