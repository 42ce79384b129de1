"""Demand that never rests, in virtual time: few changes, far apart, and nobody else has to wait for good."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from autoslicer.core.budgets import Budget
from autoslicer.core.phases import Phase, phase, reached
from autoslicer.core.rows import ReconfigurationRow
from simulations.cluster import START, Cluster
from simulations.executor import Executor
from simulations.story import Story
from simulations.world import Row
from tests.simulations.worlds import H100, auto, guard

NODES = ("node-0", "node-1", "node-2")
PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb")
SWINGS = 60
SECONDS = 4.0
Started = dict[str, ReconfigurationRow]


def swinging(cluster: Cluster, profiles: list[str]) -> None:
    """Every four seconds somebody wants something else; what they get runs for three."""
    for number in range(SWINGS):

        def submit(number: int = number) -> None:
            wanted = {profiles[number % len(profiles)]: 1}
            cluster.submit(f"swing/{number}", wanted, duration=3.0)

        cluster.world.clock.after(number * SECONDS, submit)


def recorded(cluster: Cluster) -> Started:
    """Every change as it was seen last, also those that were cleared away."""
    found: Started = {}

    def look(old: Row | None, new: Row | None) -> None:
        if isinstance(new, ReconfigurationRow):
            found[new.name] = new

    cluster.world.watch(look)
    return found


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.sampled_from(PROFILES), min_size=2, max_size=4, unique=True),
    st.sampled_from((1, 2)),
    st.sampled_from((20.0, 60.0)),
)
def test_demand_that_swings_moves_no_more_than_budget_and_cooldown_allow(
    profiles: list[str], budget: int, cooldown: float
) -> None:
    """And a pod of another namespace that comes in between is served."""
    cluster = Cluster(auto(budgets=(Budget(str(budget)),), cooldown_seconds=cooldown, canary=True))
    for name in NODES:
        cluster.add_node(name, H100, 1, "all-7g.80gb")
    guard(cluster)
    changes, story = recorded(cluster), Story(cluster.world)
    for number in range(20):
        cluster.submit(f"flood/{number}", {"7g.80gb": 2})
    swinging(cluster, profiles)
    cluster.world.clock.after(30.0, lambda: cluster.submit("team/x", {"4g.40gb": 1}))
    for now in Executor(cluster.world).moments():
        if now >= START + 1200:
            break
    spans = [(c.node, c.status.started, end(c), c) for c in changes.values() if c.status.started is not None]
    for _, start, _, _ in spans:
        assert sum(began <= start < ended for _, began, ended, _ in spans) <= budget
    for earlier, later in pairwise(sorted(spans, key=lambda span: span[:2])):
        if earlier[0] == later[0] and phase(earlier[3]) is Phase.DONE:
            assert later[1] - earlier[2] >= cooldown
    assert story.bound["team/x"] - START < 300


def end(change: ReconfigurationRow) -> float:
    """When the change ended, or far away."""
    return reached(change, phase(change)) or float("inf")
