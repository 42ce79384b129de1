"""How the API server is found from inside a pod: what the kubelet mounts there, on the real API server."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
import yaml
from kubernetes.aio.config import incluster_config

from autoslicer.cluster import connection, paths
from autoslicer.cluster.client import RefusedError, UnreachableError
from autoslicer.cluster.connection import connect
from tests.cluster.fixture import Cluster
from tests.e2e.controller import NAMESPACE


@pytest.fixture
def mounted(account: Path, running_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a pod's service account, and the variables that name the API server; no kubeconfig."""
    config = yaml.safe_load(account.read_text())
    cluster = config["clusters"][0]["cluster"]
    if "certificate-authority-data" in cluster:
        (tmp_path / "ca.crt").write_bytes(b64decode(cluster["certificate-authority-data"]))
    else:
        (tmp_path / "ca.crt").write_bytes(Path(cluster["certificate-authority"]).read_bytes())
    (tmp_path / "token").write_text(config["users"][0]["user"]["token"])
    host, _, port = running_cluster.control_plane.server.removeprefix("https://").rpartition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(connection, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    return tmp_path


async def test_a_pod_connects_with_what_is_mounted(mounted: Path) -> None:
    """Without a kubeconfig the token, the CA and the address of the pod serve, with the account's rights."""
    client = await connect()
    assert (await client.get(paths.NODES))["kind"] == "NodeList"
    with pytest.raises(RefusedError, match=f"system:serviceaccount:{NAMESPACE}:autoslicer"):
        await client.get("/api/v1/secrets")
    await client.close()


async def test_a_token_that_was_renewed_is_taken_over(
    mounted: Path, running_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet renews the token within its hour: the old one is not used till it is refused."""
    token = (mounted / "token").read_text()
    (mounted / "token").write_text("expired")
    client = await connect()
    with pytest.raises(RefusedError, match="Unauthorized"):
        await client.get(paths.NODES)
    (mounted / "token").write_text(token)
    with pytest.raises(RefusedError, match="Unauthorized"):
        await client.get(paths.NODES)
    monkeypatch.setattr(connection, "RELOAD_SECONDS", 0.0)
    assert (await client.get(paths.NODES))["kind"] == "NodeList"
    await client.close()


async def test_a_token_that_cannot_be_read_for_a_while_stays(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last credentials go on where the file is empty or away; nothing ends for that."""
    monkeypatch.setattr(connection, "RELOAD_SECONDS", 0.0)
    client = await connect()
    (mounted / "token").write_text("")
    assert (await client.get(paths.NODES))["kind"] == "NodeList"
    (mounted / "token").unlink()
    assert (await client.get(paths.NODES))["kind"] == "NodeList"
    await client.close()


async def test_outside_of_a_pod_nothing_is_guessed(mounted: Path) -> None:
    """Neither a kubeconfig nor a token: one sentence says so."""
    (mounted / "token").unlink()
    with pytest.raises(UnreachableError, match="neither a kubeconfig nor a pod's service account is here"):
        await connect()
