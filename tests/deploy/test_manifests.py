"""What `kubectl apply -k deploy` installs: accepted to the letter, restricted, and with no right too many."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoslicer import __version__
from autoslicer.api.policy import ConfigMapReference
from autoslicer.api.validation import validate_policy
from tests.api.server import Kubectl

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = sorted(path for path in DEPLOY.rglob("*.yaml") if path.name != "kustomization.yaml")
EXAMPLES = sorted(DEPLOY.glob("examples/*.yaml"))
STRICT = ("--dry-run=server", "--validate=strict")
ACCOUNT = "system:serviceaccount:autoslicer-system:autoslicer"


def relative(path: Path) -> str:
    return str(path.relative_to(DEPLOY))


def loaded(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl) -> None:
    """Install all but the controller itself: the CRDs, the namespace, the account and its rights."""
    for name in ("crds", "namespace.yaml", "serviceaccount.yaml"):
        kubectl("apply", "--server-side", "-f", str(DEPLOY / name))
    for path in DEPLOY.glob("rbac-*.yaml"):
        kubectl("apply", "--server-side", "-f", str(path))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("path", MANIFESTS, ids=relative)
def test_the_api_server_takes_every_manifest_to_the_letter(kubectl: Kubectl, path: Path) -> None:
    """A strict server-side dry run knows every field of the manifest."""
    documents = [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    answer = kubectl("apply", *STRICT, "-f", str(path))
    assert answer.count("(server dry run)") == len(documents)


@pytest.mark.usefixtures("installed")
def test_a_misspelt_field_would_not_pass(kubectl: Kubectl) -> None:
    """The same dry run refuses a manifest with a field that does not exist."""
    misspelt = (
        (DEPLOY / "deployment.yaml").read_text(encoding="utf-8").replace("runAsNonRoot", "runAsNonroot")
    )
    with pytest.raises(subprocess.CalledProcessError) as caught:
        kubectl("apply", *STRICT, "-f", "-", stdin=misspelt)
    assert "runAsNonroot" in caught.value.stderr


@pytest.mark.usefixtures("installed")
def test_one_command_installs_everything(kubectl: Kubectl) -> None:
    """The kustomization lists every manifest but the examples, and applies as a whole."""
    [kustomization] = loaded("kustomization.yaml")
    listed = {DEPLOY / name for name in kustomization["resources"]}
    assert listed == set(MANIFESTS) - set(EXAMPLES)
    objects = sum(len(list(yaml.safe_load_all(path.read_text(encoding="utf-8")))) for path in listed)
    answer = kubectl("apply", "--server-side", "-k", str(DEPLOY), *STRICT)
    assert answer.count("serverside-applied (server dry run)") == objects


@pytest.mark.parametrize("path", EXAMPLES, ids=relative)
def test_an_example_is_a_valid_policy(path: Path) -> None:
    """The examples hold policies that the command line accepts, and the first one recommends only."""
    assert validate_policy(yaml.safe_load(path.read_text(encoding="utf-8"))).spec.mode == "Recommend"


def pod_of_the_deployment() -> dict[str, Any]:
    [deployment] = loaded("deployment.yaml")
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "name": "probe", "namespace": "autoslicer-system"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.usefixtures("installed")
def test_the_pod_meets_the_restricted_standard(kubectl: Kubectl) -> None:
    """The namespace enforces the restricted Pod Security Standard, and the controller's pod is admitted."""
    answer = kubectl("create", *STRICT, "-f", "-", stdin=json.dumps(pod_of_the_deployment()))
    assert "pod/probe created" in answer


@pytest.mark.usefixtures("installed")
def test_a_pod_with_more_rights_would_not_be_admitted(kubectl: Kubectl) -> None:
    """The same pod without its container's security context is refused by the namespace."""
    pod = pod_of_the_deployment()
    del pod["spec"]["containers"][0]["securityContext"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        kubectl("create", *STRICT, "-f", "-", stdin=json.dumps(pod))
    assert 'violates PodSecurity "restricted' in caught.value.stderr


READ = {"get", "list", "watch"}
EVERYWHERE = {
    ("nodes", ""): READ | {"patch"},
    ("pods", ""): READ,
    ("pods/status", ""): {"patch"},
    ("pods/eviction", ""): {"create"},
    ("resourceslices.resource.k8s.io", ""): {"list", "watch"},
    ("migautoscalingpolicies.autoslicer.dev", ""): READ,
    ("migautoscalingpolicies.autoslicer.dev/status", ""): {"patch"},
    ("migreconfigurations.autoslicer.dev", ""): READ | {"create", "delete"},
    ("migreconfigurations.autoslicer.dev/status", ""): {"patch"},
    ("mignodes.autoslicer.dev", ""): READ,
    ("events.events.k8s.io", ""): {"create"},
}
RIGHTS = {
    "default": EVERYWHERE,
    "autoslicer-system": {
        **EVERYWHERE,
        ("leases.coordination.k8s.io", ""): {"create"},
        ("leases.coordination.k8s.io", "autoslicer"): {"get", "update"},
    },
    "gpu-operator": {
        **EVERYWHERE,
        ("pods", ""): READ | {"patch", "delete"},
        ("configmaps", ""): READ,
        ("configmaps", "autoslicer-mig-parted-config"): {"update"},
    },
}
"""Everything that the controller may do, by namespace."""


def rights(kubectl: Kubectl, account: str, namespace: str) -> dict[tuple[str, str], set[str]]:
    """Return (resource, name) -> verbs, as the API server's own authorizer lists them for the account."""
    found: dict[tuple[str, str], set[str]] = {}
    listed = kubectl("auth", "can-i", "--list", "--no-headers", f"--as={account}", "-n", namespace)
    for line in listed.splitlines():
        match = re.fullmatch(r"(\S+)\s+\[\]\s+\[(\S*)\]\s+\[(.*)\]", line.strip())
        if match:
            found.setdefault((match[1], match[2]), set()).update(match[3].split())
    return found


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("namespace", RIGHTS)
def test_the_controller_has_the_rights_that_it_uses_and_no_other(kubectl: Kubectl, namespace: str) -> None:
    """Beside what every account may do, the controller may do exactly what it does, each in its namespace."""
    everyones = rights(kubectl, "system:serviceaccount:autoslicer-system:somebody", namespace)
    its = rights(kubectl, ACCOUNT, namespace)
    assert {key: verbs for key, verbs in its.items() if key not in everyones} == RIGHTS[namespace]
    assert all(its[key] == verbs for key, verbs in everyones.items())


def test_the_writable_config_map_is_the_policys_default() -> None:
    """A policy that names no ConfigMap names the one that the controller may write."""
    role = loaded("rbac-gpu-operator.yaml")[0]
    [names] = [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule]
    default = ConfigMapReference()
    assert (role["metadata"]["namespace"], names) == (default.namespace, [default.name])


def test_the_service_finds_the_deployments_port() -> None:
    """The Service selects the controller's pods and points at a port that they have, as the probes do."""
    [service], [deployment] = loaded("service.yaml"), loaded("deployment.yaml")
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    probes = (container["livenessProbe"], container["readinessProbe"])
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert {probe["httpGet"]["port"] for probe in probes} <= ports


def test_the_image_is_of_this_version() -> None:
    """The Deployment runs the version that it came with."""
    [deployment] = loaded("deployment.yaml")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"autoslicer:{__version__}"
