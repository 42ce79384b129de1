"""The manifests in the real API server."""

from __future__ import annotations

import pytest

from tests.api.server import Kubectl
from tests.cluster.fixture import Cluster


@pytest.fixture(scope="session")
def kubectl(running_cluster: Cluster) -> Kubectl:
    return running_cluster.kubectl
