"""The played labeller of the GPU Operator gives `all-disabled` to a MIG node without a config."""

from __future__ import annotations

import pytest

from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until

CONFIG = "nvidia.com/mig.config"


@pytest.mark.parametrize("value", [None, ""], ids=["absent", "blank"])
def test_a_node_without_a_config(cluster: Cluster, value: str | None) -> None:
    """An absent or blank label becomes all-disabled; a name stays, and a plain node gets none."""
    cluster.played.knobs.mig_manager = False
    for name in ("loses-it", "keeps-it"):
        cluster.gpu_node(name)
    cluster.plain_node("plain")
    cluster.label("loses-it", {CONFIG: value})
    until(lambda: cluster.labels("loses-it").get(CONFIG) == "all-disabled", 10, cluster.describe)
    assert cluster.labels("keeps-it")[CONFIG] == "all-7g.80gb"
    assert CONFIG not in cluster.labels("plain")
