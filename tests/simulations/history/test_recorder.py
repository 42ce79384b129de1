"""The history of a run says what its figures say, moment by moment."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core.fitting import slices
from simulations.history.bands import MOST_LAYOUTS, GpuBand
from simulations.history.history import MOST_NODES, QUANTILES, distribution
from simulations.history.steps import Course
from simulations.run import recorded, run
from simulations.scenario.load import load
from simulations.scenario.scenario import Node, Timing, digest
from simulations.strategies.registry import STRATEGIES
from simulations.study import outcomes, recordings
from simulations.workers import Processes
from simulations.workload.job import Job
from solver.profile_name import resource_name
from tests.simulations.test_run import H100_NODE, jobs, named, nodes, scenario, timings

SHIPPED = Path(__file__).parents[3] / "simulations" / "scenarios"


def area(course: Course, until: float) -> float:
    """Under a course; its last span may be shorter."""
    starts = (index * course.width for index in range(len(course.means)))
    return math.fsum(
        (min(until, start + course.width) - start) * mean
        for start, mean in zip(starts, course.means, strict=True)
    )


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=15, deadline=None)
@given(st.lists(nodes, min_size=1, max_size=3), jobs, timings)
def test_figures_and_history_agree(
    name: str, machines: list[Node], given_jobs: list[Job], timing: Timing
) -> None:
    """Waits and slices in use are the areas under their courses, and who looks on changes nothing."""
    found, given_scenario = named(given_jobs), scenario(machines, timing)
    outcome, history = recorded(name, STRATEGIES[name](given_scenario), iter(found))
    unseen = run(name, STRATEGIES[name](given_scenario), iter(found))
    assert replace(outcome, thought=0.0) == replace(unseen, thought=0.0)
    held = sum(
        area(supply.used, history.seconds) * history.sizes[p] for p, supply in history.supplies.items()
    )
    assert held == pytest.approx(area(history.used, history.seconds), rel=1e-6, abs=1e-3)
    capacity = area(history.there, history.seconds)
    assert held == pytest.approx(outcome.utilisation * capacity, abs=1e-3 * capacity + 1e-6)
    for supply in history.supplies.values():
        for used, offered in zip(supply.used.highs, supply.offered.highs, strict=True):
            assert used <= offered
    for profile, told in history.waits.items():
        waits = outcome.waits_by_profile[profile]
        assert told.bound + told.unserved == sum(profile in slices(job.requests) for job in found)
        assert told.unserved or round(told.quantiles[-1], 3) == waits.max
    if not outcome.unserved:
        waited = sum(area(supply.waiting, history.seconds) for supply in history.supplies.values())
        asked = {job.pod: sum(slices(job.requests).values()) for job in found}
        least, most = min(asked.values()), max(asked.values())
        total = outcome.waits.mean * len(found)
        assert least * total - 0.1 <= waited <= most * total + 0.1
    changes = sum(node.changes_in_all for node in history.nodes)
    assert changes >= bool(outcome.reshapes)
    event("nodes were changed" if changes else "no node was changed")
    event("slices were stranded" if any(history.stranded.highs) else "no slice was stranded")


def test_stranded_slices_are_those_that_nobody_who_waits_can_use() -> None:
    """Free slices are stranded while a pod waits for a profile that there is none of; else not."""
    whole, small = resource_name("7g.80gb"), resource_name("1g.10gb")
    lone = scenario([H100_NODE])
    waits = [Job("team/a", 100.0, 50.0, {small: 1}), Job("team/b", 300.0, 50.0, {whole: 1})]
    _, history = recorded("static", STRATEGIES["static"](lone), iter(waits))
    course = history.supplies["7g.80gb"].stranded
    at = [index * course.width for index, high in enumerate(course.highs) if high]
    assert at[0] == 100.0
    assert not any(history.supplies["1g.10gb"].stranded.highs)
    _, history = recorded("static", STRATEGIES["static"](lone), iter(waits[1:]))
    assert not any(history.stranded.highs)


def test_a_reshape_is_seen_from_the_taint_to_the_slices() -> None:
    """The node's band shows both layouts, and the time in which it took no pod."""
    found = [Job("team/a", 10.0, 50.0, {resource_name("1g.10gb"): 1})]
    outcome, history = recorded("autoslicer", STRATEGIES["autoslicer"](scenario([H100_NODE])), iter(found))
    (node,) = history.nodes
    ((since, before), (then, after)) = node.gpus[0].layouts
    assert (since, before) == (0.0, (("7g.80gb", 1),))
    assert dict(after or ())["1g.10gb"] >= 1
    (change,) = node.changes
    assert 10.0 <= change.since < then < (change.until or 0.0)
    assert (change.until or 0.0) - change.since == pytest.approx(outcome.node_unavailable, abs=0.01)


def test_of_many_nodes_those_that_changed_most_are_kept() -> None:
    """A report of a large cluster stays small, and does not show what never changed."""
    many = [replace(H100_NODE, config="all-7g.80gb") for _ in range(MOST_NODES + 2)]
    found = [Job("team/a", 10.0, 50.0, {resource_name("1g.10gb"): 1})]
    _, history = recorded("autoslicer", STRATEGIES["autoslicer"](scenario(many)), iter(found))
    assert (len(history.nodes), history.nodes_in_all) == (1, MOST_NODES + 2)
    _, history = recorded("autoslicer", STRATEGIES["autoslicer"](scenario(many[:3])), iter(found))
    assert [node.node for node in history.nodes] == ["node-0", "node-1", "node-2"]


@given(st.lists(st.floats(0.01, 50.0), max_size=1500))
def test_bands_are_bounded(gaps: list[float]) -> None:
    """However often a GPU is cut, its band ends with the layout that it has and runs forward in time."""
    band, at = GpuBand([(0.0, None)]), 0.0
    last = None
    for index, gap in enumerate(gaps):
        at += gap
        last = (("1g.10gb", index % 7),)
        band.add(at, last)
    assert len(band.layouts) <= MOST_LAYOUTS
    assert band.layouts[0][0] == 0.0
    assert band.layouts[-1][1] == last
    assert [since for since, _ in band.layouts] == sorted({since for since, _ in band.layouts})
    event("thinned" if len(gaps) >= MOST_LAYOUTS else "all kept")


@given(st.lists(st.floats(0, 1e6), max_size=3 * QUANTILES))
def test_distributions_are_bounded(waits: list[float]) -> None:
    """Quantiles are waits that occurred, in order, with the longest last."""
    found = distribution(waits, 0)
    assert len(found.quantiles) == min(len(waits), QUANTILES)
    assert list(found.quantiles) == sorted(found.quantiles)
    assert set(found.quantiles) <= set(waits)
    assert not waits or found.quantiles[-1] == max(waits)


def test_histories_come_back_from_other_processes() -> None:
    """Side by side or one after the other: the same histories beside the same outcomes."""
    given_scenario = load(SHIPPED / "trace.yaml")
    asked = [(given_scenario, digest(given_scenario))]
    (alone,) = recordings(asked, Processes(1), lenient=False)
    (apart,) = recordings(asked, Processes(2), lenient=False)
    assert [history for _, history in alone] == [history for _, history in apart]
    (without,) = outcomes(asked, Processes(1), lenient=False)
    assert [replace(one, thought=0.0) for one, _ in alone] == [replace(one, thought=0.0) for one in without]
    assert all(len(pickle.dumps(history)) < 1_000_000 for _, history in alone)


def test_who_waits_for_a_name_is_demand() -> None:
    """The slices of pods that have come but cannot be created yet are asked for, and not stranded."""
    big, small = ({resource_name(name): 1} for name in ("7g.80gb", "1g.10gb"))
    trace = [Job("team/a", 0.0, 100.0, big), Job("team/b", 0.0, 10.0, big), Job("team/b", 20.0, 10.0, small)]
    machines = [H100_NODE, replace(H100_NODE, config="all-1g.10gb")]
    _, history = recorded("static", STRATEGIES["static"](scenario(machines)), iter(trace))
    wanted = history.supplies["1g.10gb"].waiting
    assert area(wanted, history.seconds) == pytest.approx(90.0, abs=2.0)
    assert max(wanted.highs) == 1
