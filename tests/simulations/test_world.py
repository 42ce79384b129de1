"""The core's decisions on random virtual clusters: undisturbed, with conflicts, with a dying controller."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoslicer.core.actions import Action, WakeAt
from autoslicer.core.budgets import Budget
from autoslicer.core.phases import Phase, phase
from autoslicer.core.policy import Idle
from simulations.cluster import START, Cluster
from simulations.story import Story
from tests.simulations.worlds import (
    A30,
    H100,
    Arrival,
    Machine,
    Scene,
    auto,
    disturb,
    expect,
    guard,
    pods,
    rest,
    run,
)

CONFIGS = {
    H100: ("all-7g.80gb", "all-3g.40gb", "all-1g.10gb", "all-balanced", "all-enabled", "all-disabled"),
    A30: ("all-4g.24gb", "all-1g.6gb", "all-balanced"),
}
PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb", "1g.6gb", "2g.12gb", "4g.24gb")
EXAMPLES = settings(max_examples=60, deadline=None)

arrivals = st.lists(
    st.builds(
        Arrival,
        at=st.integers(0, 400).map(lambda quarters: quarters / 4),
        profile=st.sampled_from(PROFILES),
        count=st.sampled_from((1, 1, 2)),
        cpu=st.sampled_from((0, 500, 3000)),
        priority=st.sampled_from((0, 0, 10)),
        duration=st.sampled_from((None, 5.0, 40.0)),
    ),
    min_size=1,
    max_size=8,
)


nodes = st.one_of(
    st.builds(
        Machine,
        product=st.just(product),
        gpus=st.integers(1, 2),
        config=st.sampled_from(configs),
        cpu=st.sampled_from((4, 16)),
        agent=st.booleans(),
    )
    for product, configs in CONFIGS.items()
)
policies = st.builds(
    auto,
    pending_seconds=st.sampled_from((0, 1, 7)),
    batch_idle_seconds=st.sampled_from((0, 0, 2)),
    batch_max_seconds=st.sampled_from((0, 5)),
    allow_mode_change=st.booleans(),
    budgets=st.sampled_from(((), (Budget("1"),), (Budget("50%"),))),
    canary=st.booleans(),
    cooldown_seconds=st.sampled_from((0, 5, 60)),
    min_benefit=st.sampled_from((1, 1, 2)),
    idle=st.sampled_from((Idle(), Idle(), Idle(30, "all-7g.80gb"), Idle(5, "all-balanced"))),
    headroom=st.sampled_from(((), (), (("1g.10gb", 3),), (("3g.40gb", 1), ("1g.6gb", 2)))),
)
scenes = st.builds(Scene, policies, st.lists(nodes, min_size=1, max_size=3).map(tuple), arrivals.map(tuple))


class KilledError(Exception):
    """The controller is killed."""


def one_node() -> Cluster:
    """One idle node with two GPUs, and a pod that needs one of them cut anew."""
    cluster = Cluster(auto())
    cluster.add_node("node-0", H100, 2, "all-7g.80gb")
    guard(cluster)
    cluster.submit("team/0", {"3g.40gb": 1})
    return cluster


@EXAMPLES
@given(scenes)
def test_every_world_comes_to_rest_in_order(scene: Scene) -> None:
    """No slice in use is destroyed or given twice, taints end with their changes, what can be served is."""
    cluster = scene.build()
    rest(cluster)
    ends = {phase(change) for change in cluster.world.changes.values()}
    assert ends <= {Phase.DONE, Phase.CANCELLED}


@EXAMPLES
@given(scenes, st.sets(st.integers(0, 40)))
def test_conflicts_do_no_harm(scene: Scene, conflicts: set[int]) -> None:
    """When others write the same objects in between, all ends as well as without them."""
    cluster, actions = scene.build(), count()

    def before(action: Action) -> None:
        if next(actions) in conflicts:
            disturb(cluster, action)

    rest(cluster, before)
    ends = {phase(change) for change in cluster.world.changes.values()}
    assert ends <= {Phase.DONE, Phase.CANCELLED}


@EXAMPLES
@given(scenes, st.sets(st.integers(0, 40)), st.sampled_from((0.0, 0.5, 3.0, 20.0)))
def test_a_controller_that_dies_does_no_harm(scene: Scene, deaths: set[int], away: float) -> None:
    """What is lost with a controller's memory is found again in the cluster, however long it is away."""
    cluster, actions = scene.build(), count()

    def before(action: Action) -> None:
        if next(actions) in deaths:
            raise KilledError

    rested = False
    while not rested:
        try:
            rest(cluster, before)
            rested = True
        except KilledError:
            run(cluster, away)


def test_killed_before_any_action_the_change_ends_done() -> None:
    """A change is resumed, whichever action the controller did not come to."""
    taken: list[Action] = []
    rest(one_node(), taken.append)
    steps = len(taken)
    assert sum(not isinstance(action, WakeAt) for action in taken) >= 14
    for deadly in range(steps):
        cluster, actions = one_node(), count()

        def before(action: Action, deadly: int = deadly, actions: count[int] = actions) -> None:
            if next(actions) == deadly:
                raise KilledError

        with pytest.raises(KilledError):
            rest(cluster, before)
        rest(cluster)
        assert [phase(change) for change in cluster.world.changes.values()] == [Phase.DONE], taken[deadly]
        assert [pod.phase for pod in pods(cluster)] == ["Running"]


def test_a_busy_gpu_keeps_its_instances_while_its_neighbour_is_cut() -> None:
    """With an agent that tells the GPUs apart, only the idle one changes; the busy one's instances stay."""
    cluster = Cluster(auto())
    cluster.add_node("node-0", H100, 2, "all-7g.80gb", agent=True)
    guard(cluster)
    expect(cluster, [Arrival(0, "7g.80gb"), Arrival(30, "1g.10gb")])
    run(cluster, 10)
    (busy,) = (gpu for gpu in cluster.gpus["node-0"] if any(i.holder for i in gpu.instances or ()))
    before = [instance.uuid for instance in busy.instances or ()]
    rest(cluster)
    assert [instance.uuid for instance in busy.instances or ()] == before
    assert [pod.phase for pod in pods(cluster)] == ["Running", "Running"]


def test_without_an_agent_one_pod_keeps_the_whole_node() -> None:
    """Nobody knows which GPU the pod uses, so nothing on its node changes and the other pod waits."""
    cluster = Cluster(auto())
    cluster.add_node("node-0", H100, 2, "all-7g.80gb")
    guard(cluster)
    expect(cluster, [Arrival(0, "7g.80gb"), Arrival(30, "1g.10gb")])
    rest(cluster)
    assert not cluster.world.changes
    assert [pod.phase for pod in pods(cluster)] == ["Running", "Pending"]


def test_budget_of_one_node_changes_one_after_the_other() -> None:
    """The second node starts only once the first is Done, and both are done in the end."""
    cluster = Cluster(auto(budgets=(Budget("1"),)))
    for name in ("node-0", "node-1"):
        cluster.add_node(name, H100, 1, "all-7g.80gb")
    guard(cluster)
    expect(cluster, [Arrival(0, "4g.40gb"), Arrival(0, "4g.40gb")])
    rest(cluster)
    first, second = sorted(cluster.world.changes.values(), key=lambda change: change.status.started or START)
    assert [phase(first), phase(second)] == [Phase.DONE, Phase.DONE]
    assert (second.status.started or START) >= first.status.steps[-1].at


@pytest.mark.parametrize("rival", [0, 10])
def test_a_pod_whose_slices_a_rival_takes_is_served_by_another_node_soon(rival: int) -> None:
    """When a more urgent pod takes the new slices, the change ends and the pod is planned for anew."""
    cluster = Cluster(auto())
    for name in ("node-0", "node-1"):
        cluster.add_node(name, H100, 1, "all-7g.80gb")
    guard(cluster)
    occupied = Arrival(0, "7g.80gb", duration=60)
    expect(cluster, [occupied, Arrival(0.5, "3g.40gb", count=2), Arrival(5, "3g.40gb", priority=rival)])
    story = Story(cluster.world)
    rest(cluster)
    late, soon = ("team/1", "team/2") if rival else ("team/2", "team/1")
    assert story.bound[soon] - START < 30
    assert story.bound[late] - START < 100
