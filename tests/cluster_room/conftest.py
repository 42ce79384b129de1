"""Our own client with our own rights, on the real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from autoslicer.cluster.client import Client
from autoslicer.cluster.connection import connect
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.fixture import Cluster
from tests.cluster.proxy import Proxy
from tests.e2e.controller import NAMESPACE, install


@pytest.fixture(scope="session")
def account(running_cluster: Cluster) -> Path:
    """The kubeconfig of the controller's ServiceAccount, with the rights of the manifests."""
    install(running_cluster)
    return running_cluster.control_plane.service_account(NAMESPACE, "autoslicer")


@pytest.fixture
async def client(account: Path) -> AsyncIterator[Client]:
    found = await connect(str(account))
    yield found
    await found.close()


@pytest.fixture
def proxy(running_cluster: Cluster) -> Iterator[Proxy]:
    """A proxy in front of the API server."""
    found = Proxy(running_cluster.control_plane.server)
    yield found
    found.close()


@pytest.fixture
def faults(running_cluster: Cluster) -> Iterator[FaultProxy]:
    """A proxy that passes everything on until it is told otherwise."""
    found = FaultProxy(running_cluster.control_plane.server, running_cluster.control_plane.pki.directory)
    yield found
    found.close()
