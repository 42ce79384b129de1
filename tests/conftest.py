"""The real cluster for tests: started once per run, emptied after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.fixture import Cluster


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    yield running_cluster
    running_cluster.reset()
