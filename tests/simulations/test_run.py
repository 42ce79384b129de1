"""A simulation keeps its books: no slice is used twice, every pod ends once, and all figures add up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core.budgets import Budget
from autoslicer.core.fitting import slices
from autoslicer.core.rows import PodRow
from simulations.run import Outcome, run, to_one_end
from simulations.scenario.scenario import Node, Scenario, Timing
from simulations.strategies.registry import STRATEGIES
from simulations.strategies.strategy import Strategy
from simulations.telling import answer
from simulations.workload.job import Job
from simulations.workload.mistakes import InputError
from simulations.workload.source import Format, Trace
from simulations.world import Row
from solver.profile_name import resource_name
from tests.simulations.worlds import A30, H100, auto

CONFIGS = {H100: ("all-7g.80gb", "all-1g.10gb", "all-balanced"), A30: ("all-4g.24gb", "all-1g.6gb")}
PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb", "1g.6gb", "4g.24gb")
GIB = 1 << 30
TIMING = Timing()

nodes = st.sampled_from(sorted(CONFIGS)).flatmap(
    lambda product: st.builds(
        Node,
        name=st.just(""),
        product=st.just(product),
        gpus=st.integers(1, 2),
        config=st.sampled_from(CONFIGS[product]),
        cpu=st.sampled_from((4_000, 64_000)),
        memory=st.just(64 * GIB),
        labels=st.just({}),
        taints=st.just(()),
        agent=st.booleans(),
    )
)
jobs = st.lists(
    st.builds(
        lambda at, profile, count, cpu, priority, duration: Job(
            "", at, duration, {resource_name(profile): count, **({"cpu": cpu} if cpu else {})}, priority
        ),
        st.integers(0, 1200).map(lambda quarters: quarters / 4),
        st.sampled_from(PROFILES),
        st.sampled_from((1, 1, 2)),
        st.sampled_from((0, 500, 3000)),
        st.sampled_from((0, 0, 10)),
        st.sampled_from((0.0, 7.25, 90.0, 400.0)),
    ),
    min_size=1,
    max_size=12,
)
timings = st.builds(
    Timing,
    schedule=st.sampled_from((0.0, 0.25)),
    apply=st.sampled_from((5.0, 30.0)),
    plugin=st.sampled_from((0.0, 6.0, 15.0)),
    failure_rate=st.just(0.0),
)


def scenario(machines: Sequence[Node], timing: Timing = TIMING, **policy: object) -> Scenario:
    """Some nodes with GPUs under a policy that acts at once; its workload is not read."""
    named = tuple(replace(node, name=f"node-{number}") for number, node in enumerate(machines))
    unread = Trace(path=None, format=Format.AUTOSLICER)  # type: ignore[arg-type]
    acting = auto(pending_seconds=0, batch_idle_seconds=0, batch_max_seconds=0, canary=False, budgets=())
    return Scenario(named, None, unread, replace(acting, **policy), timing, (), 1, {})  # type: ignore[arg-type]


def named(found: Sequence[Job]) -> list[Job]:
    """The jobs by arrival, each with a name of its own."""
    ordered = sorted(found, key=lambda job: job.arrival)
    return [replace(job, pod=f"team/{number}") for number, job in enumerate(ordered)]


def with_old_names(found: Sequence[Job]) -> list[Job]:
    """The same, but each job has the first name that no other has by then, if every pod runs at once."""
    until: list[float] = []
    again = []
    for job in named(found):
        assert job.duration is not None
        free = next((place for place, end in enumerate(until) if end <= job.arrival), len(until))
        until[free : free + 1] = [job.arrival + job.duration]
        again.append(replace(job, pod=f"team/{free}"))
    return again


def booked(strategy: Strategy) -> Counter[tuple[str, str]]:
    """From now on, how often each pod ends, by name and uid.

    A write fails where time ran back or a slice is missing.
    """
    ended, last = Counter[tuple[str, str]](), [strategy.world.clock.now]

    def look(old: Row | None, new: Row | None) -> None:
        now = strategy.world.clock.now
        assert last[0] <= now, "time ran back"
        last[0] = now
        if isinstance(new, PodRow) and new.phase == "Succeeded" and old is not None:
            ended[new.key, new.uid] += old.phase != "Succeeded"  # type: ignore[union-attr]
        if isinstance(new, PodRow) and new.phase == "Running":
            held = Counter(
                instance.profile
                for gpu in strategy.gpus[new.node]
                for instance in gpu.instances or ()
                if instance.holder == new.key
            )
            assert held == slices(new.requests), f"{new.key} runs without its slices"

    strategy.world.watch(look)
    return ended


def add_up(outcome: Outcome, given: Sequence[Job], ended: Counter[tuple[str, str]], nodes: int) -> None:
    """The figures say of the jobs what happened to them."""
    assert outcome.pods == len(given) == outcome.completed + outcome.unserved
    assert sum(ended.values()) == len(ended) == outcome.completed
    asked = Counter(next(iter(slices(job.requests))) for job in given)
    assert set(outcome.waits_by_profile) == set(asked)
    means = outcome.waits_by_profile.items()
    total = math.fsum(found.mean * asked[profile] for profile, found in means)
    assert total == pytest.approx(outcome.waits.mean * len(given), abs=0.01 * len(given))
    for found in (outcome.waits, *outcome.waits_by_profile.values()):
        assert 0 <= found.p50 <= found.p95 <= found.p99 <= found.max <= outcome.makespan
    assert 0 <= outcome.utilisation <= 1
    left = Counter(name for name, _ in ended)
    for job in given:
        if left[job.pod]:
            left[job.pod] -= 1
            assert outcome.makespan >= job.arrival + job.duration  # type: ignore[operator]
    assert not left.total()
    assert outcome.reshapes <= outcome.gpus_changed
    assert 0 <= outcome.node_unavailable <= outcome.makespan * nodes + 0.001


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=25, deadline=None)
@given(st.lists(nodes, min_size=1, max_size=3), jobs, timings, st.booleans())
def test_books_are_kept(
    name: str, machines: list[Node], given_jobs: list[Job], timing: Timing, again: bool
) -> None:
    """Whatever comes and whoever plans: nothing is used twice, lost or counted twice."""
    found = with_old_names(given_jobs) if again else named(given_jobs)
    strategy = STRATEGIES[name](scenario(machines, timing))
    ended = booked(strategy)
    outcome = run(name, strategy, iter(found))
    add_up(outcome, found, ended, len(machines))
    event(f"names came again: {len({job.pod for job in found}) < len(found)}")
    event("nodes were changed" if outcome.reshapes else "no node was changed")
    event("some pods were never served" if outcome.unserved else "every pod was served")


H100_NODE = Node("", H100, 1, "all-7g.80gb", 64_000, 64 * GIB, {}, (), True)


def outcome(name: str, found: Sequence[Job], timing: Timing = TIMING, **policy: object) -> Outcome:
    return run(name, STRATEGIES[name](scenario([H100_NODE], timing, **policy)), iter(named(found)))


def test_the_figures_of_one_pod() -> None:
    """A pod that fits waits for the scheduler alone, and holds its slices from binding to its end."""
    whole = Job("", 10.0, 100.0, {resource_name("7g.80gb"): 1})
    found = outcome("static", [whole])
    assert (found.pods, found.completed, found.unserved) == (1, 1, 0)
    assert found.waits.mean == found.waits_by_profile["7g.80gb"].max == 0.25
    assert found.makespan == pytest.approx(10.0 + 0.25 + 100.0, abs=1.0)
    assert found.utilisation == pytest.approx(100.5 / found.makespan, abs=0.01)
    assert (found.reshapes, found.node_unavailable) == (0, 0.0)


def test_a_change_costs_what_the_timing_says() -> None:
    """A pod that needs another layout waits for mig-manager and the device plugin, as long as each takes."""
    small = [Job("", 0.0, 50.0, {resource_name("1g.10gb"): 1})]
    quick = outcome("autoslicer", small, Timing(apply=5.0, plugin=5.0))
    slow = outcome("autoslicer", small, Timing(apply=65.0, plugin=35.0))
    assert (quick.reshapes, quick.gpus_changed, quick.completed) == (1, 1, 1)
    assert slow.waits.mean - quick.waits.mean == pytest.approx(90.0, abs=1.0)
    assert slow.node_unavailable - quick.node_unavailable == pytest.approx(90.0, abs=1.0)


def test_a_reboot_costs_what_the_timing_says() -> None:
    """Where MIG is off on an A100 that cannot be reset, the controller waits out the reboot of its node."""
    off = replace(H100_NODE, product="NVIDIA-A100-SXM4-80GB", config="all-disabled")
    jobs = [Job("team/one", 0.0, 50.0, {resource_name("1g.10gb"): 1})]

    def wait(reboot: float) -> float:
        given = scenario([off], Timing(reboot=reboot), allow_mode_change=True)
        found = run("autoslicer", STRATEGIES["autoslicer"](given), iter(jobs))
        assert (found.completed, found.reshapes) == (1, 1)
        return found.waits.mean

    assert wait(120.0) - wait(0.0) == pytest.approx(120.0 + 30.0, abs=2.0)


def test_a_run_that_fails_costs_time_and_not_the_pod() -> None:
    """Where half of mig-manager's runs fail, pods wait longer and are served all the same."""
    small = [Job("", 600.0 * n, 50.0, {resource_name(("1g.10gb", "3g.40gb")[n % 2]): 1}) for n in range(20)]
    well, badly = outcome("autoslicer", small), outcome("autoslicer", small, Timing(failure_rate=0.5))
    assert well.completed == badly.completed == 20
    assert badly.waits.mean > well.waits.mean + 10


def test_who_is_never_served_has_waited_until_the_end() -> None:
    """A strategy does not look better by leaving pods out."""
    jobs = [
        Job("", 0.0, 300.0, {resource_name("7g.80gb"): 1}),
        Job("", 100.0, 1.0, {resource_name("1g.10gb"): 1}),
    ]
    served, found = to_one_end([outcome("autoslicer", jobs), outcome("static", jobs)])
    assert (served.unserved, found.unserved) == (0, 1)
    assert served.waits.max < served.makespan - 100.0
    assert found.waits.max == pytest.approx(max(served.makespan, found.makespan) - 100.0)
    assert found.waits_by_profile["1g.10gb"].mean == found.waits.max


def test_who_serves_nobody_does_not_look_best() -> None:
    """Six pods after one another on one GPU: whoever leaves all of them out has them waiting for longer."""
    jobs = [Job("", float(second), 60.0, {resource_name("1g.10gb"): 7}) for second in range(6)]
    served, never = to_one_end([outcome("autoslicer", jobs), outcome("static", jobs)])
    assert (served.unserved, never.unserved, never.makespan) == (0, 6, 5.0)
    assert never.waits.mean > served.waits.mean
    assert never.waits_by_profile.keys() == served.waits_by_profile.keys()


def test_why_pods_are_left_is_told() -> None:
    """A fleet that failed thrice, a slice that no GPU has, or nothing: by the controller's own reasons."""
    jobs = named(
        [Job("", 0.0, 50.0, {resource_name(name): 1}) for name in ("1g.10gb", "1g.6gb", "7g.80gb", "2g.20gb")]
    )

    def left(name: str, found: Sequence[Job], rate: float) -> Outcome:
        four = scenario([H100_NODE] * 4, Timing(failure_rate=rate))
        return run(name, STRATEGIES[name](four), iter(found))

    badly = left("autoslicer", jobs, 1.0)
    assert badly.reasons == {"CircuitOpen": 2, "NoFeasibleLayout": 1}
    assert "Why autoslicer leaves pods in the end: 2 CircuitOpen, 1 NoFeasibleLayout." in answer([badly])
    late = [replace(jobs[1], arrival=at) for at in (60.0, 120.0)]
    behind = left("autoslicer", [*jobs, Job("team/cpu", 60.0, 1.0, {"cpu": 10**9}), *late], 1.0)
    assert behind.unserved == sum(behind.reasons.values()) == 6
    assert list(behind.reasons.items())[1:] == [
        ("NoFeasibleLayout", 1),
        ("behind a pod of the same name", 2),
        ("not said", 1),
    ]
    well = left("autoslicer", [job for job in jobs if job.pod != "team/1"], 0.0)
    assert (well.unserved, well.reasons, len(list(answer([well])))) == (0, {}, 1)
    assert left("static", jobs, 0.0).reasons == {}


def test_what_comes_after_the_last_pod_is_no_part_of_the_run() -> None:
    """A change that fails for ever goes on long after, and costs no node a second of the story."""
    job = Job("", 5.0, 50.0, {resource_name("1g.10gb"): 1})
    found = outcome("autoslicer", [job], Timing(failure_rate=1.0))
    assert (found.unserved, found.reshapes, found.gpus_changed) == (1, 0, 0)
    assert (found.makespan, found.node_unavailable) == (5.0, 0.0)


def test_wishes_for_the_night_do_not_keep_a_simulation_from_ending() -> None:
    """A budget that opens at night wakes the controller for ever, and the run ends all the same."""
    shut = (Budget("0", "0 1 * * *", 3600),)
    impossible = [Job("", 0.0, 10.0, {resource_name("1g.6gb"): 1})]
    assert outcome("autoslicer", impossible, budgets=shut).unserved == 1


def test_a_name_comes_again_when_its_pod_has_gone() -> None:
    """Whoever is slow sees the same trace: the second pod waits for its name, from its own arrival on."""
    big = {resource_name("7g.80gb"): 1}
    first, other = Job("team/first", 0.0, 50.0, big), Job("team/same", 1.0, 5.0, big)
    trace = [first, other, Job("team/same", 10.0, 5.0, big)]
    strategy = STRATEGIES["static"](scenario([H100_NODE]))
    ended = booked(strategy)
    found = run("static", strategy, iter(trace))
    add_up(found, trace, ended, 1)
    assert (found.pods, found.completed) == (3, 3)
    assert found.waits.max == pytest.approx(50.0 - 1.0, abs=2.0)
    assert found.waits.p50 == pytest.approx(50.0 + 5.0 - 10.0, abs=2.0)


def test_who_waits_for_a_name_for_ever_is_counted() -> None:
    """The pod before is never served: both have come, and none is."""
    trace = [Job("team/same", at, 5.0, {resource_name("7g.80gb"): 2}) for at in (0.0, 10.0)]
    found = run("static", STRATEGIES["static"](scenario([H100_NODE])), iter(trace))
    assert (found.pods, found.unserved, found.makespan) == (2, 2, 10.0)
    assert (found.waits.mean, found.waits.max) == (5.0, 10.0)


def test_virtual_time_ends_with_a_sentence() -> None:
    """A row of pods that take a hundred years each comes to years that no object could carry."""
    century = 3_153_600_000.0
    first, second = (
        [Job(f"team/{number}", 0.0, century, {resource_name("7g.80gb"): 1}) for number in range(pods)]
        for pods in (2, 75)
    )
    assert run("static", STRATEGIES["static"](scenario([H100_NODE])), iter(first)).completed == 2
    with pytest.raises(InputError, match="takes until the year 9000; shorten"):
        run("static", STRATEGIES["static"](scenario([H100_NODE])), iter(second))
