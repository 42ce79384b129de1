"""How policies stand."""

from __future__ import annotations

import pytest

from autoslicer.core import configs
from autoslicer.core.actions import PolicyStatus
from autoslicer.core.cycle import decide
from autoslicer.core.pacing.fleet import FleetLimits
from autoslicer.core.planner import Prepared
from autoslicer.core.rows import Condition
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, change, config_map, mig_manager, node, pod, policy
from tests.core.scenes import POLICIES, snapshot

SEVEN = {"7g.80gb": 1}


def machine(name: str, **labels: str) -> tuple[Builder, Builder]:
    return node(name).gpus(1).config("all-7g.80gb").labels(labels), mig_manager(name)


def known() -> Builder:
    return config_map({name: configs.DEFAULTS[name] for name in ("all-disabled", "all-7g.80gb")})


def statuses(*objects: Builder, now: float = NOON) -> dict[str, PolicyStatus]:
    """The status that a cycle gives each policy, with our ConfigMap among the objects."""
    found = snapshot(known(), *objects)
    decision, _ = decide(found, found.policies, now, Prepared())
    return {action.name: action for action in decision.actions if isinstance(action, PolicyStatus)}


def ready(status: PolicyStatus) -> Condition:
    [found] = [condition for condition in status.conditions if condition.type == "Ready"]
    return found


def test_a_policy_that_can_act_is_ready() -> None:
    """It says how many nodes it governs, and of which generation of it that is true."""
    status = statuses(policy().set("metadata.generation", 4), *machine("a"), *machine("b"))["default"]
    found = ready(status)
    assert (found.status, found.reason, found.message) == ("True", "Ready", "governs 2 nodes")
    assert (found.since, found.generation, status.generation) == (NOON, 4, 4)


def brokens() -> list[tuple[str, tuple[Builder, ...]]]:
    path = policy().set("spec.layouts", {"configMap": {"name": "other"}})
    return [
        ("Suspended", (policy().set("spec.suspend", True), *machine("a"))),
        ("NotGoverned", (policy(),)),
        ("ApplyPathMissing", (policy(), machine("a")[0])),
        ("ApplyPathNotConfigured", (path, *machine("a"))),
        ("ApplyPathMissing", (path, *machine("b"), machine("a")[0])),
    ]


def test_a_node_that_no_config_reaches_is_told_and_holds_no_other_up() -> None:
    """A policy that can act on one of its nodes is ready."""
    found = ready(statuses(policy(), *machine("b"), machine("a")[0])["default"])
    assert (found.status, found.reason) == ("True", "Ready")
    assert found.message == "governs 2 nodes; no config reaches 1 of them: no mig-manager pod runs on node a"


@pytest.mark.parametrize(("reason", "objects"), brokens())
def test_what_keeps_a_policy_from_acting_is_its_reason(reason: str, objects: tuple[Builder, ...]) -> None:
    """The first in the order of reasons."""
    found = ready(statuses(*objects)["default"])
    assert (found.status, found.reason) == ("False", reason)


def test_a_pause_is_told_on_every_policy() -> None:
    """Before anything else that keeps it from acting."""
    found = snapshot(known(), policy("p").set("spec.suspend", True), policy("q", {"x": "y"}), *machine("a"))
    limits = FleetLimits(paused="paused since noon by kim")
    decision, _ = decide(found, found.policies, NOON, Prepared(), limits=limits)
    told = [ready(action) for action in decision.actions if isinstance(action, PolicyStatus)]
    assert [(c.status, c.reason, c.message) for c in told] == [
        ("False", "Paused", "paused since noon by kim")
    ] * 2


def test_a_tie_is_told_on_both_policies() -> None:
    """Each names the node and the other; a policy that claims other nodes stays ready."""
    one, two = policy("one", {"team": "a"}), policy("two", {"zone": "b"})
    third = policy("third", {"own": "yes"})
    world = (*machine("shared", team="a", zone="b"), *machine("mine", team="a"), *machine("own", own="yes"))
    found = statuses(one, two, third, *world)
    for name in ("one", "two"):
        assert ready(found[name]).reason == "PolicyConflict"
        assert ready(found[name]).message.startswith("node shared: policies one and two claim")
    assert ready(found["third"]).reason == "Ready"
    assert (found["one"].governed, found["two"].governed) == (1, 0)


def test_a_more_specific_policy_settles_a_tie() -> None:
    """Those that it overrules are not in conflict over its nodes."""
    one, two = policy("one", {"team": "a"}), policy("two", {"zone": "b"})
    best = policy("best", {"team": "a", "zone": "b"})
    found = statuses(one, two, best, *machine("shared", team="a", zone="b"), *machine("mine", team="a"))
    assert {name: ready(status).reason for name, status in found.items()} == {
        "one": "Ready",
        "two": "NotGoverned",
        "best": "Ready",
    }


@pytest.mark.parametrize(
    ("status", "reason", "moves"), [("True", "Ready", False), ("False", "Suspended", True)]
)
def test_a_transition_time_moves_with_the_status_alone(status: str, reason: str, moves: bool) -> None:
    """A new message or generation is no transition."""
    old = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": "governs 7 nodes",
        "lastTransitionTime": rfc3339(NOON - 500),
        "observedGeneration": 1,
    }
    known = policy().set("status.conditions", [{**old, "type": "Other", "status": "True"}, old])
    found = ready(statuses(known.set("metadata.generation", 2), *machine("a"))["default"])
    assert (found.status, found.message, found.generation) == ("True", "governs 1 node", 2)
    assert found.since == (NOON if moves else NOON - 500)


def test_pods_are_counted_by_what_can_be_done_for_them() -> None:
    """All that wait; those without a free slice; and those that a change of this policy's nodes serves."""
    one, two = policy("one", {"team": "a"}), policy("two", {"team": "b"})
    pods = [pod(f"t/{n}").wants({"3g.40gb": 1}) for n in range(3)]
    free = pod("t/free").wants({"7g.80gb": 1})
    never = pod("t/never").wants({"4g.20gb": 1})
    under_way = change("busy", [SEVEN], [{"1g.10gb": 7}], phase="Tainted", serves=("t/promised",))
    promised = pod("t/promised").wants({"1g.10gb": 1})
    world = [
        *machine("a", team="a"),
        *machine("b", team="b"),
        *machine("c", team="b"),
        *machine("busy", team="b"),
    ]
    found = statuses(one, two, *world, *pods, free, never, promised, under_way.set("spec.policy", "two"))
    assert {(status.pending, status.lacking) for status in found.values()} == {(6, 5)}
    assert sum(status.servable for status in found.values()) == 4
    assert (found["one"].reshaping, found["two"].reshaping) == (0, 1)
    assert (found["one"].governed, found["two"].governed) == (1, 3)


def test_waiting_changes_are_no_reshapes_yet() -> None:
    """Only started ones count as reshaping."""
    waiting = change("a", [SEVEN], [{"1g.10gb": 7}], serves=("t/x",))
    world = (policy(), *machine("a"), pod("t/x").wants({"1g.10gb": 1}))
    assert statuses(*world, waiting)["default"].reshaping == 0
    started = change("a", [SEVEN], [{"1g.10gb": 7}], phase="Validated", serves=("t/x",))
    assert statuses(*world, started)["default"].reshaping == 1


def test_the_last_plan_is_told() -> None:
    """Its digest, its status and how far from the best it may be."""
    status = statuses(policy(), *machine("a"), pod("t/x").wants({"1g.10gb": 1}))["default"]
    assert status.plan_digest.startswith("sha256:")
    assert (status.plan_status, status.plan_gap) == ("Optimal", 0.0)


def test_the_built_in_policy_has_no_status() -> None:
    """It is no object."""
    found = snapshot(known(), *machine("a"))
    decision, _ = decide(found, POLICIES, NOON, Prepared())
    assert not [action for action in decision.actions if isinstance(action, PolicyStatus)]
