"""A node is kept for pods that starve until the pods on its GPUs have ended, where the policy asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core.actions import AddTaint, RemoveTaint
from autoslicer.core.changes.observation import sight
from autoslicer.core.cycle import Decision
from autoslicer.core.phases import Phase
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, change, mignode, pod, policy
from tests.core.reservations import (
    AFTER,
    ONES,
    TIMEOUT,
    changes,
    decision,
    job,
    machine,
    reserving,
    starving,
)
from tests.core.stages import (
    BEFORE,
    NODE,
    UNLABELLED,
    Stage,
    acts,
    ending,
    events,
    ready,
    stage,
    succeeded,
    wakes,
)


def scene(**more: Builder | None) -> dict[str, Builder]:
    """Two pods hold the one GPU of the only node, and a pod that needs all of it starves."""
    found: dict[str, Builder | None] = {
        "full": machine(),
        "a": job("low/a"),
        "b": job("low/b", restart="OnFailure"),
        "large": starving(),
        "policy": reserving(),
        **more,
    }
    return {word: made for word, made in found.items() if made is not None}


def decided(**more: Builder | None) -> Decision:
    """What the cycle concludes about the scene."""
    return decision(*scene(**more).values())


def created(**more: Builder | None) -> list[ReconfigurationRow]:
    """The changes that it creates."""
    return changes(*scene(**more).values())


def ended(name: str, reason: Reason, at: float = NOON - 60) -> Builder:
    """A change of the node, reserved and cancelled a minute ago."""
    steps = [{"phase": "Cancelled", "at": rfc3339(at), "message": ""}]
    why = {
        "type": "Succeeded",
        "status": "False",
        "reason": reason,
        "message": "",
        "lastTransitionTime": rfc3339(at),
    }
    made = change("gone", [ONES], [{"7g.80gb": 1}], phase="Cancelled", serves=("x/y",))
    return (
        made.set("metadata.name", name)
        .set("spec.reserve", True)
        .set("status", {"phase": "Cancelled", "steps": steps, "conditions": [why]})
    )


def test_a_node_is_reserved_for_a_pod_that_starves() -> None:
    """The change serves it, asks for nobody's eviction, and will wait for those that run."""
    [made] = created()
    assert (made.node, made.serves, made.evicts, made.reserve) == ("full", ("high/large",), (), True)
    assert [gpu.after for gpu in made.gpus] == [(("7g.80gb", 1),)]


@pytest.mark.parametrize(
    "more",
    [
        {"policy": policy()},
        {"policy": reserving(after=0)},
        {"large": starving(since=AFTER - 1)},
        {"a": job("low/a", restart="Always")},
        {"a": job("low/a").set("spec.restartPolicy", None)},
        {"large": starving().set("spec.nodeSelector", {"pool": "other"})},
        {"large": starving().wants({"7g.80gb": 2})},
        {"full": machine().cordoned()},
        {"vain": ended("gone-1", Reason.DrainBlocked)},
    ],
    ids=[
        *("not asked for", "never", "not starving yet", "one never ends", "nobody knows whether it ends"),
        *("selects other nodes", "too large", "cordoned", "in vain just before"),
    ],
)
def test_no_node_is_reserved(more: dict[str, Builder | None]) -> None:
    """Unless the policy asks for it, the pod starves, and the pods that run will end and make room for it."""
    assert created(**more) == []


def test_a_reservation_that_was_not_needed_is_no_reason_to_wait() -> None:
    """Only one that waited in vain lets its policy rest for `afterSeconds`."""
    assert created(other=ended("gone-1", Reason.ServedElsewhere))
    assert created(old=ended("gone-1", Reason.DrainBlocked, at=NOON - AFTER))


def test_the_next_pod_to_starve_wakes_the_controller() -> None:
    """Time alone makes a pod starve: nothing else would cause a cycle then."""
    assert decided(large=starving(since=AFTER - 7)).wake == NOON + 7
    assert decided(vain=ended("gone-1", Reason.DrainBlocked)).wake == NOON - 60 + AFTER


def test_the_gpu_with_the_fewest_pods_is_waited_for() -> None:
    """Where an agent tells who is where, the other GPUs keep their layout."""
    pods = {name: job(f"low/{name}") for name in "abcd"}
    agent = mignode("full").gpu(ONES, pods={"1g.10gb": ["low/a", "low/b", "low/c"]})
    [made] = created(full=machine(gpus=2), agent=agent.gpu(ONES, pods={"1g.10gb": ["low/d"]}), **pods)
    assert [gpu.changed for gpu in made.gpus] == [False, True]


def test_a_pod_that_needs_two_gpus_waits_for_both() -> None:
    """All of a pod's slices lie on one node, so that as many GPUs as it needs are reserved there."""
    pods = {name: job(f"low/{name}") for name in "abc"}
    agent = mignode("full").gpu(ONES, pods={"1g.10gb": ["low/a", "low/b"]})
    agent = agent.gpu(ONES, pods={"1g.10gb": ["low/c"]})
    more = {"full": machine(gpus=2), "agent": agent, "large": starving().wants({"7g.80gb": 2}), **pods}
    [made] = created(**more)
    assert [gpu.changed for gpu in made.gpus] == [True, True]


def test_a_strangers_process_is_not_waited_for() -> None:
    """Nobody knows when it ends: its GPU is left alone, the other one is reserved."""
    pods = {name: job(f"low/{name}") for name in "abc"}
    agent = mignode("full").gpu(ONES, pods={"1g.10gb": ["low/a", "low/b"]})
    stranger = agent.gpu(ONES, pods={"1g.10gb": ["low/c"]}, processes=1)
    [made] = created(full=machine(gpus=2), agent=stranger, **pods)
    assert [gpu.changed for gpu in made.gpus] == [True, False]


def test_so_many_nodes_are_reserved_at_once() -> None:
    """One by default, and `nodes` at most; each for pods that the others do not serve."""
    more: dict[str, Builder | None] = {
        "second": machine("second"),
        "c": job("low/c", on="second"),
        "next": starving("high/next", since=AFTER + 1),
    }
    [one] = created(**more)
    assert (one.node, one.serves) == ("second", ("high/next",))
    both = created(policy=reserving(nodes=2).set("spec.disruption.budgets", [{"nodes": "100%"}]), **more)
    assert {made.node: made.serves for made in both} == {"second": ("high/next",), "full": ("high/large",)}


def test_the_first_in_order_is_served() -> None:
    """Of pods that starve the one of the highest priority comes first, then the oldest."""
    [oldest] = created(old=starving("low/old", since=2 * AFTER))
    assert oldest.serves == ("low/old",)
    [first] = created(old=starving("low/old", since=2 * AFTER), large=starving().priority(5))
    assert first.serves == ("high/large",)


def test_where_an_idle_node_will_do_none_is_reserved() -> None:
    """The usual plan comes first."""
    [made] = created(idle=machine("idle"))
    assert (made.node, made.reserve) == ("idle", False)


# how the change is carried out


def waiting_for(phase: Phase, *, restart: str = "Never", here: Stage | None = None) -> Stage:
    """A reserving change in that phase, while a pod still runs on its node."""
    there = (here or stage(phase)).vary("change", lambda made: made.set("spec.reserve", True))
    running = pod("low/job").wants({"7g.80gb": 1}).on(NODE).set("spec.restartPolicy", restart)
    return there.put(policy=reserving(), job=running)


def test_the_taint_comes_while_pods_run() -> None:
    """From then on no other pod takes what gets free; the pods have the policy's time to end."""
    status, actions = waiting_for(Phase.WAITING).look()
    assert status.phase == Phase.VALIDATED
    _, actions = waiting_for(Phase.VALIDATED).look()
    assert any(isinstance(action, AddTaint) for action in actions)
    status, _ = waiting_for(Phase.VALIDATED, here=ready(Phase.VALIDATED)).look()
    assert (status.phase, status.deadline) == (Phase.TAINTED, NOON + TIMEOUT + 1)
    assert "until those on the GPUs have ended" in status.steps[-1].message


def test_without_a_reservation_a_running_pod_ends_the_change() -> None:
    """The twin: a change that does not wait is cancelled by the same pod."""
    for phase in UNLABELLED:
        here = waiting_for(phase).vary("change", lambda made: made.set("spec.reserve", False))
        assert ending(here.look()[0])[::2] == (Phase.CANCELLED, Reason.NodeBusy)


def test_it_waits_and_looks_again() -> None:
    """While a pod runs nothing is done but to look again in some seconds, and at the deadline."""
    status, actions = waiting_for(Phase.TAINTED).look()
    assert (status.phase, acts(actions)) == (Phase.TAINTED, ())
    assert wakes(actions) == [NOON + 5, NOON + 60]


def test_it_goes_on_once_they_have_ended() -> None:
    """Idle GPUs are confirmed as for every change."""
    here = waiting_for(Phase.TAINTED).drop("job")
    sightings = sight((), here.change, here.observation, NOON - 1)
    seen = replace(here, sightings=sight(sightings, here.change, here.observation, NOON))
    assert seen.look()[0].phase == Phase.DRAINED
    running = waiting_for(Phase.TAINTED)
    assert sight(sightings, running.change, running.observation, NOON) == ()


def test_a_process_that_outlasts_its_pods_listing_is_waited_for() -> None:
    """The wait is not given up in its last second, nor is the GPU taken for idle."""
    agent = mignode(NODE).gpu(BEFORE[0], processes=1).gpu(BEFORE[1])
    here = waiting_for(Phase.TAINTED).drop("job").put(agent=agent)
    assert here.look()[0].phase == Phase.TAINTED
    assert sight((), here.change, here.observation, NOON) == ()
    other = here.vary("change", lambda made: made.set("spec.reserve", False))
    assert ending(other.look()[0])[::2] == (Phase.CANCELLED, Reason.GpuBusy)


def test_in_vain_it_gives_the_node_back() -> None:
    """At the deadline the taint goes, and the reason tells why."""
    status, actions = waiting_for(Phase.TAINTED).at(NOON + 60).look()
    assert ending(status) == (Phase.CANCELLED, "False", Reason.DrainBlocked)
    assert [type(action) for action in acts(actions)] == [RemoveTaint]
    assert events(actions) == [("Warning", Reason.DrainBlocked)]
    assert succeeded(status).message == "low/job did not end in time"


@pytest.mark.parametrize("phase", [Phase.DRAINED, Phase.PUBLISHED])
def test_once_the_gpus_were_idle_no_pod_is_waited_for(phase: Phase) -> None:
    """A pod that slipped in all the same ends the change, as it ends every other: no label is set."""
    assert ending(waiting_for(phase).look()[0])[::2] == (Phase.CANCELLED, Reason.NodeBusy)


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.VALIDATED, Phase.TAINTED])
def test_a_pod_that_never_ends_is_not_waited_for(phase: Phase) -> None:
    """One that came in between ends the change at once instead of keeping the node closed for nothing."""
    here = waiting_for(phase, restart="Always")
    assert ending(here.look()[0])[::2] == (Phase.CANCELLED, Reason.NodeBusy)


def test_a_policy_that_reserves_no_more_gives_the_node_back() -> None:
    """Whoever turns it off need not wait for the time-out."""
    here = waiting_for(Phase.TAINTED).put(policy=reserving(after=0))
    assert ending(here.look()[0])[::2] == (Phase.CANCELLED, Reason.Superseded)


def test_a_pod_that_was_served_elsewhere_gives_the_node_back() -> None:
    """Nobody starves any more."""
    here = waiting_for(Phase.TAINTED).drop("a", "b")
    assert ending(here.look()[0])[::2] == (Phase.CANCELLED, Reason.ServedElsewhere)
