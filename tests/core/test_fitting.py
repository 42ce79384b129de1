"""The scheduler's predicates, each with a pod that it stops and a twin that it lets through."""

from __future__ import annotations

import pytest

from autoslicer.core import fitting, reading
from autoslicer.core.reasons import Reason
from tests.build import Node, Pod, change, node, pod
from tests.core.scenes import planned, served, snapshot, unserved

ZONE_A = node("a").labels({"zone": "a", "cpus": "16"})


def expression(key: str, operator: str, *values: str) -> dict[str, object]:
    """One expression of a node selector term."""
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("made", "selected"),
    [
        (pod("ns/x"), True),
        (pod("ns/x").selector({"zone": "a"}), True),
        (pod("ns/x").selector({"zone": "b"}), False),
        (pod("ns/x").affinity({"matchExpressions": [expression("zone", "In", "a", "b")]}), True),
        (pod("ns/x").affinity({"matchExpressions": [expression("zone", "NotIn", "a")]}), False),
        (pod("ns/x").affinity({"matchExpressions": [expression("cpus", "Gt", "8")]}), True),
        (pod("ns/x").affinity({"matchExpressions": [expression("cpus", "Lt", "8")]}), False),
        (pod("ns/x").affinity({"matchFields": [expression("metadata.name", "In", "a")]}), True),
        (pod("ns/x").affinity({"matchFields": [expression("metadata.name", "NotIn", "a")]}), False),
        # terms are ORed, expressions of a term are ANDed
        (
            pod("ns/x").affinity(
                {"matchExpressions": [expression("zone", "In", "b")]},
                {"matchExpressions": [expression("zone", "Exists")]},
            ),
            True,
        ),
        (
            pod("ns/x").affinity(
                {"matchExpressions": [expression("zone", "In", "a"), expression("gone", "Exists")]}
            ),
            False,
        ),
        (pod("ns/x").affinity({}), False),  # an empty term matches nothing
        (pod("ns/x").affinity(), False),
        (
            pod("ns/x")
            .selector({"zone": "a"})
            .affinity({"matchExpressions": [expression("zone", "In", "b")]}),
            False,
        ),
    ],
)
def test_node_selector_and_affinity(made: Pod, selected: bool) -> None:
    """Node selector and required node affinity must both hold."""
    assert fitting.selected(reading.pod(made.raw), reading.node(ZONE_A.raw)) is selected


TAINTED = node("a").taint("team", value="ml")


@pytest.mark.parametrize(
    ("where", "made", "comes"),
    [
        (TAINTED, pod("ns/x"), False),
        (TAINTED, pod("ns/x").tolerates("team"), True),
        (TAINTED, pod("ns/x").tolerates(), True),  # no key and Exists tolerates everything
        (TAINTED, pod("ns/x").tolerates("team", "Equal", "ml"), True),
        (TAINTED, pod("ns/x").tolerates("team", "", "ml"), True),  # Equal is the default
        (TAINTED, pod("ns/x").tolerates("team", "Equal", "web"), False),
        (TAINTED, pod("ns/x").tolerates("other"), False),
        (TAINTED, pod("ns/x").tolerates("team", effect="NoExecute"), False),
        (TAINTED, pod("ns/x").tolerates("team", effect="NoSchedule"), True),
        (TAINTED, pod("ns/x").tolerates("team", "Gt", "1"), False),  # an operator that is not known
        (node("a").taint("team", "NoExecute"), pod("ns/x"), False),
        (node("a").taint("team", "PreferNoSchedule"), pod("ns/x"), True),
        (TAINTED.taint("second"), pod("ns/x").tolerates("team"), False),
    ],
)
def test_taints(where: Node, made: Pod, comes: bool) -> None:
    """A taint that keeps pods away must be tolerated, by key, value and effect."""
    assert (fitting.untolerated(reading.pod(made.raw), reading.node(where.raw)) is None) is comes


def test_our_own_taint_stands_in_nobodys_way_while_a_change_is_live() -> None:
    """A pod may count on a change under way; on a node whose taint was left behind it is not placed."""
    tainted = node("a").gpus(1).config("all-7g.80gb").taint("autoslicer.dev/reshaping", value="1")
    live = change("a", [{"7g.80gb": 1}], [{"1g.10gb": 7}], phase="Labelled")
    waiting = pod("ns/x").wants({"1g.10gb": 1})
    assert served(planned(tainted, live, waiting)) == {"ns/x": "a"}
    assert unserved(planned(tainted, waiting)) == {"ns/x": Reason.TaintNotTolerated}


def test_what_is_left_of_a_node() -> None:
    """Allocatable minus what unfinished pods ask for, those too that are about to start or to go."""
    found = snapshot(
        node("a").gpus(1).config("all-1g.10gb"),
        pod("ns/b1").wants({"1g.10gb": 2}).resources({"cpu": "4"}).on("a"),
        pod("ns/b2").wants({"1g.10gb": 1}).on("a").phase("Pending"),
        pod("ns/b3").wants({"1g.10gb": 1}).on("a").deleting(),
        pod("ns/b4").wants({"1g.10gb": 1}).on("a").phase("Failed"),
        pod("ns/b5").wants({"1g.10gb": 1}).nominated("a"),
    )
    left = fitting.left(found, found.nodes["a"])
    assert fitting.slices(left) == {"1g.10gb": 2}
    assert (left["cpu"], left["pods"]) == (60_000, 106)


def test_a_live_change_counts_as_done() -> None:
    """Its node offers the target's slices, less those of the pods that it serves; ignored, it is nothing."""
    found = snapshot(
        node("a").gpus(2).config("all-7g.80gb"),
        change(
            "a",
            [{"7g.80gb": 1}] * 2,
            [{"1g.10gb": 7}, {"7g.80gb": 1}],
            phase="Tainted",
            serves=("ns/x", "ns/gone"),
        ),
        pod("ns/x").wants({"1g.10gb": 1}),
    )
    row = found.nodes["a"]
    assert fitting.slices(fitting.left(found, row)) == {"1g.10gb": 6, "7g.80gb": 1}
    assert fitting.slices(fitting.left(found, row, ignore_change="a-1")) == {"7g.80gb": 2}


@pytest.mark.parametrize(
    ("where", "made", "reason"),
    [
        (node("a"), pod("ns/x"), None),
        (node("a").not_ready(), pod("ns/x"), Reason.NotReady),
        (node("a").deleting(), pod("ns/x"), Reason.NotReady),
        (node("a").cordoned(), pod("ns/x"), Reason.Cordoned),
        (node("a"), pod("ns/x").resources({"cpu": "65"}), Reason.InsufficientResources),
        (node("a"), pod("ns/x").resources({"cpu": "64"}), None),
        (node("a"), pod("ns/x").resources({"example.com/nic": "1"}), Reason.InsufficientResources),
        (
            node("a").allocatable({"example.com/nic": "1"}),
            pod("ns/x").resources({"example.com/nic": "1"}),
            None,
        ),
        (TAINTED, pod("ns/x"), Reason.TaintNotTolerated),
        (node("a"), pod("ns/x").selector({"zone": "a"}), Reason.NodeAffinityMismatch),
        (node("a"), pod("ns/x").set("spec.resourceClaims", [{"name": "r"}]), Reason.UnknownPredicate),
    ],
)
def test_one_pod_on_one_node(where: Node, made: Pod, reason: Reason | None) -> None:
    """The first thing that stands in the way is the verdict; slices are not looked at."""
    found = snapshot(where, made)
    row = found.nodes["a"]
    verdict = fitting.fits(found.pods["ns/x"], row, fitting.left(found, row))
    assert (verdict and verdict.reason) == reason


def test_running_pods_repel_others() -> None:
    """A required anti-affinity of a running pod keeps matching pods of its namespace off its topology."""
    gpus = node("a").gpus(1).config("all-1g.10gb").labels({"zone": "1"})
    runs = pod("ns/r").repels({"app": "x"}, "zone").on("b")
    near = node("b").labels({"zone": "1"})
    wants = pod("ns/x").wants({"1g.10gb": 1}).labels({"app": "x"})
    assert unserved(planned(gpus, near, runs, wants)) == {"ns/x": Reason.NodeAffinityMismatch}
    assert served(planned(gpus, near.labels({"zone": "2"}), runs, wants)) == {"ns/x": "a"}
    assert served(planned(gpus, near, runs, wants.labels({"app": "y"}))) == {"ns/x": "a"}
    elsewhere = pod("other/x").wants({"1g.10gb": 1}).labels({"app": "x"})
    assert served(planned(gpus, near, runs, elsewhere)) == {"other/x": "a"}
    path = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    everywhere = runs.set(path, [{**runs.get(path)[0], "namespaceSelector": {}}])
    assert unserved(planned(gpus, near, everywhere, elsewhere)) == {"other/x": Reason.NodeAffinityMismatch}
