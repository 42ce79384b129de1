"""A short run of the chaos: a kill in every phase."""

from __future__ import annotations

from tests.chaos import report
from tests.chaos.agents import Agents
from tests.chaos.kills import AIMS, Killing
from tests.chaos.scene import PATIENT, Scene
from tests.cluster.fixture import Cluster


def test_the_controller_may_be_killed_in_every_phase(installed: None, cluster: Cluster) -> None:
    """After nine kills, one in every phase, every pod is served and every invariant holds."""
    soon = {**PATIENT, "pendingDeadlineSeconds": 15}
    with Scene(cluster, 3, **soon) as scene, Agents(scene, scene.nodes[:1]):
        outcome = Killing(scene, seed=2, wanted=9, each=1, say=print).run()
    print(report.of_kills(outcome))
    assert not outcome.violations, f"{outcome.violations[0]}\n{cluster.describe()}"
    assert set(outcome.histogram()) == set(AIMS)
