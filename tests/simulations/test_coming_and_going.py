"""Nodes that join and leave while a simulation runs: who uses them, who loses them, and what is counted."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core.budgets import Budget
from autoslicer.core.fitting import slices
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.policy import Eviction, Reserve
from autoslicer.core.rows import PodRow
from simulations.run import Outcome, bound_within, recorded, run
from simulations.scenario.scenario import Node, Scenario, Timing
from simulations.strategies.planned import Planned
from simulations.strategies.registry import STRATEGIES
from simulations.strategies.strategy import Strategy
from simulations.study import preview
from simulations.workload.job import Job
from simulations.workload.native import write_native
from simulations.workload.source import Format, Trace
from simulations.world import Row
from solver import geometry
from solver.profile_name import resource_name
from tests.simulations.test_run import (
    H100_NODE,
    TIMING,
    add_up,
    jobs,
    named,
    nodes,
    scenario,
    timings,
    with_old_names,
)

EACH = pytest.mark.parametrize("name", STRATEGIES)
WHOLE = {resource_name("7g.80gb"): 1}
DAY = 86_400.0
POLICIES: tuple[dict[str, object], ...] = (
    {},
    {"reserve": Reserve(after_seconds=10, timeout_seconds=300)},
    {"eviction": Eviction.WHEN_SERVED, "cooldown_seconds": 60},
)

times = st.integers(1, 2000).map(lambda quarters: quarters / 4)


def moved(node: Node, joins: float | None, stays: float | None) -> Node:
    """The node, which joins then and stays so long."""
    return replace(node, joins=joins, leaves=None if stays is None else (joins or 0.0) + stays)


moved_or_not = st.builds(moved, nodes, st.none() | times, st.none() | times)


@dataclass
class Books:
    """What happens to each pod, written down apart from what the simulation counts."""

    strategy: Strategy
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    evicted: Counter[str] = field(default_factory=Counter)
    stays: list[tuple[float, float, int]] = field(default_factory=list)
    bound: dict[str, tuple[float, int]] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.start = self.now = self.strategy.world.clock.now
        self.strategy.world.watch(self.look)

    def look(self, old: Row | None, new: Row | None) -> None:
        """A write fails where time ran back, or a pod is where it cannot be."""
        assert self.now <= self.strategy.world.clock.now, "time ran back"
        self.now = self.strategy.world.clock.now
        row = new or old
        if not isinstance(row, PodRow) or row.daemon:
            return
        if isinstance(new, PodRow) and new.node and not new.finished:
            assert new.node in self.strategy.world.nodes, f"{new.key} is on a node that is gone"
            self.bound.setdefault(new.key, (self.now, self.size(new)))
            self.used.add(new.node)
            if new.phase == "Running":
                self.running[new.key] = new.node
                for key, node in self.running.items():
                    assert self.held(key, node) == slices(self.strategy.world.pods[key].requests), key
        elif row.key in self.bound:
            since, size = self.bound.pop(row.key)
            self.stays.append((since, self.now, size))
            self.running.pop(row.key, None)
            if row.finished:
                self.ended[row.key, row.uid] += 1
            else:
                self.evicted[row.key] += 1

    def held(self, key: str, node: str) -> Counter[str]:
        """The instances that the pod holds."""
        instances = (one for gpu in self.strategy.gpus[node] for one in gpu.instances or ())
        return Counter(one.profile for one in instances if one.holder == key)

    def size(self, pod: PodRow) -> int:
        """Memory slices that the pod asks for on its node."""
        model = self.strategy.gpus[pod.node][0].geometry
        sizes = {profile.name: profile.size for profile in model.profiles}
        return sum(sizes[profile] * count for profile, count in slices(pod.requests).items())

    def utilisation(self, machines: Sequence[Node], makespan: float) -> float:
        """The part of what was there that pods held."""
        end = self.start + makespan
        open_stays = ((since, math.inf, size) for since, size in self.bound.values())
        held = sum((min(end, until) - since) * size for since, until, size in (*self.stays, *open_stays))
        there = sum(
            _slices(node) * max(0.0, min(makespan, node.leaves or math.inf) - (node.joins or 0.0))
            for node in machines
        )
        return held / there if there else 0.0


def _slices(node: Node) -> int:
    model = geometry.by_product(node.product)
    assert model is not None
    return node.gpus * model.memory_slices


def kept(
    name: str, machines: Sequence[Node], found: Sequence[Job], timing: Timing, **policy: object
) -> dict[str, bool]:
    """The books of a simulation are in order; what happened in it."""
    strategy = STRATEGIES[name](scenario(machines, timing, **policy))
    books = Books(strategy)
    outcome = run(name, strategy, iter(found))
    add_up(outcome, found, books.ended, len(machines))
    assert outcome.evictions == books.evicted.total()
    assert outcome.utilisation == pytest.approx(books.utilisation(machines, outcome.makespan), abs=1e-4)
    orphaned = (one for one in strategy.world.changes.values() if one.node not in strategy.world.nodes)
    assert not [change.name for change in orphaned if live(change)]
    joined = {f"node-{number}" for number, node in enumerate(machines) if node.joins}
    return {
        "pods ran on nodes that joined": bool(books.used & joined),
        "pods lost their node": bool(outcome.evictions),
        "a pod lost its node and ended on another one": any(key in books.evicted for key, _ in books.ended),
        "pods had no node in the end": bool(outcome.unserved),
        "a node left while it was changed": any(_gone(strategy)),
    }


@EACH
@settings(max_examples=25, deadline=None)
@given(st.lists(moved_or_not, min_size=1, max_size=4), jobs, timings, st.booleans())
def test_books_are_kept(
    name: str, machines: list[Node], given_jobs: list[Job], timing: Timing, again: bool
) -> None:
    """Whatever joins and leaves: no slice is used twice, every pod ends once, and all figures add up."""
    found = with_old_names(given_jobs) if again else named(given_jobs)
    for what, happened in kept(name, machines, found, timing).items():
        event(f"{what}: {happened}")


def test_books_are_kept_where_much_comes_and_goes() -> None:
    """The same holds in worlds in which nodes are lost and found, and these do come up."""
    seen = Counter[str]()
    for seed in range(20):
        drawn = random.Random(seed)
        machines = [
            moved(
                replace(H100_NODE, config=drawn.choice(("all-7g.80gb", "all-1g.10gb"))),
                drawn.choice((None, 50.0, 130.0)),
                drawn.choice((None, 45.0, 90.0, 200.0)),
            )
            for _ in range(3)
        ]
        profiles = ("1g.10gb", "3g.40gb", "7g.80gb")
        found = [
            Job("", drawn.uniform(0, 200), drawn.uniform(20, 200), {resource_name(drawn.choice(profiles)): 1})
            for _ in range(8)
        ]
        timing, policy = drawn.choice((TIMING, Timing(failure_rate=0.4))), drawn.choice(POLICIES)
        for name in STRATEGIES:
            happened = kept(name, [*machines, H100_NODE], named(found), timing, **policy)
            seen.update(what for what, did in happened.items() if did)
    print(dict(seen))
    assert len(seen) == 5
    assert min(seen.values()) >= 10, seen


def _gone(strategy: Strategy) -> Iterator[bool]:
    """Whether each change ended because its node was gone."""
    for change in strategy.world.changes.values():
        yield any(condition.reason == "NodeGone" for condition in change.status.conditions)


crowds = st.lists(
    st.builds(
        lambda at, profile, duration: Job("", float(at), duration, {resource_name(profile): 1}),
        st.integers(0, 60),
        st.sampled_from(("7g.80gb", "7g.80gb", "3g.40gb")),
        st.sampled_from((60.0, 200.0)),
    ),
    min_size=3,
    max_size=8,
)
late = st.builds(moved, st.just(H100_NODE), st.none() | times, st.none())


@EACH
@settings(max_examples=15, deadline=None)
@given(machines=st.lists(late, min_size=1, max_size=2), crowd=crowds, schedule=st.sampled_from((0.0, 0.25)))
def test_no_strategy_waits_less_than_the_bound(
    name: str,
    machines: list[Node],
    crowd: list[Job],
    schedule: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Also where nodes join, who serves all pods lets them wait at least as long as the bound says."""
    found = named(crowd)
    asked = _with_trace(scenario(machines, Timing(schedule=schedule)), found, tmp_path_factory.mktemp("jobs"))
    bound = preview(asked, lenient=False).mean_wait
    assert bound is not None
    came = run(name, STRATEGIES[name](asked), iter(found))
    assert came.unserved or came.waits.mean >= bound - 0.001
    event("somebody must wait" if bound > schedule else "nobody must wait")
    event("some pods were never served" if came.unserved else "every pod was served")


def test_where_nodes_leave_there_is_no_bound(tmp_path: Path) -> None:
    """A pod that loses its node was bound sooner than any schedule that stops none could bind it."""
    found = named([Job("", float(n), 300.0, WHOLE) for n in range(3)])
    spot = [replace(H100_NODE, leaves=100.0), replace(H100_NODE, joins=200.0)]
    assert preview(_with_trace(scenario(spot), found, tmp_path), lenient=False).mean_wait is None
    lasting = [H100_NODE, replace(H100_NODE, joins=200.0)]
    bound = preview(_with_trace(scenario(lasting), found, tmp_path), lenient=False).mean_wait
    assert bound is not None
    assert bound > 50


def _with_trace(asked: Scenario, found: Sequence[Job], folder: Path) -> Scenario:
    path = folder / "jobs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        write_native(found, file)
    return replace(
        asked,
        workload=Trace(path, Format.AUTOSLICER),
        document={"cluster": {}, "workload": {}},
    )


def outcome(name: str, machines: Sequence[Node], found: Sequence[Job], **policy: object) -> Outcome:
    return run(name, STRATEGIES[name](scenario(machines, TIMING, **policy)), iter(named(found)))


@EACH
def test_a_node_that_joins_takes_pods_that_wait(name: str) -> None:
    """Nobody could run before; from its joining on the node is one like any other."""
    found = outcome(name, [replace(H100_NODE, joins=500.0)], [Job("", 10.0, 100.0, WHOLE)])
    assert (found.completed, found.unserved) == (1, 0)
    assert found.waits.mean == pytest.approx(490.25, abs=0.01)
    assert found.makespan == pytest.approx(600.25, abs=1.0)
    assert found.utilisation == pytest.approx(1.0, abs=0.01)


@EACH
def test_a_node_that_leaves_takes_its_pods_along(name: str) -> None:
    """A pod loses what it has done, waits again without its wait being counted again, and ends elsewhere."""
    spot, back = replace(H100_NODE, leaves=200.0), replace(H100_NODE, joins=1000.0)
    found = outcome(name, [spot, back], [Job("", 100.0, 300.0, WHOLE)])
    assert (found.completed, found.unserved, found.evictions) == (1, 0, 1)
    assert found.waits.max == 0.25
    assert found.makespan == pytest.approx(1300.25, abs=1.0)
    assert found.utilisation == pytest.approx((100 + 300) / (200 + 300), abs=0.01)


@EACH
def test_a_pod_that_ended_before_does_not_care(name: str) -> None:
    """The same world with a shorter pod has no eviction."""
    spot = replace(H100_NODE, leaves=200.0)
    found = outcome(name, [spot], [Job("", 10.0, 50.0, WHOLE)])
    assert (found.completed, found.evictions) == (1, 0)


@EACH
def test_who_lost_its_node_for_good_is_not_served(name: str) -> None:
    """A pod that was bound once, and has no node in the end, is no success."""
    spot = replace(H100_NODE, leaves=200.0)
    found = outcome(name, [spot], [Job("", 100.0, 300.0, WHOLE)])
    assert (found.pods, found.completed, found.unserved, found.evictions) == (1, 0, 1, 1)
    assert found.makespan == 200.0
    strategy = STRATEGIES[name](scenario([spot]))
    pods, served = bound_within(strategy, iter(named([Job("", 100.0, 300.0, WHOLE)])), math.inf)
    assert (pods, served) == (1, 0)


def test_a_change_under_way_ends_with_its_node() -> None:
    """The controller finds the node gone and gives the change up; the pod is planned for elsewhere."""
    small = [Job("", 10.0, 50.0, {resource_name("1g.10gb"): 1})]
    strategy = Planned(scenario([replace(H100_NODE, leaves=30.0), replace(H100_NODE, joins=40.0)]))
    found = run("autoslicer", strategy, iter(named(small)))
    first, second = sorted(strategy.world.changes.values(), key=lambda change: change.created)
    assert (first.node, second.node) == ("node-0", "node-1")
    assert phase(first) is Phase.CANCELLED
    assert list(_gone(strategy)) == [True, False]
    assert phase(second) is Phase.DONE
    assert (found.completed, found.reshapes) == (1, 1)
    assert 10 < found.node_unavailable < 20 + 60


@pytest.mark.parametrize("name", ["autoslicer", "static", "hami"])
def test_who_waits_for_a_node_is_waited_for(name: str) -> None:
    """A node that joins after weeks in which nothing ran is still met by the pods that wait for it."""
    shut = (Budget("0", "0 1 * * *", 3600),)
    found = outcome(name, [replace(H100_NODE, joins=30 * DAY)], [Job("", 0.0, 50.0, WHOLE)], budgets=shut)
    assert (found.completed, found.waits.max) == (1, 30 * DAY + 0.25)


def test_a_band_lasts_while_its_node_is_there() -> None:
    """The history begins a node's band when it joins and ends it when it leaves; so does what there is."""
    machines = [H100_NODE, replace(H100_NODE, joins=100.0, leaves=300.0)]
    found = [Job(f"team/{n}", 0.0, 400.0, WHOLE) for n in range(2)]
    _, history = recorded("static", STRATEGIES["static"](scenario(machines)), iter(found))
    stays, comes = history.nodes
    assert (stays.joined, stays.left) == (0.0, None)
    assert (comes.joined, comes.left) == (100.0, 300.0)
    assert [at for at, _ in comes.gpus[0].layouts] == [100.0]
    width = history.there.width
    at = [index * width for index, mean in enumerate(history.there.means) if mean > 8]
    assert (at[0], at[-1]) == (100.0, 300.0 - width)
    offered = history.supplies["7g.80gb"].offered
    assert [index * width for index, mean in enumerate(offered.means) if mean > 1] == at
