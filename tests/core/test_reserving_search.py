"""Which node is reserved, where many pods starve and many nodes are in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoslicer.core import reserved
from autoslicer.core.actions import CreateChange
from autoslicer.core.changes import validation
from autoslicer.core.phases import Phase
from autoslicer.core.planner import plan
from autoslicer.core.reasons import Reason
from autoslicer.core.snapshot import Snapshot
from tests.build import NOON, Builder, change, mignode, node
from tests.core.reservations import (
    AFTER,
    LAYOUTS,
    ONES,
    changes,
    cluster,
    decision,
    job,
    machine,
    reserving,
    starving,
)


def test_no_two_policies_reserve_nodes_for_one_pod() -> None:
    """A pod that may run on the nodes of either is served by one of them."""
    pools = {name: machine(name).labels({"pool": name}) for name in ("a", "b")}
    policies = [
        reserving().set("metadata.name", name).set("spec.nodeSelector", {"matchLabels": {"pool": name}})
        for name in pools
    ]
    both = (*pools.values(), *policies, job("low/a", "a"), job("low/b", "b"))
    assert [made.serves for made in changes(*both, starving())] == [("high/large",)]
    two = changes(*both, starving(), starving("high/next"))
    assert sorted(made.serves for made in two) == [("high/large",), ("high/next",)]


def test_many_small_pods_do_not_outweigh_the_first() -> None:
    """The GPU could serve seven pods that starve as well; it is for the one that has waited longest."""
    small = [starving(f"low/small-{n}", wants="3g.40gb") for n in range(2)]
    there = (machine(), job("low/a"), reserving())
    assert changes(*there, *small, starving(since=AFTER + 9))[0].serves == ("high/large",)
    assert set(changes(*there, *small, starving(since=AFTER - 9))[0].serves) == {"low/small-0", "low/small-1"}


def test_pods_that_any_end_will_serve_hide_nobody() -> None:
    """A small pod needs no cut, however long it has waited: the first large one is looked for behind it."""
    nodes = [machine(f"full-{n:02}") for n in range(20)]
    jobs = [job(f"low/{n}-{m}", f"full-{n:02}") for n in range(20) for m in range(7)]
    small = [starving(f"low/small-{n}", since=AFTER + 100 + n, wants="1g.10gb") for n in range(20)]
    [made] = changes(*nodes, *jobs, reserving(), *small, starving())
    assert "high/large" in made.serves
    assert changes(*nodes, *jobs, reserving(), *small) == []


def test_nodes_that_never_become_idle_hide_no_other() -> None:
    """The fewest pods are on GPUs that a server shares with them; the node without servers is taken."""
    objects: list[Builder] = [machine("good"), job("low/a", "good"), job("low/b", "good"), reserving()]
    for n in range(20):
        name = f"full-{n:02}"
        agent = mignode(name).gpu(ONES, pods={"1g.10gb": [f"low/job-{n}", f"low/server-{n}"]})
        objects += [machine(name), agent, job(f"low/job-{n}", name), job(f"low/server-{n}", name, "Always")]
    [made] = changes(*objects, starving())
    assert made.node == "good"


def test_a_pod_elsewhere_repels_from_every_node_of_its_zone() -> None:
    """Where required anti-affinity keeps the pod away no node is closed for it, even for one pod fewer."""
    objects: list[Builder] = [reserving(), starving().labels({"app": "x"})]
    for name, zone, count in (("a", "1", 1), ("b", "2", 2)):
        objects.append(machine(name).labels({"zone": zone}))
        objects += [job(f"low/{name}{n}", name) for n in range(count)]
    keeper = job("low/keeper", "other").repels({"app": "x"}, "zone").set("metadata.namespace", "high")
    other = node("other").labels({"zone": "1"})
    assert [made.node for made in changes(*objects)] == ["a"]
    assert [
        made.node for made in changes(*objects, other, keeper.resources({"nvidia.com/mig-1g.10gb": "0"}))
    ] == ["b"]


def test_room_is_made_only_where_enough_of_all_gets_free() -> None:
    """CPU that pods on other GPUs hold stays in use, for nobody waits for those."""
    agent = mignode("full").gpu(ONES, pods={"1g.10gb": ["low/a"]})
    agent = agent.gpu(ONES, pods={"1g.10gb": ["low/b", "low/c"]})
    big = [job(f"low/{name}").resources({"cpu": "12"}) for name in "bc"]
    there = (
        machine(gpus=2).allocatable({"cpu": "32"}),
        agent,
        reserving(),
        job("low/a").resources({"cpu": "4"}),
    )
    [first] = changes(*there, *big, starving().resources({"cpu": "8"}))
    assert [gpu.changed for gpu in first.gpus] == [True, False]
    assert changes(*there, *big, starving().resources({"cpu": "20"})) == []


def test_a_recommendation_to_reserve_stands_while_pods_come_and_go() -> None:
    """What a human is to approve stays as it is, though by now another node would be quicker."""
    rules = reserving().set("spec.mode", "Recommend")
    objects: list[Builder] = [rules, starving(), machine("a"), machine("b", gpus=2), job("low/a", "a")]
    objects += [job(f"low/b{n}", "b") for n in range(3)]
    cut = change("b", [ONES, ONES], [{"7g.80gb": 1}, ONES], serves=("high/large",))
    standing = cut.set("spec.approved", False).set("spec.reserve", True).set("spec.from", "all-1g.10gb")
    assert [made.node for made in changes(*objects)] == ["a"]
    found = decision(*objects, standing)
    assert not [action for action in found.actions if isinstance(action, CreateChange)]
    assert found.holds["b-1"].reason == Reason.AwaitingApproval


PODS = st.tuples(st.sampled_from(["Never"] * 5 + ["Always"]), st.sampled_from(["1", "6", "14"]))
GPUS = st.lists(st.lists(PODS, max_size=3), min_size=1, max_size=3)
WANTS = st.tuples(st.sampled_from(["1g.10gb", "3g.40gb", "7g.80gb"]), st.integers(1, 2), st.integers(1, 20))
CPU = 40


@settings(max_examples=80, deadline=None)
@given(
    config=st.sampled_from([*LAYOUTS]),
    gpus=GPUS,
    wants=st.lists(WANTS, min_size=1, max_size=2),
    least=st.sampled_from([1, 1, 2]),
)
def _goes_on(
    counted: Counter[str],
    agent: str,
    config: str,
    gpus: list[list[tuple[str, str]]],
    wants: list[tuple[str, int, int]],
    least: int,
) -> None:
    pods = [
        starving(f"high/{n}", AFTER + n, profile, count).resources({"cpu": str(cpu)})
        for n, (profile, count, cpu) in enumerate(wants)
    ]
    rules = reserving().set("spec.disruption.minBenefit", least)
    objects = [*_in_use(config, gpus, agent), *pods, rules]
    found = cluster(*objects)
    made = changes(*objects)
    asked = sum(int(cpu) for pods in gpus for _, cpu in pods) + wants[0][2]
    if not made and least == len(wants) == 1 and asked <= CPU:
        counted["none"] += 1
        assert not _missed(found)
    for one in made:
        counted["reserved"] += one.reserve
        for phase in (Phase.WAITING, Phase.VALIDATED, Phase.TAINTED):
            here = replace(one, status=replace(one.status, phase=phase))
            assert validation.verdict(here, found, NOON) is None
            assert validation.unwanted(here, found) is None


def _missed(found: Snapshot) -> bool:
    """A node would be cut anew once all jobs have ended."""
    after = reserved.idle(found, "full", frozenset(range(3)), NOON)
    return bool(plan(after, after.policies, NOON, waiting=True).reshapes)


@pytest.mark.parametrize("agent", ["", "fresh", "late", "stale", "process"])
def test_what_is_reserved_may_go_on(agent: str) -> None:
    """Whatever runs on a node: a change that reserves it is not ended at once by its own validation.

    And none is missed: where no node is reserved for a pod, and CPU is no question, none would be cut anew
    for it even after all jobs have ended.
    """
    counted = Counter[str]()
    _goes_on(counted, agent)
    assert counted["reserved"] >= 3
    assert counted["none"] >= 1


def _in_use(config: str, gpus: list[list[tuple[str, str]]], agent: str) -> list[Builder]:
    """A node with the config, the pods on its GPUs, and what its agent saw of them."""
    profile, count = config.removeprefix("all-"), LAYOUTS[config]
    objects: list[Builder] = []
    seen = mignode("full").observed(NOON - 3600 if agent == "stale" else NOON)
    for index, pods in enumerate(gpus):
        held = []
        for n, (restart, cpu) in enumerate(pods[:count]):
            running = job(f"low/{index}-{n}", "full", restart, profile).resources({"cpu": cpu})
            if late := agent == "late" and (index, n) == (0, 0):
                running = running.on("full", at=NOON)
            held += [] if late else [f"low/{index}-{n}"]
            objects.append(running)
        strange = int(agent == "process" and index == 2)
        seen = seen.gpu({profile: count}, pods={profile: held}, processes=strange)
    made = node("full").gpus(len(gpus)).layout(*[{profile: count}] * len(gpus), name=config)
    return [made.allocatable({"cpu": str(CPU)}), *objects, *([seen] if agent else [])]
