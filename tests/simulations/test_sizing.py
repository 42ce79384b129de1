"""How many more nodes are needed is what trying every number finds."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import event, given, settings
from hypothesis import strategies as st

from simulations.run import bound_within
from simulations.scenario.scenario import Node, Scenario
from simulations.sizing import Goal, Sized, kinds, sizes
from simulations.strategies.planned import Planned
from simulations.workload.job import Job
from simulations.workload.native import read_native, write_native
from simulations.workload.source import Format, Trace
from solver.profile_name import resource_name
from tests.simulations.test_run import GIB, scenario
from tests.simulations.worlds import A30, H100


def machine(name: str, product: str, config: str) -> Node:
    """A node with one GPU."""
    return Node(name, product, 1, config, 64_000, 64 * GIB, {}, (), agent=True)


def sized(found: Scenario, goal: Goal, jobs: list[Job]) -> list[Sized]:
    """The need of each kind, from a trace in a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.jsonl"
        with path.open("w") as file:
            write_native(jobs, file)
        assert list(read_native(path)) == jobs
        return list(sizes(replace(found, workload=Trace(path, Format.AUTOSLICER)), goal))


def with_more(found: Scenario, node: Node, more: int) -> Scenario:
    """The scenario with clones under names of this test's own."""
    return replace(found, nodes=(*found.nodes, *(replace(node, name=f"x-{n}") for n in range(more))))


def test_more_nodes_come_and_go_with_those_that_they_are_like() -> None:
    """A pod longer than spot nodes are there is served by no number of them, and by one more that lasts."""
    whole = {resource_name("7g.80gb"): 1}
    jobs = [Job(f"team/{n}", 0.0, 90.0, whole) for n in range(2)]
    lasting = machine("a", H100, "all-7g.80gb")
    spot = replace(lasting, name="spot", leaves=50.0)
    late = replace(lasting, name="late", joins=100.0)
    found = replace(scenario(()), nodes=(lasting, spot, late))
    assert [node.name for node in kinds(found)] == ["a", "spot", "late"]
    assert [one.more for one in sized(found, Goal(Fraction(1), math.inf, 3), jobs)] == [0, 0, 0]
    found = replace(found, nodes=(replace(lasting, leaves=250.0), spot))
    jobs = [Job(f"team/{n}", 0.0, 150.0, whole) for n in range(2)]
    assert [one.more for one in sized(found, Goal(Fraction(1), math.inf, 3), jobs)] == [1, None]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60), st.sampled_from(("1g.10gb", "3g.40gb", "7g.80gb", "7g.80gb", "4g.24gb"))
        ),
        min_size=1,
        max_size=9,
    ),
    st.sampled_from((0.25, 60.0, math.inf)),
    st.sampled_from((Fraction(1, 2), Fraction(9, 10), Fraction(1))),
)
def test_the_need_is_what_trying_every_number_finds(
    wanted: list[tuple[int, str]], within: float, share: Fraction
) -> None:
    """With so many more nodes of a kind enough pods are served in time, and with one less they are not."""
    jobs = [
        Job(f"team/{n}", float(at), 90.0, {resource_name(profile): 1})
        for n, (at, profile) in enumerate(sorted(wanted))
    ]
    nodes = (
        machine("a", H100, "all-7g.80gb"),
        machine("b", A30, "all-4g.24gb"),
        machine("c", A30, "all-4g.24gb"),
    )
    found = replace(scenario(()), nodes=nodes)
    assert [node.name for node in kinds(found)] == ["a", "b"]
    for one in sized(found, Goal(share, within, 6), jobs):

        def enough(more: int, node: Node = one.node) -> bool:
            pods, served = bound_within(Planned(with_more(found, node, more)), iter(jobs), within)
            return pods == len(jobs) and served >= share * pods

        event(f"needed: {one.more}")
        tried = [enough(more) for more in range(7)]
        if one.more is None:
            assert not tried[6]
        else:
            assert tried[one.more]
            assert one.more == 0 or not tried[one.more - 1]
        if tried == sorted(tried):
            assert one.more == (tried.index(True) if any(tried) else None), "the fewest"
            event("more nodes never serve fewer pods")
