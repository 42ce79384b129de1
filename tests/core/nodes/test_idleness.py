"""Why a node or a GPU counts as in use, in words."""

from __future__ import annotations

import pytest

from autoslicer.core.nodes.idleness import in_use
from autoslicer.core.planner import plan
from autoslicer.core.reasons import Reason
from autoslicer.core.snapshot import read
from tests.build import NOON, Builder, dump, mignode, node, pod
from tests.core.scenes import POLICIES, planned, refusals, snapshot

FULL = {"7g.80gb": 1}
TWO = node("a").gpus(2).config("all-7g.80gb")
RUNS = pod("ns/b").wants(FULL).on("a")
AGENT = mignode("a").gpu(FULL, pods={"7g.80gb": ["ns/b"]}).gpu(FULL)
BLIND = mignode("a").gpu(FULL).gpu(FULL)


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([], ""),
        ([RUNS], "no agent tells which"),
        ([AGENT, RUNS], ""),
        ([BLIND, RUNS], "on no instance that the agent lists"),
        ([AGENT, RUNS.wants({"7g.80gb": 2})], "on no instance"),
        ([AGENT, RUNS.resources({"nvidia.com/gpu": "1"})], "on no instance"),
        ([AGENT, RUNS.on("a", at=NOON)], "bound after the agent looked"),
        ([AGENT.observed(NOON - 1000), RUNS.on("a", at=NOON - 2000)], "no agent tells which"),
        ([AGENT, RUNS, pod("ns/p").wants(FULL).nominated("a")], "nominated to the node"),
        ([AGENT, RUNS, pod("ns/p").resources({"cpu": "1"}).nominated("a")], ""),
        ([AGENT, RUNS, pod("ns/h").set("spec.runtimeClassName", "nvidia").on("a")], "without asking"),
    ],
)
def test_why_a_whole_node_is_in_use(objects: list[Builder], said: str) -> None:
    """A pod whose GPU is not known makes every GPU of its node in use; nothing else does."""
    why = in_use(snapshot(TWO, *objects), "a", NOON).node
    assert said in why
    assert bool(said) == bool(why)


def test_which_gpu_is_in_use() -> None:
    """The one with the instance that a pod holds, by its name."""
    used = in_use(snapshot(TWO, AGENT, RUNS), "a", NOON)
    assert "ns/b" in used.of(0)
    assert used.of(1) == ""


def test_two_pods_on_one_instance_are_told_by_the_count() -> None:
    """Where pods ask for more than the busy GPUs hold, the idle ones are not all free, and none changes."""
    gpus = AGENT.get("status.gpus")
    gpus[0]["instances"][0]["pods"] = ["ns/b", "ns/c"]
    shared = AGENT.set("status.gpus", gpus)
    waits = pod("ns/w").wants({"1g.10gb": 1})
    second = pod("ns/c").wants(FULL).on("a")
    assert refusals(planned(TWO, shared, RUNS, second, waits)) == {"a": Reason.LayoutDrift}
    assert planned(TWO, shared, RUNS, waits).reshapes


def test_an_unreadable_pod_hides_what_is_free() -> None:
    """Nobody is promised a slice of a node on which a pod cannot be read; without that pod it is."""
    ready = node("a").gpus(1).config("all-1g.10gb")
    waits = pod("ns/w").wants({"1g.10gb": 1})
    broken = pod("ns/b").wants({"1g.10gb": 7}).on("a").set("spec.priority", "high")
    hidden = read(dump(ready, waits, broken))
    assert in_use(hidden, "a", NOON).node
    assert plan(hidden, POLICIES, NOON).served == ()
    assert len(plan(read(dump(ready, waits)), POLICIES, NOON).served) == 1
