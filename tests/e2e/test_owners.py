"""Others who have a hand on a node: what they say is obeyed, and what they must not do meanwhile is said."""

from __future__ import annotations

from typing import Any

from autoslicer.core import names
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy

DOWN, DISRUPT = names.DO_NOT_DISRUPT
TAKEN = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1795176000", "effect": "NoSchedule"}


def annotations(cluster: Cluster) -> dict[str, Any]:
    return dict(cluster.node("gpu-a")["metadata"].get("annotations", {}))


def test_autoscalers_are_kept_off_while_a_node_changes(cluster: Cluster, steady: Controller) -> None:
    """The mark that was missing comes with the taint and goes at the end; the other one stays as it was.

    Marks that an earlier life of the controller left behind go at the start.
    """
    cluster.gpu_node("gpu-a")
    configure(cluster)
    theirs = {**annotations(cluster), DISRUPT: "false"}
    left_behind = {DISRUPT: "false", DOWN: "true", names.MARKS: DOWN}
    cluster.api.patch("/api/v1/nodes/gpu-a", {"metadata": {"annotations": left_behind}})
    policy(cluster)
    steady.start()
    until(lambda: annotations(cluster) == theirs, 20, cluster.describe)
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: names.TAINT in cluster.taints("gpu-a"), 20, cluster.describe)
    found = annotations(cluster)
    assert (found[DISRUPT], found[DOWN], found[names.MARKS]) == ("false", "true", DOWN)
    cluster.wait_running([pod])
    until(lambda: phases(changes(cluster)[0])[-1] == "Done", 20, cluster.describe)
    label = cluster.labels("gpu-a")[names.MIG_CONFIG]
    assert annotations(cluster) == {**theirs, names.APPLIED_CONFIG: label}


def test_a_node_that_an_autoscaler_takes_away_is_left_alone(cluster: Cluster, steady: Controller) -> None:
    """Nothing is planned for it, until the autoscaler thinks better of it."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    cluster.api.patch("/api/v1/nodes/gpu-a", {"spec": {"taints": [TAKEN]}})
    policy(cluster)
    steady.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    cluster.wait_unschedulable([pod])
    until(lambda: steady.metric("refusals_total", reason="NodeLeaving") > 0, 20, cluster.describe)
    cluster.watch_for(lambda: changes(cluster) == [], 4)
    cluster.api.patch("/api/v1/nodes/gpu-a", {"spec": {"taints": []}})
    cluster.wait_running([pod])
