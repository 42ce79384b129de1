"""The clusters of the benchmarks: reproducible, and true to what the product reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from autoslicer.core.demand import demand
from autoslicer.core.planner import plan
from autoslicer.core.policy import BUILT_IN
from autoslicer.core.reasons import Reason
from autoslicer.core.snapshot import read
from benchmarks.generate import document
from benchmarks.objects import PADDED_BYTES
from benchmarks.scenarios import SCENARIOS, Size, size

SMALL = Size(12, 60)


def _written(*arguments: str, hash_seed: str = "0") -> bytes:
    command = [sys.executable, "-m", "benchmarks.generate", *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}
    ).stdout


def test_the_same_seed_gives_the_same_bytes() -> None:
    """A dump depends on its arguments alone; another seed gives another one."""
    first = _written("selectors", "--size", "5/40", "--seed", "3", hash_seed="1")
    assert first == _written("selectors", "--size", "5/40", "--seed", "3", hash_seed="2")
    assert first != _written("selectors", "--size", "5/40", "--seed", "4")


@pytest.mark.parametrize("agents", [True, False])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_cluster_is_understood_whole(name: str, agents: bool) -> None:
    """Nothing is skipped, every pending pod is demand, and no node is refused but for being in use."""
    snapshot = read(document(SCENARIOS[name], SMALL, 1, agents=agents))
    assert (len(snapshot.nodes), snapshot.skipped, snapshot.ignored) == (SMALL.nodes, (), {})
    assert len(demand(snapshot, waiting=True).pods) == SMALL.pods
    made = plan(snapshot, {BUILT_IN.name: BUILT_IN}, snapshot.newest, effort=1)
    assert {refusal.reason for refusal in made.refusals} <= {Reason.GpuBusy, Reason.NodeBusy}
    assert len(made.refusals) < SMALL.nodes


def test_without_agents_a_node_in_use_is_closed() -> None:
    """The same kind of cluster has far more GPUs that may change where agents tell which ones are idle."""

    def refused(agents: bool) -> int:
        snapshot = read(document(SCENARIOS["underload"], Size(20, 20), 1, agents=agents))
        return len(plan(snapshot, {BUILT_IN.name: BUILT_IN}, snapshot.newest, effort=1).refusals)

    assert refused(agents=False) == 17  # all but the 15 % that nothing runs on
    assert refused(agents=True) <= 2


def test_padded_objects_weigh_as_much_as_live_ones() -> None:
    """Nodes and pods come to about 8 kB each, and the plan is that of the slim dump."""
    scenario = SCENARIOS["underload"]
    heavy, slim = (document(scenario, Size(3, 10), 1, padded=padded) for padded in (True, False))
    for item in heavy["items"]:
        weight = len(json.dumps(item, separators=(",", ":")))
        assert weight > 0.98 * PADDED_BYTES
        assert item["kind"] == "MigNode" or weight <= PADDED_BYTES
    policies = {BUILT_IN.name: BUILT_IN}
    plans = [plan(read(each), policies, read(each).newest) for each in (heavy, slim)]
    assert plans[0] == plans[1]


def test_a_size_is_nodes_or_nodes_and_pods() -> None:
    """A scenario knows its load; a number of pods that is named counts instead; anything else is refused."""
    scenario = SCENARIOS["overload"]
    assert (size("10", scenario), size("10/5", scenario)) == (Size(10, 200), Size(10, 5))
    for wrong in ("", "10/", "x", "0/5", "10/-1", "1/2/3"):
        with pytest.raises(ValueError, match="NODES or NODES/PODS"):
            size(wrong, scenario)
