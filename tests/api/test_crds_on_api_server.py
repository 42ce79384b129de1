"""The CustomResourceDefinitions in the real API server: accepted, with defaults, columns and selectors."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from autoslicer.api.crds import crds_yaml
from autoslicer.api.validation import validate_policy
from tests.api.constraints import with_value
from tests.api.objects import FULL
from tests.api.server import CustomResources, Kubectl, refusal
from tests.api.strategies import policies
from tests.api.test_validation import MINIMAL, problems


@pytest.fixture(autouse=True)
def clean(resources: CustomResources) -> Iterator[None]:
    """Leave no object behind, whatever becomes of the test."""
    yield
    resources.clear()


def test_the_crds_apply_server_side_and_are_established(kubectl: Kubectl, resources: CustomResources) -> None:
    """`kubectl apply --server-side` takes the stream, and every CRD in it is established."""
    first = kubectl("apply", "--server-side", "-f", "-", stdin=crds_yaml())
    assert first.count("serverside-applied") == len(FULL)
    waited = kubectl("wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/name=autoslicer")
    assert waited.count("condition met") == len(FULL)


def test_a_minimal_policy_is_stored_with_every_default(resources: CustomResources) -> None:
    """The API server fills in the model's defaults at every depth, whether parents are given or not."""
    expected = validate_policy(MINIMAL).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert resources.create(MINIMAL)["spec"] == expected
    parents = {"layouts": {"configMap": {}}, "trigger": {}, "disruption": {}, "recovery": {}}
    assert resources.create({**MINIMAL, "spec": {**MINIMAL["spec"], **parents}})["spec"] == expected


@pytest.mark.parametrize("kind", FULL)
def test_a_full_object_is_stored_as_it_is(resources: CustomResources, kind: str) -> None:
    """No field of the models is unknown to the API server, nulls included."""
    whole = deepcopy(FULL[kind])
    if kind == "MigReconfiguration":
        whole["spec"]["gpus"][0]["from"] = None
    created = resources.create(whole, store=True)
    assert created.get("spec") == whole.get("spec")
    stored = resources.replace_status({**created, "status": whole["status"]}, store=True)
    assert stored["status"] == whole["status"]


@pytest.mark.parametrize("kind", FULL)
def test_a_create_carries_no_status(resources: CustomResources, kind: str) -> None:
    """A status comes through the status subresource alone, and that changes nothing else."""
    created = resources.create(FULL[kind], store=True)
    assert "status" not in created
    annotated = {**created, "status": FULL[kind]["status"]}
    annotated["metadata"] = {**created["metadata"], "labels": {"touched": "true"}}
    assert "labels" not in resources.replace_status(annotated)["metadata"]
    assert "status" not in resources.replace(annotated)


@pytest.mark.parametrize(
    ("name", "kind", "columns", "wide"),
    [
        (
            "migpolicy",
            "MigAutoscalingPolicy",
            ["READY", "MODE", "GOVERNED", "RESHAPING", "PENDING", "SERVABLE", "AGE"],
            ["True", "Auto", "true", "12", "1", "9", "5", "4", "Optimal"],
        ),
        (
            "migrc",
            "MigReconfiguration",
            ["NODE", "PHASE", "TO", "POLICY", "APPROVED", "AGE"],
            [
                *("gpu-07", "Applied", "all-balanced", "autoslicer-6b1f0c2a", "default"),
                *("false", "true", "InForce"),
            ],
        ),
        ("mignode", "MigNode", ["DRIVER", "OBSERVED", "AGE"], ["580.95.05"]),
    ],
)
def test_kubectl_get_shows_what_matters(
    resources: CustomResources, kubectl: Kubectl, name: str, kind: str, columns: list[str], wide: list[str]
) -> None:
    """The short name works, the table has its columns, and `-o wide` shows the values of all."""
    created = resources.create(FULL[kind], store=True)
    resources.replace_status({**created, "status": FULL[kind]["status"]}, store=True)
    assert kubectl("get", name).splitlines()[0].split() == ["NAME", *columns]
    [row] = kubectl("get", name, "-o", "wide", "--no-headers").splitlines()
    assert row.split()[: len(wide) + 1] == [FULL[kind]["metadata"]["name"], *wide]
    assert FULL[kind]["metadata"]["name"] in kubectl("get", "autoslicer")


def test_changes_are_found_by_their_node(resources: CustomResources, kubectl: Kubectl) -> None:
    """The changes of one node are selected by the API server, and no others."""
    for node in ("node-a", "node-b"):
        change = with_value(FULL["MigReconfiguration"], ("spec", "node", "name"), node)
        resources.create({**change, "metadata": {"name": f"{node}-1"}}, store=True)
    found = kubectl("get", "migrc", "--field-selector", "spec.node.name=node-a", "-o", "name")
    assert found.split() == ["migreconfiguration.autoslicer.dev/node-a-1"]
    assert len(kubectl("get", "migrc", "-o", "name").split()) == 2


def test_kubectl_explains_a_field(kubectl: Kubectl) -> None:
    """The descriptions of the models are what `kubectl explain` shows."""
    explained = kubectl("explain", "migpolicy.spec.trigger.pendingSeconds")
    assert "How long a pod must be unschedulable before it counts as demand." in explained


@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(whole=policies())
def test_a_file_is_judged_as_the_api_server_would(resources: CustomResources, whole: dict[str, Any]) -> None:
    """`validate_policy` accepts a policy exactly where the API server, told to be strict, does."""
    answer = refusal(lambda: resources.create(whole))
    event("refused" if answer else "accepted")
    assert bool(problems(whole)) == (answer is not None), answer
