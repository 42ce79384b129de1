"""What of a pod is not modelled."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core import reading
from autoslicer.core.reading.predicates import UNKNOWN_PREDICATES
from autoslicer.core.reasons import Reason
from tests.build import Builder, node, pod
from tests.core.scenes import planned, served, unserved

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
TERM = {"topologyKey": "zone", "labelSelector": {}}
PORT = [{"name": "c", "ports": [{"containerPort": 80}]}]
FREE_POD = pod("ns/x")


def volume(**source: Any) -> Builder:
    """A pod with one volume."""
    return FREE_POD.set("spec.volumes", [{"name": "v", **source}])


CASES: list[tuple[str, Builder, Builder]] = [
    # the predicate, a pod that has it, and its twin that has not
    (
        "podAffinity",
        FREE_POD.set("spec.affinity.podAffinity", {REQUIRED: [TERM]}),
        FREE_POD.set("spec.affinity.podAffinity", {PREFERRED: [{"weight": 1, "podAffinityTerm": TERM}]}),
    ),
    (
        "podAntiAffinity",
        FREE_POD.set("spec.affinity.podAntiAffinity", {REQUIRED: [TERM]}),
        FREE_POD.set("spec.affinity.podAntiAffinity", {PREFERRED: [{"weight": 1, "podAffinityTerm": TERM}]}),
    ),
    (
        "topologySpreadConstraints",
        FREE_POD.set(
            "spec.topologySpreadConstraints", [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
        ),
        FREE_POD.set(
            "spec.topologySpreadConstraints", [{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]
        ),
    ),
    ("persistentVolumeClaim", volume(persistentVolumeClaim={"claimName": "c"}), volume(emptyDir={})),
    ("persistentVolumeClaim", volume(ephemeral={"volumeClaimTemplate": {}}), volume(configMap={"name": "c"})),
    ("volumes", volume(csi={"driver": "d"}), volume(projected={"sources": []})),
    ("volumes", volume(awsElasticBlockStore={"volumeID": "v"}), volume(hostPath={"path": "/p"})),
    (
        "resourceClaims",
        FREE_POD.set("spec.resourceClaims", [{"name": "r"}]),
        FREE_POD.set("spec.resourceClaims", []),
    ),
    (
        "hostPorts",
        FREE_POD.set("spec.containers", [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]),
        FREE_POD.set("spec.containers", PORT),
    ),
    (
        "hostPorts",
        FREE_POD.set("spec.containers", PORT).set("spec.hostNetwork", True),
        FREE_POD.set("spec.hostNetwork", True),
    ),
    ("podGroup", FREE_POD.labels({"scheduling.x-k8s.io/pod-group": "g"}), FREE_POD.labels({"group": "g"})),
    (
        "podGroup",
        FREE_POD.annotations({"scheduling.k8s.io/group-name": "g"}),
        FREE_POD.annotations({"g": "g"}),
    ),
    (
        "podGroup",
        FREE_POD.labels({"kueue.x-k8s.io/pod-group-name": "g"}),
        FREE_POD.labels({"kueue.x-k8s.io/queue-name": "q"}),
    ),
    (
        "podGroup",
        FREE_POD.set("spec.schedulingGroup", {"podGroupName": "g"}),
        FREE_POD.set("spec.schedulingGroup", None),
    ),
    (
        "migLabels",
        FREE_POD.selector({"nvidia.com/mig.config": "all-1g.10gb"}),
        FREE_POD.selector({"nvidia.com/gpu.product": "x"}),
    ),
    (
        "migLabels",
        FREE_POD.affinity(
            {"matchExpressions": [{"key": "nvidia.com/mig-1g.10gb.count", "operator": "Exists"}]}
        ),
        FREE_POD.affinity({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}),
    ),
]


@pytest.mark.parametrize(("name", "having", "twin"), CASES)
def test_each_unknown_predicate(name: str, having: Builder, twin: Builder) -> None:
    """A constraint that is not modelled is named; the twin without it has none."""
    assert reading.pod(having.raw).unknown == (name,)
    assert reading.pod(twin.raw).unknown == ()


def test_every_documented_predicate_has_a_case() -> None:
    """The documented list is exactly what is found."""
    assert {name for name, _, _ in CASES} == set(UNKNOWN_PREDICATES)


def test_a_pod_with_an_unknown_predicate_is_promised_nothing() -> None:
    """It is told so, though slices are free; the pod beside it is served."""
    made = planned(
        node("a").gpus(1).config("all-1g.10gb"),
        pod("ns/x")
        .wants({"1g.10gb": 1})
        .set("spec.volumes", [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
        pod("ns/y").wants({"1g.10gb": 1}),
    )
    assert unserved(made) == {"ns/x": Reason.UnknownPredicate}
    assert "persistentVolumeClaim" in made.unserved[0].message
    assert served(made) == {"ns/y": "a"}
