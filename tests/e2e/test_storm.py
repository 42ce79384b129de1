"""A storm of demand that nothing can serve, and one that changes its mind."""

from __future__ import annotations

from benchmarks.storm import ENVIRONMENT, storm, table
from tests.cluster.fixture import Cluster
from tests.e2e.controller import Controller


def test_a_short_storm_moves_little_and_harms_nobody(cluster: Cluster, installed: None) -> None:
    """Budget, cooldown and pace hold, others are served, memory and cycles stay flat."""
    controller = Controller(cluster, ENVIRONMENT)
    try:
        figures = storm(cluster, controller, pods=300, seconds=20)
    finally:
        controller.kill()
    print(table(figures))
    assert figures.violations == []
    assert figures.changes
