"""What an end-to-end test starts from: our resources and rights, and a controller to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.fixture import Cluster
from tests.e2e.controller import Controller, install


@pytest.fixture(scope="session")
def installed(running_cluster: Cluster) -> None:
    install(running_cluster)


@pytest.fixture
def controller(installed: None, cluster: Cluster) -> Iterator[Controller]:
    """A controller with short waits that is not started yet; it is killed before the cluster is emptied."""
    controller = Controller(
        cluster, {"AUTOSLICER_PUBLISH_SETTLE_SECONDS": "1", "AUTOSLICER_RETRY_BACKOFF_SECONDS": "1"}
    )
    yield controller
    controller.kill()


@pytest.fixture
def steady(installed: None, cluster: Cluster) -> Iterator[Controller]:
    """A controller that keeps its Lease on a busy machine, for tests that are not about losing it."""
    lease = {"LEASE_DURATION": "30", "RENEW_DEADLINE": "20", "RETRY_PERIOD": "2"}
    environment = {f"AUTOSLICER_{name}_SECONDS": seconds for name, seconds in lease.items()}
    steady = Controller(cluster, {"AUTOSLICER_PUBLISH_SETTLE_SECONDS": "1", **environment})
    yield steady
    steady.kill()
