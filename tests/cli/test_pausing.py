"""`autoslicer pause` and `resume`, with the rights of the roles that the docs name and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.conftest import Command, Ended
from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.e2e.controller import DEPLOY, NAMESPACE

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
RENEWED = "2026-11-20T12:00:00.000000Z"


@pytest.fixture
def as_kim(cluster: Cluster, autoslicer: Command) -> Iterator[Command]:
    """Run a command line as somebody who has nothing but the role to stop autoslicer; nobody led before."""
    plane = cluster.control_plane
    cluster.api.delete(f"{LEASES}/autoslicer")
    plane.apply(DEPLOY / "namespace.yaml", DEPLOY / "rbac-humans.yaml")
    plane.kubectl("create", "serviceaccount", "kim", "-n", NAMESPACE)
    bound = ("--role=autoslicer-stop", f"--serviceaccount={NAMESPACE}:kim")
    plane.kubectl("create", "rolebinding", "kim-stops", *bound, "-n", NAMESPACE)
    kubeconfig = plane.service_account(NAMESPACE, "kim")
    yield lambda *arguments: autoslicer(*arguments, "--kubeconfig", str(kubeconfig))
    plane.kubectl("delete", "rolebinding/kim-stops", "serviceaccount/kim", "-n", NAMESPACE)
    cluster.api.delete(f"{LEASES}/autoslicer")


def leader(cluster: Cluster) -> None:
    """Somebody leads."""
    body = {"metadata": {"name": "autoslicer"}, "spec": {"holderIdentity": "x", "renewTime": RENEWED}}
    cluster.api.create(LEASES, body)


def annotations(cluster: Cluster) -> dict[str, str]:
    lease: Object = cluster.api.get(f"{LEASES}/autoslicer")
    found: dict[str, str] = lease["metadata"].get("annotations") or {}
    return found


def test_pause_says_who_when_and_why(as_kim: Command, cluster: Cluster) -> None:
    """Once; the second who pauses is told of the first."""
    leader(cluster)
    first: Ended = as_kim("pause", "--reason", "new driver")
    assert (first.code, first.err) == (0, "")
    assert first.out == (
        "autoslicer in namespace autoslicer-system paused: no change starts until `autoslicer resume`\n"
    )
    said = annotations(cluster)["autoslicer.dev/paused"]
    assert said.endswith("Z by system:serviceaccount:autoslicer-system:kim: new driver")
    second = as_kim("pause")
    assert (second.code, second.out) == (0, "")
    assert f"is paused already, {said}" in second.err
    assert annotations(cluster) == {"autoslicer.dev/paused": said}


def test_resume_ends_a_pause_and_deals_with_failures(as_kim: Command, cluster: Cluster) -> None:
    """By the clock of the leader; it works without a pause, too, and says so."""
    leader(cluster)
    as_kim("pause")
    ended = as_kim("resume")
    assert (ended.code, ended.out) == (
        0,
        f"autoslicer in namespace autoslicer-system resumed; failures until {RENEWED} count no more\n",
    )
    assert annotations(cluster) == {"autoslicer.dev/resumed": RENEWED}
    again = as_kim("resume")
    assert (again.code, "(it was not paused)" in again.out) == (0, True)


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_where_nobody_leads_there_is_nothing_to_stop(as_kim: Command, command: str) -> None:
    """One sentence names the Lease and the option that is probably wrong."""
    ended = as_kim(command)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: there is no Lease autoslicer in namespace autoslicer-system: no controller has run there; "
        "--namespace tells where it runs\n"
    )


def test_without_the_role_nothing_is_stopped(as_kim: Command, cluster: Cluster) -> None:
    """The API server's refusal is one sentence."""
    leader(cluster)
    cluster.control_plane.kubectl("delete", "rolebinding/kim-stops", "-n", NAMESPACE)
    try:
        ended = as_kim("pause")
        assert (ended.code, ended.out) == (1, "")
        assert "forbidden" in ended.err
        assert annotations(cluster) == {}
    finally:
        bound = ("--role=autoslicer-stop", f"--serviceaccount={NAMESPACE}:kim")
        cluster.control_plane.kubectl("create", "rolebinding", "kim-stops", *bound, "-n", NAMESPACE)
