"""The chaos needs what the end-to-end tests need: our resources and rights in the test cluster."""

from __future__ import annotations

import pytest

from tests.cluster.fixture import Cluster
from tests.e2e.controller import install


@pytest.fixture(scope="session")
def installed(running_cluster: Cluster) -> None:
    install(running_cluster)
