"""The real cluster for tests: started once per run, emptied after each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.cluster.fixture import Cluster


@pytest.fixture(scope="session")
def running_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        failed = request.session.testsfailed > 0
        cluster.stop(keep_logs=failed)
        if failed:
            print(f"\nthe test cluster's logs are in {cluster.directory}", file=sys.stderr)


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    yield running_cluster
    running_cluster.reset()
