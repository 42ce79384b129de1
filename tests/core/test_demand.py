"""Which pods wait for slices."""

from __future__ import annotations

import pytest

from autoslicer.core import reading
from autoslicer.core.demand import demand, ripening
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from tests.build import NOON, Pod, change, node, pod, policy
from tests.core.scenes import planned, served, snapshot

WAITS = pod("ns/x").wants({"1g.10gb": 1})


def keys(*pods: Pod, waiting: bool = True) -> set[str]:
    """The keys of the pods that are demand."""
    return {found.key for found in demand(snapshot(*pods), waiting=waiting).pods}


def test_an_unschedulable_pod_that_asks_for_slices_is_demand() -> None:
    """So is one whose init container asks, and one that asks for other things beside."""
    starts = pod("ns/y").set("spec.initContainers", WAITS.raw["spec"]["containers"])
    both = pod("ns/z").wants({"1g.10gb": 1}).resources({"nvidia.com/gpu": "1"})
    assert keys(WAITS, starts, both) == {"ns/x", "ns/y", "ns/z"}


@pytest.mark.parametrize(
    "made",
    [
        pod("ns/x"),
        pod("ns/x").resources({"nvidia.com/gpu": "1"}),
        pod("ns/x").resources({"nvidia.com/mig-1g.10gb": "0"}),
        pod("ns/x").resources({"nvidia.com/mig-1g.10gb.shared": "1"}),  # no profile that a layout could make
        WAITS.on("a"),
        WAITS.phase("Succeeded"),
    ],
)
def test_what_does_not_wait_for_slices(made: Pod) -> None:
    """Such a pod is neither demand nor worth a word."""
    found = demand(snapshot(made), waiting=False)
    assert (found.pods, found.excluded) == ((), ())


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (WAITS.set("spec.schedulingGates", [{"name": "queue"}]), Reason.Gated),
        (WAITS.deleting(), Reason.Terminating),
        (WAITS.annotations({"autoslicer.dev/ignore": "true"}), Reason.OptedOut),
        (WAITS.untried(), Reason.NotTried),
        (WAITS.condition("PodScheduled", "False", "SchedulerError"), Reason.NotTried),
        (WAITS.set("spec.schedulerName", "volcano"), Reason.OtherScheduler),
        (WAITS.nominated("a"), Reason.Preempting),
    ],
)
def test_what_waits_but_is_no_demand(made: Pod, reason: Reason) -> None:
    """The reason is told; the twin without the mark is demand."""
    found = demand(snapshot(made), waiting=True)
    assert [(v.name, v.reason) for v in found.excluded] == [("ns/x", reason)]
    assert found.pods == ()
    assert keys(WAITS) == {"ns/x"}


def test_the_command_line_counts_pods_that_were_not_tried() -> None:
    """A manifest written by hand has no status."""
    assert keys(WAITS.untried(), waiting=False) == {"ns/x"}
    assert keys(WAITS.untried(), waiting=True) == set()


def test_what_a_live_change_serves_is_promised() -> None:
    """Its pods are no demand while it lives, and demand again when it has ended."""
    nodes = node("a").gpus(1).config("all-7g.80gb")
    live = change("a", [{"7g.80gb": 1}], [{"1g.10gb": 7}], serves=("ns/x",))
    found = demand(snapshot(nodes, live, WAITS), waiting=True)
    assert (found.pods, dict(found.promised)) == ((), {"ns/x": "a"})
    ended = change("a", [{"7g.80gb": 1}], [{"1g.10gb": 7}], phase="Cancelled", serves=("ns/x",))
    found = demand(snapshot(nodes, ended, WAITS), waiting=True)
    assert ([one.key for one in found.pods], dict(found.promised)) == (["ns/x"], {})


def test_our_own_hint_is_no_preemption() -> None:
    """A pod that an ended change of ours served and nominated is demand; nominated elsewhere it is not."""
    done = change("a", [{"7g.80gb": 1}], [{"1g.10gb": 7}], phase="Done", serves=("ns/x",))
    assert {p.key for p in demand(snapshot(done, WAITS.nominated("a")), waiting=True).pods} == {"ns/x"}
    assert demand(snapshot(done, WAITS.nominated("b")), waiting=True).pods == ()


def windowed(name: str, pending: int, zone: str) -> Policy:
    """A policy over a zone with that window."""
    return reading.policy(policy(name, {"zone": zone}).set("spec.trigger.pendingSeconds", pending).raw)


def test_a_pod_waits_out_each_policys_window() -> None:
    """Only nodes of policies whose window has passed change for it; the command line asks for no window."""
    policies = {"quick": windowed("quick", 5, "q"), "slow": windowed("slow", 60, "s")}
    quick = node("q").gpus(1).config("all-7g.80gb").labels({"zone": "q"})
    slow = node("s").gpus(1).config("all-7g.80gb").labels({"zone": "s"})
    young = WAITS.unschedulable(NOON - 10)
    assert served(planned(quick, slow, young, policies=policies, waiting=True)) == {"ns/x": "q"}
    assert served(planned(slow, young, policies=policies, waiting=True)) == {}
    assert served(planned(slow, young, policies=policies)) == {"ns/x": "s"}
    old = WAITS.unschedulable(NOON - 60)
    assert served(planned(slow, old, policies=policies, waiting=True)) == {"ns/x": "s"}


def test_a_pod_that_is_too_young_for_every_policy_is_not_planned_for() -> None:
    """It is in neither list of the plan."""
    policies = {"slow": windowed("slow", 60, "s")}
    made = planned(
        node("s").gpus(1).config("all-7g.80gb").labels({"zone": "s"}),
        WAITS.unschedulable(NOON),
        policies=policies,
        waiting=True,
    )
    assert (made.pending_pods, made.served, made.unserved) == (0, (), ())


def test_the_next_window() -> None:
    """The earliest end of a window that has not passed; none where all have."""
    policies = {"quick": windowed("quick", 5, "q"), "slow": windowed("slow", 60, "s")}
    found = snapshot(
        WAITS.unschedulable(NOON - 10), pod("ns/y").wants({"1g.10gb": 1}).unschedulable(NOON - 2)
    )
    wanted = demand(found, waiting=True)
    moments = {at: ripening(wanted.arrivals, policies, NOON + at) for at in (0, 3, 50, 58)}
    assert [found.wake for found in moments.values()] == [NOON + 3, NOON + 50, NOON + 58, None]
    quick, both = frozenset({"quick"}), frozenset({"quick", "slow"})
    assert [found.policies.get("ns/y", both) for found in moments.values()] == [
        frozenset(),
        quick,
        quick,
        both,
    ]
