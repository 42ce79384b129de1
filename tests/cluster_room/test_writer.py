"""Every action on the real API server with our own rights: what it does, refuses and leaves alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError
from autoslicer.cluster.config_file import CONFIG_MAP_LIMIT, PublishError
from autoslicer.cluster.connection import connect
from autoslicer.cluster.events import Recorder
from autoslicer.cluster.writer import UntouchableError, Writer
from autoslicer.core import configs, names, reading
from autoslicer.core.actions import (
    Action,
    AddTaint,
    CreateChange,
    DeleteChange,
    Evict,
    Leaver,
    Nominate,
    NoteOnNode,
    PolicyStatus,
    Publish,
    RemoveTaint,
    Report,
    RestoreClients,
    SetConfig,
    TouchPod,
    WakeAt,
    WriteChangeStatus,
)
from autoslicer.core.changes import marks
from autoslicer.core.configs import config_name, entries_of
from autoslicer.core.reasons import Reason
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import ChangeStatus, Condition, GpuTarget, ReconfigurationRow, Step
from tests.build import NOON
from tests.cluster.fixture import OURS, Cluster
from tests.cluster_room.waiting import until

NODE = "/api/v1/nodes/gpu-a"
USER = "system:serviceaccount:autoslicer-system:autoslicer"
MAP = f"/api/v1/namespaces/gpu-operator/configmaps/{OURS}"
TAINT = {"key": "autoslicer.dev/reshaping", "value": "1", "effect": "NoSchedule"}
SEVEN = entries_of([GpuTarget(0, None, (("1g.10gb", 7),), True)])
NAME = config_name(SEVEN)


@pytest.fixture
def cache(cluster: Cluster, client: Client) -> Cache:
    return Cache(client)


@pytest.fixture
def writer(client: Client, cache: Cache) -> Writer:
    return Writer(client, cache, Recorder(client, "test"))


@pytest.fixture
async def version(cluster: Cluster, account: object) -> str:
    """A node with other people's taint, labels and annotations; gives its resourceVersion."""
    cluster.plain_node("gpu-a")
    await until(lambda: _settled(cluster.node("gpu-a")))
    body = {
        "metadata": {
            "labels": {"team": "a", "nvidia.com/mig.config": "all-7g.80gb"},
            "annotations": {"x": "y"},
        },
        "spec": {"taints": [{"key": "team", "value": "a", "effect": "NoExecute"}]},
    }
    return str(cluster.api.patch(NODE, body)["metadata"]["resourceVersion"])


def _settled(node: Object) -> bool:
    """Kubernetes' own controllers have written to the new node what they write."""
    ttl = "node.alpha.kubernetes.io/ttl" in node["metadata"].get("annotations", {})
    return ttl and not node["spec"].get("taints")


async def _do(writer: Writer, *actions: Action) -> None:
    await writer.carry_out(actions, NOON)


async def test_the_taint_is_added_and_removed_alone(
    cluster: Cluster, writer: Writer, cache: Cache, version: str
) -> None:
    """Others' taints stay as they are, ours is replaced in place, and the cache knows it at once."""
    before = cluster.node("gpu-a")
    await _do(writer, AddTaint("gpu-a", version, "1"))
    tainted = cluster.node("gpu-a")
    foreign = [taint for taint in tainted["spec"]["taints"] if taint["key"] != TAINT["key"]]
    assert foreign == before["spec"]["taints"]
    assert [t for t in tainted["spec"]["taints"] if t["key"] == TAINT["key"]] == [TAINT]
    assert cache.nodes.rows["gpu-a"].resource_version == tainted["metadata"]["resourceVersion"]
    await _do(writer, AddTaint("gpu-a", cache.nodes.rows["gpu-a"].resource_version, "2"))
    assert [t.get("value") for t in cluster.node("gpu-a")["spec"]["taints"]] == ["a", "2"]
    await _do(writer, RemoveTaint("gpu-a", cache.nodes.rows["gpu-a"].resource_version))
    after = cluster.node("gpu-a")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


async def test_marks_for_autoscalers_come_and_go_with_the_taint(
    cluster: Cluster, writer: Writer, cache: Cache, version: str
) -> None:
    """In the same write; the one that was there before stays, and no annotation of others is touched."""
    down, disrupt = names.DO_NOT_DISRUPT
    there = cluster.api.patch(NODE, {"metadata": {"annotations": {down: "false"}}})
    before = there["metadata"]["annotations"]
    await _do(writer, AddTaint("gpu-a", there["metadata"]["resourceVersion"], "1", (disrupt,)))
    tainted = cluster.node("gpu-a")
    assert TAINT in tainted["spec"]["taints"]
    assert tainted["metadata"]["annotations"] == {**before, disrupt: "true", names.MARKS: disrupt}
    row = cache.nodes.rows["gpu-a"]
    await _do(writer, RemoveTaint("gpu-a", row.resource_version, marks.ours(row)))
    after = cluster.node("gpu-a")
    assert TAINT not in after["spec"]["taints"]
    assert after["metadata"]["annotations"] == before


async def test_paused_clients_are_given_back_and_nothing_else(
    cluster: Cluster, writer: Writer, cache: Cache, version: str
) -> None:
    """Only the labels that the action names; a node that has changed since is left alone."""
    plugin, dcgm = "nvidia.com/gpu.deploy.device-plugin", "nvidia.com/gpu.deploy.dcgm"
    paused = {plugin: names.PAUSED, dcgm: "false"}
    found = cluster.api.patch(NODE, {"metadata": {"labels": paused}})
    with pytest.raises(RefusedError) as refused:
        await _do(writer, RestoreClients("gpu-a", version, (plugin,)))
    assert refused.value.conflict
    await _do(writer, RestoreClients("gpu-a", found["metadata"]["resourceVersion"], (plugin,)))
    after = cluster.node("gpu-a")
    assert after["metadata"]["labels"] == {**found["metadata"]["labels"], plugin: "true"}
    assert after["spec"] == found["spec"]
    assert cache.nodes.rows["gpu-a"].labels[plugin] == "true"


async def test_a_note_comes_and_goes_alone(
    cluster: Cluster, writer: Writer, cache: Cache, version: str
) -> None:
    """On the node as it was seen; no other annotation is touched."""
    before = cluster.node("gpu-a")
    await _do(writer, NoteOnNode("gpu-a", version, names.DRIFT, "2026-11-20T12:00:00Z"))
    noted = cluster.node("gpu-a")["metadata"]
    assert noted["annotations"] == {**before["metadata"]["annotations"], names.DRIFT: "2026-11-20T12:00:00Z"}
    assert cache.nodes.rows["gpu-a"].annotations[names.DRIFT] == "2026-11-20T12:00:00Z"
    with pytest.raises(RefusedError) as refused:
        await _do(writer, NoteOnNode("gpu-a", version, names.DRIFT, ""))
    assert refused.value.conflict
    await _do(writer, NoteOnNode("gpu-a", noted["resourceVersion"], names.DRIFT, ""))
    assert cluster.node("gpu-a")["metadata"]["annotations"] == before["metadata"]["annotations"]


async def test_the_last_taint_goes_too(cluster: Cluster, writer: Writer, cache: Cache, version: str) -> None:
    """A node whose only taint is ours ends up with none."""
    found = cluster.api.patch(NODE, {"spec": {"taints": [TAINT]}})
    await _do(writer, RemoveTaint("gpu-a", found["metadata"]["resourceVersion"]))
    assert "taints" not in cluster.node("gpu-a")["spec"]


@pytest.mark.parametrize(
    "action", [AddTaint("gpu-a", "", "1"), RemoveTaint("gpu-a", ""), SetConfig("gpu-a", "", NAME)], ids=str
)
async def test_a_node_that_has_changed_is_left_alone(
    cluster: Cluster, writer: Writer, version: str, action: AddTaint | RemoveTaint | SetConfig
) -> None:
    """Whatever was decided on an older state of the node is refused; on the present one it is done."""
    now = cluster.api.patch(NODE, {"spec": {"taints": [TAINT]}, "metadata": {"labels": {"x": "changed"}}})
    with pytest.raises(RefusedError) as refused:
        await _do(writer, replace(action, resource_version=version))
    assert refused.value.conflict
    assert cluster.node("gpu-a")["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"]
    wanted = {AddTaint: "2", RemoveTaint: "", SetConfig: NAME}[type(action)]
    present = replace(action, resource_version=now["metadata"]["resourceVersion"])
    await _do(writer, replace(present, value="2") if isinstance(present, AddTaint) else present)
    after = cluster.node("gpu-a")
    values = [taint["value"] for taint in after["spec"].get("taints", [])]
    assert wanted in (*values, after["metadata"]["labels"]["nvidia.com/mig.config"], "")
    assert not (isinstance(action, RemoveTaint) and values)


async def test_a_node_that_is_gone_is_a_conflict(writer: Writer, cluster: Cluster) -> None:
    """An action on a node that was removed is given up, not repeated as a fault of the network."""
    for action in (AddTaint("nobody", "1", "1"), RemoveTaint("nobody", "1"), SetConfig("nobody", "1", NAME)):
        with pytest.raises(RefusedError) as refused:
            await _do(writer, action)
        assert refused.value.conflict


async def test_config_state_and_annotation_are_set_together(
    cluster: Cluster, writer: Writer, version: str
) -> None:
    """One write labels the node, marks it pending and remembers what we set; nothing else changes."""
    before = cluster.node("gpu-a")
    await _do(writer, SetConfig("gpu-a", version, NAME))
    after = cluster.node("gpu-a")
    labels, annotations = after["metadata"]["labels"], after["metadata"]["annotations"]
    ours = {"nvidia.com/mig.config": NAME, "nvidia.com/mig.config.state": "pending"}
    assert labels == {**before["metadata"]["labels"], **ours}
    assert annotations == {**before["metadata"]["annotations"], "autoslicer.dev/applied-config": NAME}
    assert after["spec"] == before["spec"]


FOREIGN = """\
# kept by the platform team
version: v1
mig-configs:
  all-disabled: [{devices: all, mig-enabled: false}]
  ours:  # for training
  - device-filter: ["0x233010DE", "0x20B010DE"]
    devices: [0, 1]
    mig-enabled: true
    mig-devices: {"3g.40gb": 1, "1g.10gb+me": 1}
  - devices: [2]
    mig-enabled: true
    mig-devices: {}
"""


def _config_map(cluster: Cluster, text: str | None, **more: Any) -> Object:
    data = {"other.key": "kept"} if text is None else {"config.yaml": text, "other.key": "kept"}
    body = {"metadata": {"name": OURS, "labels": {"team": "a"}}, "data": data, **more}
    return cluster.api.create("/api/v1/namespaces/gpu-operator/configmaps", body)


def _publish(name: str = NAME) -> Publish:
    return Publish("gpu-operator", OURS, {name: SEVEN})


async def test_published_configs_join_what_is_there(cluster: Cluster, writer: Writer) -> None:
    """Every entry of the file means what it meant before, other keys and labels stay, ours is added once."""
    _config_map(cluster, FOREIGN)
    await _do(writer, _publish())
    found = cluster.api.get(MAP)
    assert found["data"]["other.key"] == "kept"
    assert found["metadata"]["labels"] == {"team": "a"}
    before, after = yaml.safe_load(FOREIGN), yaml.safe_load(found["data"]["config.yaml"])
    ours = {NAME: [{"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": 7}}]}
    assert after == {"version": "v1", "mig-configs": {**before["mig-configs"], **ours}}
    assert configs.parse(found["data"]["config.yaml"]) == {**configs.parse(FOREIGN), NAME: SEVEN}
    await _do(writer, _publish())
    assert cluster.api.get(MAP)["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"version: v1\nmig-configs: {{{NAME}: [{{devices: all, mig-enabled: false}}]}}", "another content"),
        ("version: v1\nmig-configs: [", "not a file that mig-parted accepts"),
        ("version: v2\nmig-configs: {a: [{devices: all, mig-enabled: false}]}", "version must be v1"),
        (None, "not a file that mig-parted accepts"),
    ],
    ids=["taken", "no YAML", "version", "absent"],
)
async def test_a_file_that_cannot_take_it_is_left_alone(
    cluster: Cluster, writer: Writer, text: str | None, sentence: str
) -> None:
    """Other content under our name and a file that nobody can read are refused, in a sentence."""
    before = _config_map(cluster, text)
    with pytest.raises(PublishError, match=sentence) as refused:
        await _do(writer, _publish())
    assert str(refused.value).startswith(f"ConfigMap gpu-operator/{OURS} ")
    assert cluster.api.get(MAP)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("spare", [-1, 0])
async def test_a_map_takes_no_more_than_fits(cluster: Cluster, writer: Writer, spare: int) -> None:
    """All keys together may hold 1 MiB: what just fits is written, one byte more is refused in a sentence."""
    wanted = len(configs.render({**configs.parse(FOREIGN), NAME: SEVEN}))
    _config_map(cluster, FOREIGN)
    filler = "x" * (CONFIG_MAP_LIMIT - wanted - spare)
    before = cluster.api.patch(MAP, {"data": {"other.key": filler}})["metadata"]["resourceVersion"]
    if spare < 0:
        with pytest.raises(PublishError, match=f"would pass {CONFIG_MAP_LIMIT} bytes"):
            await _do(writer, _publish())
        assert cluster.api.get(MAP)["metadata"]["resourceVersion"] == before
    else:
        await _do(writer, _publish())
        assert NAME in configs.parse(cluster.api.get(MAP)["data"]["config.yaml"])


async def test_publishing_loses_no_race(cluster: Cluster, client: Client, cache: Cache) -> None:
    """What somebody writes between our read and our write is kept: the write is refused and done anew."""
    _config_map(cluster, FOREIGN)

    class Slow(Client):
        raced = False

        async def update(self, path: str, body: Object) -> Object:
            if not self.raced:
                self.raced = True
                text = configs.render({**configs.parse(FOREIGN), "theirs": SEVEN})
                cluster.api.patch(MAP, {"data": {"config.yaml": text}})
            return await super().update(path, body)

    await _do(Writer(Slow(client.api), cache, Recorder(client)), _publish())
    assert {"theirs", NAME} < configs.parse(cluster.api.get(MAP)["data"]["config.yaml"]).keys()


def _layouts(count: int) -> list[Publish]:
    """Configs that differ from each other, one an action."""
    made = [entries_of([GpuTarget(0, None, (("1g.10gb", n + 1),), True)]) for n in range(count)]
    return [Publish("gpu-operator", OURS, {config_name(entries): entries}) for entries in made]


async def test_many_changes_publish_in_one_write(cluster: Cluster, account: Path, cache: Cache) -> None:
    """Where many nodes change at once the ConfigMap is written once or twice, not once a node."""
    _config_map(cluster, FOREIGN)
    told: list[str] = []
    client = await connect(str(account), count=lambda verb, code: told.append(f"{verb} {code}"))
    writer, wanted = Writer(client, cache, Recorder(client)), _layouts(30)
    await asyncio.gather(*(_do(writer, action) for action in wanted))
    found = configs.parse(cluster.api.get(MAP)["data"]["config.yaml"])
    assert found == configs.parse(FOREIGN) | {k: v for action in wanted for k, v in action.configs.items()}
    assert told.count("update 200") <= 2
    assert set(told) == {"get 200", "update 200"}
    await client.close()


async def test_one_that_cannot_be_published_fails_alone(cluster: Cluster, writer: Writer) -> None:
    """A config whose name is taken for something else keeps those that go with it out of no ConfigMap."""
    *good, bad = _layouts(8)
    [taken] = bad.configs
    other = entries_of([GpuTarget(0, None, None, False)])
    text = configs.render({**configs.parse(FOREIGN), taken: other})
    _config_map(cluster, text)
    for first in (bad, good[0]):
        actions = [first, *(action for action in (*good, bad) if action is not first)]
        ends = await asyncio.gather(*(_do(writer, action) for action in actions), return_exceptions=True)
        failed = [action for action, end in zip(actions, ends, strict=True) if end is not None]
        assert failed == [bad]
        found = configs.parse(cluster.api.get(MAP)["data"]["config.yaml"])
        assert all(action.configs.items() <= found.items() for action in good)
        cluster.api.patch(MAP, {"data": {"config.yaml": text}})


async def test_publishing_to_no_map_is_a_conflict(cluster: Cluster, writer: Writer) -> None:
    """The controller never creates the ConfigMap."""
    with pytest.raises(RefusedError) as refused:
        await _do(writer, _publish())
    assert refused.value.status == 404


async def test_no_other_map_can_be_written(cluster: Cluster, writer: Writer) -> None:
    """The rights of the manifests cover our ConfigMap and not the operator's own."""
    with pytest.raises(RefusedError, match="forbidden"):
        await _do(writer, Publish("gpu-operator", "default-mig-parted-config", {NAME: SEVEN}))


async def test_a_pod_elsewhere_may_not_be_touched(cluster: Cluster, writer: Writer) -> None:
    """The right to annotate pods ends with the operator's namespace; a refusal is told apart from others."""
    cluster.pod("infer")
    with pytest.raises(UntouchableError, match="forbidden"):
        await _do(writer, TouchPod(cluster.namespace, "infer", "", "autoslicer.dev/published", "a@b"))


async def test_a_pod_is_touched_by_one_annotation(cluster: Cluster, writer: Writer) -> None:
    """mig-manager's pod gets our annotation and nothing else; another of the same name gets nothing."""
    cluster.gpu_node("gpu-a")
    [name] = [
        pod["metadata"]["name"]
        for pod in cluster.operands("gpu-a")
        if "mig-manager" in pod["metadata"]["name"]
    ]
    before = cluster.get_pod(f"gpu-operator/{name}")
    touch = TouchPod("gpu-operator", name, "another", "autoslicer.dev/published", "a@b")
    with pytest.raises(RefusedError) as refused:
        await _do(writer, touch)
    assert refused.value.conflict
    assert "annotations" not in cluster.get_pod(f"gpu-operator/{name}")["metadata"]
    await _do(writer, replace(touch, uid=before["metadata"]["uid"]))
    after = cluster.get_pod(f"gpu-operator/{name}")
    assert after["metadata"]["annotations"] == {"autoslicer.dev/published": "a@b"}
    assert after["spec"] == before["spec"]


async def test_an_admission_policys_no_is_no_conflict(cluster: Cluster, writer: Writer) -> None:
    """A pod that the policies of the manifests keep from us is not to be touched, now or later."""
    cluster.gpu_node("gpu-a")
    [other, *_] = [pod for pod in cluster.operands("gpu-a") if "mig-manager" not in pod["metadata"]["name"]]
    touch = TouchPod(
        "gpu-operator", other["metadata"]["name"], other["metadata"]["uid"], "autoslicer.dev/published", "a@b"
    )
    with pytest.raises(UntouchableError, match="denied"):
        await _do(writer, touch)
    with pytest.raises(RefusedError) as refused:
        await _do(writer, replace(touch, uid="another"))
    assert refused.value.conflict


def change(cluster: Cluster, number: int = 1) -> ReconfigurationRow:
    """A change of the node `gpu-a`, as a cycle makes it."""
    return ReconfigurationRow(
        name=f"gpu-a-{number}",
        uid="",
        resource_version="",
        created=NOON,
        node="gpu-a",
        node_uid=cluster.node("gpu-a")["metadata"]["uid"],
        policy="default",
        plan_digest="sha256:" + "0" * 64,
        source="all-7g.80gb",
        target=NAME,
        gpus=(GpuTarget(0, (("7g.80gb", 1),), (("1g.10gb", 7),), True), GpuTarget(1, None, None, False)),
        serves=("team-a/infer-3",),
        evicts=(),
        recovery=Recovery(pending_deadline=60.0),
        approved=True,
    )


async def test_a_change_is_created_once(cluster: Cluster, writer: Writer, cache: Cache, version: str) -> None:
    """The object says what was planned and belongs to its node; a second creator changes nothing."""
    planned = change(cluster)
    await _do(writer, CreateChange(planned))
    made = cluster.api.get(f"{paths.CHANGES}/gpu-a-1")
    row = reading.change(made)
    assert replace(row, uid="", resource_version="", created=NOON) == planned
    assert cache.changes.rows == {"gpu-a-1": row}
    assert made["metadata"]["labels"] == {"autoslicer.dev/policy": "default"}
    [owner] = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Node", "gpu-a", planned.node_uid)
    await _do(writer, CreateChange(replace(planned, serves=("team-b/other",))))
    [only] = cluster.api.list(paths.CHANGES)
    assert only["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_change_that_somebody_else_made_is_known_at_once(
    cluster: Cluster, client: Client, writer: Writer, cache: Cache, version: str
) -> None:
    """Where the name is taken the changes are listed anew, so that the next cycle plans with them."""
    theirs = Cache(client)
    await _do(Writer(client, theirs, Recorder(client, "other")), CreateChange(change(cluster)))
    assert cache.changes.rows == {}
    await _do(writer, CreateChange(replace(change(cluster), serves=("team-b/other",))))
    assert cache.changes.rows == theirs.changes.rows != {}


async def test_a_status_is_written_whole(
    cluster: Cluster, writer: Writer, cache: Cache, version: str
) -> None:
    """What the status no longer has is removed, and a status on an older state of the object is refused."""
    await _do(writer, CreateChange(change(cluster)))
    first = cache.changes.rows["gpu-a-1"]
    condition = Condition("Succeeded", "Unknown", "ChangeInProgress", "tainted", NOON)
    status = ChangeStatus("Tainted", NOON, NOON + 60, 1, (Step("Tainted", NOON, "taint"),), (condition,))
    await _do(writer, WriteChangeStatus("gpu-a-1", first.resource_version, status))
    row = cache.changes.rows["gpu-a-1"]
    assert row.status == status == reading.change(cluster.api.get(f"{paths.CHANGES}/gpu-a-1")).status
    ended = replace(status, phase="Done", deadline=None)
    with pytest.raises(RefusedError) as refused:
        await _do(writer, WriteChangeStatus("gpu-a-1", first.resource_version, ended))
    assert refused.value.conflict
    await _do(writer, WriteChangeStatus("gpu-a-1", row.resource_version, ended))
    assert "deadline" not in cluster.api.get(f"{paths.CHANGES}/gpu-a-1")["status"]
    assert cache.changes.rows["gpu-a-1"].status == ended


async def test_a_change_is_deleted_by_its_uid(
    cluster: Cluster, writer: Writer, cache: Cache, version: str
) -> None:
    """A later object of the same name is not deleted in its stead; one that is gone already is no error."""
    await _do(writer, CreateChange(change(cluster)))
    row = cache.changes.rows["gpu-a-1"]
    ended = replace(row.status, phase="Done", started=NOON, attempt=1)
    await _do(writer, WriteChangeStatus(row.name, row.resource_version, ended))
    uid = row.uid
    await _do(writer, DeleteChange("gpu-a-1", "another"), DeleteChange("gpu-a-7", "nobody"))
    assert len(cluster.api.list(paths.CHANGES)) == 1
    await _do(writer, DeleteChange("gpu-a-1", uid))
    assert cluster.api.list(paths.CHANGES) == []


def _policy_status(**more: Any) -> PolicyStatus:
    ready = Condition("Ready", "True", "Ready", "1 nodes are governed", NOON, 1)
    values = {
        "name": "default",
        "generation": 1,
        "conditions": (ready,),
        "governed": 1,
        "reshaping": 0,
        "pending": 2,
        "lacking": 1,
        "servable": 0,
        "quarantined": 0,
        "drifted": 0,
        "plan_digest": "sha256:" + "0" * 64,
        "plan_status": "Optimal",
        "plan_gap": 0.0,
        **more,
    }
    return PolicyStatus(**values)


async def test_a_policy_status_is_written_when_it_says_something_new(
    cluster: Cluster, writer: Writer, cache: Cache
) -> None:
    """Times and the snapshot's digest alone are no news; a count or a condition is."""
    spec = {"nodeSelector": {"matchLabels": {"a": "b"}}}
    policy = {"apiVersion": "autoslicer.dev/v1alpha1", "kind": "MigAutoscalingPolicy"}
    made = cluster.api.create(paths.POLICIES, {**policy, "metadata": {"name": "default"}, "spec": spec})
    cache.policies.apply("ADDED", made)
    await _do(writer, _policy_status())
    first = cluster.api.get(f"{paths.POLICIES}/default")
    assert first["status"]["pods"] == {"pending": 2, "lacking": 1, "servable": 0}
    assert cache.policies.object("default") == first
    later = Condition("Ready", "True", "Ready", "1 nodes are governed", NOON + 60, 1)
    await writer.carry_out([_policy_status(conditions=(later,), plan_digest="sha256:" + "1" * 64)], NOON + 60)
    assert cluster.api.get(f"{paths.POLICIES}/default") == first
    await _do(writer, _policy_status(pending=3))
    second = cluster.api.get(f"{paths.POLICIES}/default")
    assert second["status"]["pods"]["pending"] == 3
    assert second["spec"] == first["spec"]
    assert "finalizers" not in second["metadata"]


async def test_the_rest_is_dropped_at_the_first_failure(
    cluster: Cluster, writer: Writer, version: str
) -> None:
    """Actions in order lean on each other: after one that is refused none is done."""
    with pytest.raises(RefusedError):
        await _do(writer, AddTaint("gpu-a", "1", "1"), SetConfig("gpu-a", version, NAME))
    assert cluster.node("gpu-a")["metadata"]["resourceVersion"] == version
    await _do(writer, WakeAt(NOON), SetConfig("gpu-a", version, NAME))
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == NAME


async def test_an_event_that_is_refused_stops_nothing(cluster: Cluster, writer: Writer, version: str) -> None:
    """The taint goes although the namespace that the event belongs in is gone."""
    lost = Report("Pod", "no-such-namespace", "a", "u", "Warning", Reason.NoFeasibleLayout, "no")
    await _do(writer, lost, SetConfig("gpu-a", version, NAME))
    assert cluster.labels("gpu-a")["nvidia.com/mig.config"] == NAME


NAMES = ["../../api/v1/nodes/gpu-a", "a/status", "a?dryRun=All", "a#b", "a%2fstatus", "..", "", "a b", "ä"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_cannot_leave_its_collection(cluster: Cluster, account: Path, name: str) -> None:
    """Names come from the cluster; whatever is in them, no other path is asked for."""
    client = await connect(str(cluster.kubeconfig))
    with pytest.raises(RefusedError) as refused:
        await client.get(paths.one(paths.CHANGES, name))
    assert refused.value.status == 404
    assert repr(name) in str(refused.value) or f'"{name}" not found' in str(refused.value)
    await client.close()


async def _pending(cluster: Cluster) -> Object:
    key = cluster.pod("infer", {"1g.10gb": 1})
    await until(lambda: "conditions" in cluster.get_pod(key)["status"])
    return cluster.get_pod(key)


def _nominate(pod: Object, before: str = "", node: str = "gpu-a") -> Nominate:
    meta = pod["metadata"]
    return Nominate(meta["namespace"], meta["name"], meta["uid"], before, node)


async def test_a_nomination_changes_nothing_else(cluster: Cluster, writer: Writer, cache: Cache) -> None:
    """The hint is set, moved and taken back; nothing else of the pod changes, and the cache knows at once."""
    before = await _pending(cluster)
    key = f"{before['metadata']['namespace']}/infer"
    for action in (_nominate(before), _nominate(before, "gpu-a", "gpu-b"), _nominate(before, "gpu-b", "")):
        await _do(writer, action)
        after = cluster.get_pod(key)
        assert after["status"].pop("nominatedNodeName", "") == action.node == cache.pods.rows[key].nominated
        assert (after["spec"], after["status"]) == (before["spec"], before["status"])


@pytest.mark.parametrize("spoil", ["uid", "nominated", "bound", "gone"])
async def test_a_pod_that_has_changed_is_not_nominated(
    cluster: Cluster, writer: Writer, account: object, spoil: str
) -> None:
    """Another pod of the name, one with somebody else's hint, and one that is bound stay as they are."""
    pod = await _pending(cluster)
    action, key = _nominate(pod), f"{pod['metadata']['namespace']}/infer"
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/infer"
    match spoil:
        case "uid":
            action = replace(action, uid="another")
        case "nominated":
            cluster.api.patch(f"{path}/status", {"status": {"nominatedNodeName": "gpu-z"}})
        case "bound":
            cluster.plain_node("gpu-z")
            binding = {"metadata": {"name": "infer"}, "target": {"kind": "Node", "name": "gpu-z"}}
            cluster.api.create(f"{path}/binding", binding)
        case "gone":
            cluster.delete_pod(key)
    with pytest.raises(RefusedError) as refused:
        await _do(writer, action)
    assert refused.value.conflict
    if spoil != "gone":
        assert cluster.get_pod(key)["status"].get("nominatedNodeName", "") in ("", "gpu-z")


def _running(cluster: Cluster, name: str) -> Object:
    """A pod of that name with a label, running on a plain node."""
    if not cluster.exists("/api/v1/nodes/plain"):
        cluster.plain_node("plain")
    key = cluster.pod(name, terminationGracePeriodSeconds=0)
    cluster.api.patch(
        f"/api/v1/namespaces/{cluster.namespace}/pods/{name}", {"metadata": {"labels": {"app": "kept"}}}
    )
    cluster.wait_running([key])
    return cluster.get_pod(key)


def _leaver(pod: Object) -> Leaver:
    meta = pod["metadata"]
    return Leaver(meta["namespace"], meta["name"], meta["uid"])


def _evict(*pods: Object) -> Evict:
    return Evict(tuple(map(_leaver, pods)))


async def test_an_eviction_goes_by_the_uid(cluster: Cluster, writer: Writer, account: object) -> None:
    """Another pod of the same name stays; the one that is meant goes."""
    pod = _running(cluster, "tenant")
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/tenant"
    with pytest.raises(RefusedError) as refused:
        await _do(writer, Evict((replace(_leaver(pod), uid="another"),)))
    assert refused.value.conflict
    assert "deletionTimestamp" not in cluster.api.get(path)["metadata"]
    await _do(writer, _evict(pod))
    await until(lambda: not cluster.exists(path))


async def test_a_pod_that_an_admission_policy_keeps_stays(
    cluster: Cluster, writer: Writer, account: object
) -> None:
    """The policies of the manifests keep all in Kubernetes' own namespaces: no step fails by that."""
    path = "/api/v1/namespaces/kube-system/pods"
    spec = {"containers": [{"name": "main", "image": "pause"}]}
    pod = cluster.api.create(path, {"metadata": {"generateName": "kept-"}, "spec": spec})
    await _do(writer, _evict(pod))
    path = f"{path}/{pod['metadata']['name']}"
    assert "deletionTimestamp" not in cluster.api.get(path)["metadata"]
    cluster.api.delete(path)


async def test_a_disruption_budget_is_respected(cluster: Cluster, writer: Writer, account: object) -> None:
    """A pod that its budget keeps stays, is no failure, and is not asked for again at once."""
    pod = _running(cluster, "tenant")
    budget = {
        "metadata": {"name": "kept"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}},
    }
    cluster.api.create(f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets", budget)
    await _do(writer, _evict(pod))
    again = len(cluster.writes_of(USER))
    await _do(writer, _evict(pod))
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/tenant"
    assert "deletionTimestamp" not in cluster.api.get(path)["metadata"]
    assert len(cluster.writes_of(USER)) == again
    cluster.api.delete(f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets/kept")
    await writer.carry_out([_evict(pod)], NOON + 120)
    await until(lambda: not cluster.exists(path))


async def test_nobody_goes_in_vain(cluster: Cluster, writer: Writer, account: object) -> None:
    """Of pods that must all go none is evicted while one of them is kept; then they all are."""
    free, kept = _running(cluster, "free"), _running(cluster, "kept")
    base = f"/api/v1/namespaces/{cluster.namespace}/pods"
    cluster.api.patch(f"{base}/free", {"metadata": {"labels": {"app": "free"}}})
    budgets = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets"
    selector = {"matchLabels": {"app": "kept"}}
    for name in ("one", "another"):
        spec = {"minAvailable": 1, "selector": selector}
        cluster.api.create(budgets, {"metadata": {"name": name}, "spec": spec})
        # first a budget that gives no leave, then more of them than the API server deals with
        await writer.carry_out([_evict(free, kept)], NOON + (0 if name == "one" else 120))
        for pod in ("free", "kept"):
            assert "deletionTimestamp" not in cluster.api.get(f"{base}/{pod}")["metadata"]
    for name in ("one", "another"):
        cluster.api.delete(f"{budgets}/{name}")
    await writer.carry_out([_evict(free, kept)], NOON + 240)
    await until(lambda: not cluster.exists(f"{base}/free") and not cluster.exists(f"{base}/kept"))
