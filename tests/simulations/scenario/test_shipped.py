"""The scenarios that come with autoslicer."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from simulations.scenario.load import load
from simulations.workload.source import jobs
from solver import geometry
from solver.profile_name import profile_of_resource

FOLDER = Path(str(resources.files("simulations").joinpath("scenarios")))
SHIPPED = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_asks_for_what_its_gpus_can_give(path: Path) -> None:
    """Everybody's first simulation is of a valid scenario, in which every pod could run on some node."""
    found = load(path)
    given = set[str]()
    for node in found.nodes:
        known = geometry.by_product(node.product)
        assert known is not None
        given |= known.names
    asked = {
        profile_of_resource(name) for job in jobs(found.workload) for name in job.requests if "mig-" in name
    }
    assert asked
    assert asked <= given


def test_there_are_scenarios_to_begin_with() -> None:
    """A generated morning, a mixed cluster under a policy, spot nodes, a trace, and no file beside them."""
    assert [path.stem for path in SHIPPED] == ["mixed", "morning", "spot", "trace"]
    assert {path.name for path in FOLDER.iterdir()} == {*(path.name for path in SHIPPED), "trace.jsonl"}
