"""The controller is killed in the middle of a change."""

from __future__ import annotations

import pytest

from autoslicer.core.phases import FINAL, Phase
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, phases, policy

IN_ORDER = [phase for phase in Phase if phase not in (*FINAL, Phase.ROLLING_BACK)]


@pytest.mark.parametrize("phase", IN_ORDER)
def test_a_kill_leaves_nothing_behind(cluster: Cluster, controller: Controller, phase: Phase) -> None:
    """After SIGKILL when a phase is seen, the next controller ends the change and the pods are served."""
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)
    controller.start()
    pods = [cluster.pod(f"infer-{n}", {"1g.10gb": 1}) for n in range(3)]
    until(lambda: _seen(cluster, phase), 30, cluster.describe, every=0.002)
    controller.kill()
    print(f"killed at {phase}; the change had got to {(phases(changes(cluster)[0]) or ['Waiting'])[-1]}")
    controller.start()
    cluster.wait_running(pods)
    until(lambda: _ended(cluster), 30, cluster.describe)
    assert cluster.taints("gpu-a") == []
    assert cluster.in_service("gpu-a"), cluster.describe("gpu-a")
    assert [phases(change)[-1] for change in changes(cluster)].count("Done") == 1


def _seen(cluster: Cluster, phase: Phase) -> bool:
    found = changes(cluster)
    if not found:
        return False
    reached = phases(found[0])
    return phase in reached if phase is not Phase.WAITING else True


def _ended(cluster: Cluster) -> bool:
    return all(phases(change)[-1:] in (["Done"], ["Cancelled"]) for change in changes(cluster))
