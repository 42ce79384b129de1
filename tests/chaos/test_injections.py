"""A short run of the faults: some of them, on two nodes each."""

from __future__ import annotations

from tests.chaos import report
from tests.chaos.agents import Agents
from tests.chaos.faults import FAULTS
from tests.chaos.injections import Injecting
from tests.chaos.scene import PATIENT, Scene
from tests.cluster.fixture import Cluster

CHEAP = ("stale success", "our taint taken away after the label", "node NotReady in the run")


def test_faults_leave_nothing_behind(installed: None, cluster: Cluster) -> None:
    """Every pod is served in the end and every invariant holds, with an agent and without one."""
    with Scene(cluster, 2, **PATIENT) as scene, Agents(scene, scene.nodes[:1]):
        rows = Injecting(scene, times=2, say=print).run(f for f in FAULTS if f.name in CHEAP)
    print(report.of_faults(rows))
    assert [(row.fault, len(row.injections)) for row in rows] == [
        (f.name, 2) for f in FAULTS if f.name in CHEAP
    ]
    assert not [violation for row in rows for violation in row.violations]
    assert all(found.by for row in rows for found in row.injections)


def test_the_catalogue_names_each_fault_once() -> None:
    """The tables go by these names."""
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
