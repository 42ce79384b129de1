"""A cluster that is rebuilt from its dump is the cluster that it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core import configs, planner
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import live
from autoslicer.core.plan import Plan
from autoslicer.core.snapshot import Snapshot, read
from simulations.cluster import Cluster
from simulations.executor import Executor
from simulations.gpu import Gpu
from simulations.restoring import Restored, restore
from simulations.run import Outcome, run
from simulations.strategies.registry import STRATEGIES
from simulations.successor import evict
from simulations.workload.job import Job
from solver.profile_name import resource_name
from tests.build import config_map, dump, mig_manager, mignode, node, pod
from tests.simulations.dumping import dumped
from tests.simulations.test_run import scenario
from tests.simulations.worlds import A30, H100, Arrival, Machine, Scene, auto

MACHINES = st.lists(
    st.sampled_from(
        [
            Machine(H100, 2, "all-7g.80gb", 64, agent=True),
            Machine(H100, 1, "all-1g.10gb", 8, agent=True),
            Machine(H100, 2, "all-balanced", 64, agent=False),
            Machine(A30, 2, "all-1g.6gb", 64, agent=True),
            Machine(A30, 1, "all-4g.24gb", 8, agent=False),
        ]
    ),
    min_size=1,
    max_size=3,
).map(tuple)
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        st.integers(0, 240).map(float),
        st.sampled_from(("1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb", "1g.6gb", "2g.12gb")),
        st.sampled_from((1, 1, 2)),
        st.sampled_from((0, 4000)),
        st.sampled_from((0, 10)),
        st.sampled_from((20.0, 200.0, None, None)),
    ),
    min_size=1,
    max_size=10,
).map(tuple)
POLICY = auto(pending_seconds=0, batch_idle_seconds=0, batch_max_seconds=0, canary=False)


def brought(cluster: Cluster, moments: int) -> Executor:
    """The cluster's controller after so many moments, or at the end."""
    executor = Executor(cluster.world)
    for _ in islice(executor.moments(), moments):
        pass
    return executor


def planned(snapshot: Snapshot, cluster: Cluster, now: float) -> Plan:
    """What would be changed, without the digest of what no plan depends on."""
    return replace(planner.plan(snapshot, {cluster.policy.name: cluster.policy}, now), digest="")


def held(gpus: Mapping[str, Sequence[Gpu]]) -> dict[str, list[tuple[int, str, str]]]:
    """Of each node: (GPU, profile, holder) of every instance."""
    return {
        node: sorted((gpu.index, one.profile, one.holder) for gpu in found for one in gpu.instances or ())
        for node, found in gpus.items()
    }


def layouts(cluster: Cluster, node: str) -> list[object]:
    """Of each GPU."""
    return [gpu.layout for gpu in cluster.gpus[node]]


def seen(snapshot: Snapshot, node: str, cluster: Cluster) -> bool:
    """The node's agent sees its GPUs as they are."""
    agent = snapshot.mignodes.get(node)
    told = [] if agent is None else [i.pods for gpu in agent.gpus for i in gpu.instances]
    there = [one.holder for gpu in cluster.gpus[node] for one in gpu.instances or ()]
    return agent is not None and told == [(holder,) if holder else () for holder in there]


def by_pod(gpus: Mapping[str, Sequence[Gpu]], node: str) -> Counter[tuple[str, str]]:
    """How many instances of each profile each pod holds on a node."""
    return Counter(
        (one.profile, one.holder) for gpu in gpus[node] for one in gpu.instances or () if one.holder
    )


def again(cluster: Cluster) -> Restored:
    """The cluster rebuilt from its dump."""
    return restore(read(dumped(cluster.world.snapshot())), cluster.policy, cluster.pace)


@settings(max_examples=120, deadline=None)
@given(st.builds(Scene, st.just(POLICY), MACHINES, ARRIVALS), st.integers(4, 120))
def test_a_dumped_cluster_is_rebuilt(scene: Scene, moments: int) -> None:
    """A simulation of a dump begins with the offers, holders and plan of the cluster it was taken from."""
    cluster = scene.build()
    brought(cluster, moments)
    before = cluster.world.snapshot()
    restored = again(cluster)
    rebuilt = restored.cluster
    after = rebuilt.world.snapshot()

    changing = {change.node for change in before.changes.values() if live(change)}
    event(f"changes under way: {bool(changing)}")
    event(f"pods run: {restored.running > 0}, wait: {restored.waiting > 0}")
    assert {n.name: evidence.advertised(n) for n in after.nodes.values()} == {
        n.name: evidence.advertised(n) for n in before.nodes.values()
    }
    assert {pod.key: (pod.node, pod.phase) for pod in after.pods.values()} == {
        pod.key: (pod.node, pod.phase) for pod in before.pods.values() if not pod.finished
    }
    assert not notes(restored).keys() - {"changes are under way, which only autoslicer ends"}
    now = cluster.world.clock.now
    assert planned(after, rebuilt, now) == planned(before, cluster, now)
    assert rebuilt.gpus.keys() == cluster.gpus.keys() - (changing - rebuilt.gpus.keys())
    starting = {pod.node for pod in before.pods.values() if pod.node and pod.phase == "Pending"}
    event(f"a bound pod has yet to get its instances: {bool(starting)}")
    for name in sorted(rebuilt.gpus.keys() - changing - starting):
        event(f"a node with holders: {bool(by_pod(rebuilt.gpus, name))}")
        assert by_pod(rebuilt.gpus, name) == by_pod(cluster.gpus, name), "everybody holds what they held"
        assert layouts(rebuilt, name) == layouts(cluster, name)
        if seen(before, name, cluster):
            assert held(rebuilt.gpus)[name] == held(cluster.gpus)[name], "GPU by GPU"
    event(f"nodes in a change of which nothing is known: {bool(changing - rebuilt.gpus.keys())}")
    if changing <= rebuilt.gpus.keys():
        for at in Executor(rebuilt.world).moments():
            if at > now + 2000:
                break
        under_way = [name for name, change in before.changes.items() if live(change)]
        assert not any(live(rebuilt.world.changes[name]) for name in under_way), "it comes to its end"


def notes(restored: Restored) -> dict[str, int]:
    """What is otherwise here than in the dump, by the phrase for several."""
    return {note.several: count for note, count in restored.notes.items()}


def simulated(
    dump: dict[str, Any], *jobs: Job, strategy: str = "autoslicer", **policy: Any
) -> tuple[Outcome, Restored]:
    """What becomes of a dump under a policy that acts at once."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "dump.json"
        file.write_text(json.dumps(dump))
        found = replace(scenario((), **policy), snapshot=file)
        outcome = run(strategy, STRATEGIES[strategy](found), iter(jobs))
        return outcome, restore(read(dump), found.policy)


def job(name: str, duration: float | None, slices: Mapping[str, int], arrival: float = 0.0) -> Job:
    """A job of the namespace team."""
    requests = {resource_name(profile): count for profile, count in slices.items()}
    return Job(f"team/{name}", arrival, duration, requests)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_job_of_a_dumped_pod_ends_that_pod(strategy: str) -> None:
    """A pod of the dump runs as long as the trace says, is no second pod, and makes room when it ends."""
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu")
    dumped = dump(node("gpu").gpus(1).config("all-7g.80gb"), old, pod("team/next").wants({"7g.80gb": 1}))
    told = job("old", 40.0, {"7g.80gb": 1}), job("next", 5.0, {"7g.80gb": 1})
    outcome, restored = simulated(dumped, *told, strategy=strategy)
    assert (outcome.pods, outcome.completed, outcome.unserved) == (2, 2, 0)
    assert (restored.running, restored.waiting) == (1, 1)
    assert 40 < outcome.waits.mean < 42, "only the pod that waited has a wait, which counts from the start"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_dumped_pod_without_a_job_runs_for_ever(strategy: str) -> None:
    """Nobody knows how long it would have run, so that it keeps what it has and the other waits."""
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu")
    dumped = dump(node("gpu").gpus(1).config("all-7g.80gb"), old, pod("team/next").wants({"7g.80gb": 1}))
    outcome, _ = simulated(dumped, job("other", 5.0, {"7g.80gb": 1}, 1.0), strategy=strategy)
    assert (outcome.pods, outcome.completed, outcome.unserved) == (3, 0, 2)


def test_what_a_simulation_of_a_dump_changes() -> None:
    """A node is cut for a dumped pod only where its layout is known; the others serve as they are."""
    known = node("gpu").gpus(1).config("all-7g.80gb")
    odd = node("odd").gpus(1).layout({"3g.40gb": 2}, name="somebodys-own")
    wanting = [pod(f"team/{n}").wants({"1g.10gb": 1}) for n in range(3)]
    half = pod("team/half").wants({"3g.40gb": 1})
    outcome, restored = simulated(dump(known, odd, *wanting, half))
    assert (outcome.reshapes, outcome.unserved) == (1, 0)
    assert notes(restored) == {
        "GPU nodes are never cut, for their layout is not known": 1,
        "nodes without a mig-manager get one": 1,
    }
    outcome, _ = simulated(dump(odd, *wanting, half))
    assert (outcome.reshapes, outcome.unserved) == (0, 3)


def test_an_agents_word_decides_who_holds_what() -> None:
    """The GPU that the agent names is in use, the other one is cut; a process without a pod keeps its own."""
    gpus = node("gpu").gpus(2).config("all-7g.80gb")
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu")
    whole = {"7g.80gb": 1}
    seen = mignode("gpu").gpu(whole).gpu(whole, pods={"7g.80gb": ["team/old"]})
    wanting = pod("team/next").wants({"1g.10gb": 1})
    _, restored = simulated(dump(gpus, old, seen, wanting))
    assert held(restored.cluster.gpus) == {"gpu": [(0, "7g.80gb", ""), (1, "7g.80gb", "team/old")]}
    outcome, _ = simulated(dump(gpus, old, seen, wanting))
    assert (outcome.reshapes, outcome.unserved) == (1, 0)
    used = mignode("gpu").gpu(whole, processes=1).gpu(whole, pods={"7g.80gb": ["team/old"]})
    outcome, restored = simulated(dump(gpus, old, used, wanting))
    assert (outcome.reshapes, outcome.unserved) == (0, 1)
    assert notes(restored)["GPU instances are held by processes of no pod, until their node reboots"] == 1


def test_a_dumped_config_keeps_its_meaning() -> None:
    """A mig-manager that reads a ConfigMap of its own is taken to read the policy's, with the same in it."""
    own = {"ours": configs.DEFAULTS["all-3g.40gb"]}
    gpu = node("gpu").gpus(1).layout({"3g.40gb": 2}, name="ours")
    parts = gpu, config_map(own, "theirs"), mig_manager("gpu", "theirs")
    outcome, restored = simulated(dump(*parts, pod("team/next").wants({"7g.80gb": 1})))
    assert notes(restored) == {"mig-managers read the policy's ConfigMap here": 1}
    assert (outcome.reshapes, outcome.unserved) == (1, 0)


def test_a_pod_that_is_being_deleted_makes_room() -> None:
    """It is gone after its grace period, is no pod of the simulation, and the next one gets its slice."""
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu").deleting()
    dumped = dump(node("gpu").gpus(1).config("all-7g.80gb"), old, pod("team/next").wants({"7g.80gb": 1}))
    outcome, _ = simulated(dumped, strategy="static")
    assert (outcome.pods, outcome.unserved) == (1, 0)
    assert 30 < outcome.waits.mean < 31


def test_a_job_may_have_the_name_of_a_dumped_pod_that_goes() -> None:
    """Its pod is created when that one's grace period is over, or when the node goes under it."""
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu").deleting()
    dumped = dump(node("gpu").gpus(1).config("all-7g.80gb"), old)
    outcome, _ = simulated(dumped, job("old", 5.0, {"7g.80gb": 1}, 3.0), strategy="static")
    assert (outcome.pods, outcome.completed) == (1, 1)
    assert 27 < outcome.waits.mean < 28


def test_an_evicted_pod_that_was_being_deleted_is_not_made_anew() -> None:
    """Nobody keeps its name: the next pod with it comes at once, and outlives the old grace period."""
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu").deleting()
    cluster = restore(read(dump(node("gpu").gpus(1).config("all-7g.80gb"), old)), POLICY).cluster
    evict(cluster.world, cluster.world.pods["team/old"])
    assert "team/old" not in cluster.world.pods
    cluster.admit(job("old", None, {"7g.80gb": 1}))
    last = cluster.world.clock.now + 60.0
    for now in cluster.world.clock.moments():
        if now >= last:
            break
    assert cluster.world.pods["team/old"].phase == "Running"
