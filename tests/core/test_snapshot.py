"""Dumps as kubectl prints them."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core.snapshot import Snapshot, read
from autoslicer.core.times import rfc3339
from tests.build import NOON, change, dump, mignode, node, pod


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "not null"),
        ([], "not a list"),
        ("x", "not a string"),
        ({}, "without a kind"),
        ({"kind": "Pod", "metadata": {"name": "x"}}, "not 'Pod'"),
        ({"kind": 3}, "kind must be a string"),
        ({"kind": "List"}, "items must be a list"),
        ({"kind": "List", "items": {}}, "items must be a list"),
    ],
)
def test_what_is_no_list(document: Any, said: str) -> None:
    """Only a document that is no List is an error, said in one sentence."""
    with pytest.raises(ValueError, match=said) as caught:
        read(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("items", [[], None])
def test_a_list_without_items_is_an_empty_cluster(items: Any) -> None:
    """Nothing is in it, and that is no error; Go prints an empty list as null."""
    assert read({"kind": "List", "apiVersion": "v1", "items": items}) == Snapshot()


def test_typed_lists_are_read() -> None:
    """The items of a NodeList need no kind of their own, as `kubectl get --raw` prints them."""
    raw = {key: value for key, value in node("a").raw.items() if key not in ("kind", "apiVersion")}
    assert list(read({"kind": "NodeList", "apiVersion": "v1", "items": [raw]}).nodes) == ["a"]


def test_other_kinds_are_counted() -> None:
    """Kinds that are not read are counted; a Node or Pod of another API group is one of them."""
    longhorn = {"kind": "Node", "apiVersion": "longhorn.io/v1beta2", "metadata": {"name": "a"}}
    service = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}}
    found = read({"kind": "List", "items": [longhorn, service, service, node("b").raw]})
    assert found.ignored == {"Node": 1, "Service": 2}
    assert list(found.nodes) == ["b"]


def test_malformed_objects_are_skipped_with_a_sentence() -> None:
    """Each of them is named with its field; the others are read."""
    found = read(dump(pod("ns/bad").set("spec.priority", "high"), pod("ns/good")))
    assert found.skipped == ("Pod ns/bad: spec.priority must be a whole number, not a string",)
    assert list(found.pods) == ["ns/good"]


def test_an_object_that_is_listed_twice_is_told() -> None:
    """The last one counts."""
    found = read(dump(node("a"), node("a").cordoned()))
    assert found.nodes["a"].unschedulable
    assert found.skipped == ("Node a is listed more than once; the last one counts",)


def test_the_newest_timestamp() -> None:
    """Creation, conditions, observations and steps count; deletion times lie ahead and do not."""
    assert read(dump(node("a"))).newest == NOON
    assert read(dump(mignode("a").observed(NOON + 5))).newest == NOON + 5
    assert read(dump(pod("ns/x").unschedulable(NOON + 3), node("a"))).newest == NOON + 3
    assert read(dump(node("a"), pod("ns/x").deleting(NOON + 3600))).newest == NOON
    assert read(dump(pod("ns/x").untried().created(NOON - 7))).newest == NOON - 7
    assert read({"kind": "List", "items": []}).newest == 0


def test_who_holds_something_on_a_node() -> None:
    """Bound pods that have not ended and pods nominated by others; not those that a change of ours serves."""
    ours = change("a", [None], [None], serves=("ns/ours",))
    found = read(
        dump(
            ours,
            pod("ns/runs").on("a"),
            pod("ns/starts").on("a").phase("Pending"),
            pod("ns/leaves").on("a").deleting(),
            pod("ns/done").on("a").phase("Succeeded"),
            pod("ns/preempts").nominated("a"),
            pod("ns/ours").nominated("a"),
            pod("ns/waits"),
        )
    )
    keys = {tenant.key for tenant in found.tenants["a"]}
    assert keys == {"ns/runs", "ns/starts", "ns/leaves", "ns/preempts"}
    assert set(found.tenants) == {"a"}


def test_a_nomination_is_ours_only_for_a_while() -> None:
    """A change that ended long ago hides no nomination by the scheduler; one that ended lately does."""
    steps = [{"phase": "Done", "at": rfc3339(NOON), "message": ""}]
    done = change("a", [None], [None], phase="Done", serves=("ns/x",)).set("status.steps", steps)
    there = (pod("ns/x").nominated("a"), done)
    for later, held in ((299, []), (300, ["ns/x"])):
        found = read(dump(*there, mignode("b").observed(NOON + later)))
        assert [tenant.key for tenant in found.tenants.get("a", ())] == held
    running = there[1].set("status", {"phase": "Verified", "steps": steps})
    assert not read(dump(there[0], running, mignode("b").observed(NOON + 9000))).tenants


def test_the_changes_of_a_node_are_in_their_order() -> None:
    """The tenth comes after the ninth."""
    found = read(dump(change("a", [None], [None], number=10), change("a", [None], [None], number=9)))
    assert [one.name for one in found.history["a"]] == ["a-9", "a-10"]
