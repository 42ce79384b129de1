"""Headroom and idle layouts in the virtual world: what policies wish for comes, and then all is at rest."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from autoslicer.core import configs
from autoslicer.core.budgets import Budget
from autoslicer.core.causes import Cause
from autoslicer.core.nodes import evidence
from autoslicer.core.policy import Idle, Policy
from simulations.cluster import Cluster
from tests.simulations.worlds import H100, Arrival, Machine, Scene, auto, pods, rest

AFTER = 30.0
CONFIGS = ("all-7g.80gb", "all-3g.40gb", "all-1g.10gb", "all-balanced", "all-enabled")

machines = st.builds(
    Machine,
    product=st.just(H100),
    gpus=st.integers(1, 2),
    config=st.sampled_from(CONFIGS),
    cpu=st.just(16),
    agent=st.booleans(),
)
wishes = st.builds(
    auto,
    budgets=st.sampled_from(((), (Budget("1"),))),
    cooldown_seconds=st.sampled_from((0, 60)),
    idle=st.sampled_from((Idle(AFTER, "all-7g.80gb"), Idle(AFTER, "all-1g.10gb"))),
    headroom=st.sampled_from(((), (("1g.10gb", 4),), (("3g.40gb", 1),), (("1g.10gb", 9), ("3g.40gb", 2)))),
)
fleets = st.lists(machines, min_size=1, max_size=4).map(tuple)


def causes(cluster: Cluster) -> Counter[tuple[str, Cause]]:
    """How often each node was changed, by cause."""
    return Counter((change.node, change.cause) for change in cluster.world.changes.values())


@settings(max_examples=60, deadline=None)
@given(wishes, fleets)
def test_constant_wishes_come_to_rest(policy: Policy, fleet: tuple[Machine, ...]) -> None:
    """Without a pod no node is changed twice for the same thing, whatever is wished for."""
    cluster = Scene(policy, fleet, ()).build()
    rest(cluster)
    assert max(causes(cluster).values(), default=0) <= 1


@settings(max_examples=30, deadline=None)
@given(fleets, st.integers(1, 3))
def test_what_nobody_uses_is_given_back(fleet: tuple[Machine, ...], small: int) -> None:
    """After the last pod has gone every node has the idle layout, however the pods left it."""
    policy = auto(idle=Idle(AFTER, "all-7g.80gb"), cooldown_seconds=10)
    arrivals = tuple(Arrival(5.0 * n, "1g.10gb", duration=20.0) for n in range(small))
    cluster = Scene(policy, fleet, arrivals).build()
    rest(cluster)
    assert not [pod.key for pod in pods(cluster) if pod.phase == "Pending"]
    for name, gpus in cluster.gpus.items():
        wanted = evidence.promised([(("7g.80gb", 1),)] * len(gpus))
        assert evidence.advertised(cluster.world.nodes[name]) == wanted


def test_a_node_goes_there_and_back_once() -> None:
    """Cut for a pod, given back long after it has ended, each by one change."""
    policy = auto(idle=Idle(AFTER, "all-7g.80gb"))
    fleet = (Machine(H100, 1, "all-7g.80gb", 16, False),)
    cluster = Scene(policy, fleet, (Arrival(1.0, "3g.40gb", duration=50.0),)).build()
    rest(cluster)
    assert causes(cluster) == {("node-0", Cause.DEMAND): 1, ("node-0", Cause.IDLE): 1}
    first, second = sorted(cluster.world.changes.values(), key=lambda change: change.created)
    assert second.created - first.created >= 50 + AFTER
    assert cluster.gpus["node-0"][0].layout == configs.DEFAULTS["all-7g.80gb"][0].mig_devices
