"""By what pods count: their weight, how long they have waited, and policies that disagree about it."""

from __future__ import annotations

from typing import Any

import pytest

from autoslicer.core.actions import PolicyStatus
from autoslicer.core.configs import DEFAULTS
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.plan import Plan, document
from autoslicer.core.planner import Prepared
from autoslicer.core.reasons import Reason
from tests.build import H100, NOON, Builder, config_map, mig_manager, node, pod, policy
from tests.core.scenes import planned, refusals, served, snapshot, unserved

IDLE = node("a").gpus(1).config("all-3g.40gb")
BIG = pod("ns/big").wants({"7g.80gb": 1})
SMALL = [pod(f"ns/small-{i}").wants({"1g.10gb": 1}) for i in range(2)]


def by(**objective: Any) -> Builder:
    """A policy with this objective."""
    return policy().set("spec.objective", objective)


def names(made: Plan) -> list[str]:
    """Who is served."""
    return sorted(key.removeprefix("ns/") for key in served(made))


# what a pod counts for


def test_requests_count_pods_and_slices_count_compute() -> None:
    """Two small pods are more than a big one, unless their compute slices are what counts."""
    assert names(planned(IDLE, BIG, *SMALL, policy())) == ["small-0", "small-1"]
    assert names(planned(IDLE, BIG, *SMALL, by(weight="Requests"))) == ["small-0", "small-1"]
    made = planned(IDLE, BIG, *SMALL, by(weight="Slices"))
    assert names(made) == ["big"]
    assert (made.levels[0].value, made.levels[0].bound) == (7, 7)


def test_slices_of_several_kinds_are_summed() -> None:
    """A pod counts for all that it asks for."""
    both = pod("ns/both").wants({"3g.40gb": 1, "1g.10gb": 2})
    (level, *_) = planned(IDLE, both, by(weight="Slices")).levels
    assert level.value == 5


# how long a pod has waited


@pytest.mark.parametrize(
    ("age", "objective", "winners"),
    [
        (3600, {}, ["big"]),
        (3599, {}, ["small-0", "small-1"]),
        (59, {"starvationSeconds": 60}, ["small-0", "small-1"]),
        (60, {"starvationSeconds": 60}, ["big"]),
        (30_000_000, {"starvationSeconds": 0}, ["small-0", "small-1"]),
    ],
)
def test_a_starved_pod_goes_first(age: int, objective: dict[str, Any], winners: list[str]) -> None:
    """Before more pods of its priority, once it is so old; never where the time is 0."""
    young = [small.created(NOON - 30) for small in SMALL]
    assert names(planned(IDLE, BIG.created(NOON - age), *young, by(**objective))) == winners


def test_a_starved_pod_does_not_pass_a_higher_priority() -> None:
    """Its rank lies just above its own priority, and the plan says so."""
    old = BIG.created(NOON - 7200)
    made = planned(IDLE, old, SMALL[0].priority(1), SMALL[1])
    assert names(made) == ["small-0", "small-1"]
    levels = document(made)["objective"]["levels"][:3]
    assert [(level["priority"], level.get("starved", False), level["value"]) for level in levels] == [
        (1, False, 1),
        (0, True, 0),
        (0, False, 1),
    ]


def test_starved_pods_are_carried_out_first() -> None:
    """The reshape that serves one comes before that which serves more of the same priority."""
    nodes = [node(name).gpus(1).config("all-7g.80gb") for name in "ab"]
    young = [pod(f"ns/y{i}").wants({"1g.10gb": 1}).selector({"kubernetes.io/hostname": "a"}) for i in (1, 2)]
    old = pod("ns/old").wants({"1g.10gb": 1}).selector({"kubernetes.io/hostname": "b"})
    assert [reshape.node for reshape in planned(*nodes, *young, old).reshapes] == ["a", "b"]
    starved = old.created(NOON - 7200)
    assert [reshape.node for reshape in planned(*nodes, *young, starved).reshapes] == ["b", "a"]


def test_the_cycle_wakes_when_a_pod_begins_to_starve() -> None:
    """What was prepared before does not hide it: the plan is another one at that moment and not before."""
    reached = (mig_manager("a"), config_map({n: DEFAULTS[n] for n in ("all-disabled", "all-3g.40gb")}))
    found = snapshot(IDLE, *reached, BIG.created(NOON - 900), *SMALL, by(starvationSeconds=1000))

    def at(now: float, prepared: Prepared) -> tuple[Decision, Prepared]:
        return decide(found, found.policies, now, prepared)

    first, prepared = at(NOON, Prepared())
    assert (first.wake, names(first.plan)) == (NOON + 100, ["small-0", "small-1"])
    before, prepared = at(NOON + 99.9, prepared)
    assert names(before.plan) == ["small-0", "small-1"]
    then, prepared = at(NOON + 100, prepared)
    assert then == at(NOON + 100, Prepared())[0]
    assert names(then.plan) == ["big"]
    assert then.wake == NOON + 400  # the small ones are 600 seconds old at noon
    assert at(NOON, prepared)[0] == first
    never = snapshot(IDLE, BIG, by(starvationSeconds=0))
    assert decide(never, never.policies, NOON, Prepared())[0].wake is None


# policies that disagree


def zone(name: str, **objective: Any) -> tuple[Builder, Builder]:
    """A node in a zone of its own with the policy for it."""
    made = node(f"node-{name}").gpus(1).config("all-7g.80gb").labels({"zone": name})
    return made, policy(name, {"zone": name}).set("spec.objective", objective)


def reasons(*objects: Builder) -> dict[str, str]:
    """Why each policy is not ready, or that it is."""
    found = snapshot(*objects)
    decision, _ = decide(found, found.policies, NOON, Prepared())
    statuses = [action for action in decision.actions if isinstance(action, PolicyStatus)]
    return {status.name: status.conditions[0].reason for status in statuses}


def test_policies_that_can_serve_a_common_pod_must_agree() -> None:
    """Else neither's nodes change, and both say so; a third policy goes on."""
    a, b, c = zone("a"), zone("b", weight="Slices"), zone("c")
    small = SMALL[0].affinity({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]})
    other = SMALL[1].selector({"zone": "c"})
    made = planned(*a, *b, *c, small, other)
    assert refusals(made) == {"node-a": Reason.ObjectiveConflict, "node-b": Reason.ObjectiveConflict}
    assert (served(made), unserved(made)) == ({"ns/small-1": "node-c"}, {"ns/small-0": Reason.PolicyForbids})
    assert "policies a and b differ in spec.objective, and both could serve ns/small-0" in {
        verdict.message for verdict in made.refusals
    }
    told = reasons(*a, *b, *c, small, other)
    assert (told["a"], told["b"]) == ("ObjectiveConflict", "ObjectiveConflict")
    assert told["c"] != "ObjectiveConflict"
    agreed = planned(*zone("a", weight="Slices"), *b, *c, small, other)
    assert (len(agreed.reshapes), agreed.refusals) == (2, ())


def test_policies_without_a_common_pod_may_differ() -> None:
    """Each pod counts as the policy says whose nodes could serve it."""
    a, b = zone("a"), zone("b", weight="Slices")
    pods = [
        made.set("metadata.name", f"{made.get('metadata.name')}-{name}").selector({"zone": name})
        for name in "ab"
        for made in (BIG.wants({"7g.80gb": 1}), *SMALL)
    ]
    cut = [found.config("all-3g.40gb") for found in (a[0], b[0])]
    made = planned(*cut, a[1], b[1], *pods)
    assert made.refusals == ()
    assert names(made) == ["big-b", "small-0-a", "small-1-a"]
    assert set(reasons(*cut, a[1], b[1], *pods).values()).isdisjoint({"ObjectiveConflict"})


def test_a_node_that_can_never_hold_the_slices_is_no_common_one() -> None:
    """Two kinds of GPUs with policies of their own need no selectors to be apart."""
    big = node("big").gpus(1, H100).config("all-7g.80gb").labels({"zone": "b"})
    small = node("small").gpus(1, "NVIDIA-A30").config("all-1g.6gb").labels({"zone": "s"})
    rules = [
        policy("b", {"zone": "b"}),
        policy("s", {"zone": "s"}).set("spec.objective", {"weight": "Slices"}),
    ]
    assert planned(big, small, *rules, SMALL[0]).refusals == ()


def test_free_slices_of_a_node_in_conflict_still_serve() -> None:
    """Only its layouts are fixed; other reasons that come first are told instead."""
    (a, ours), (b, theirs) = zone("a"), zone("b", weight="Slices")
    made = planned(
        a.config("all-1g.10gb"), ours, b.annotations({"autoslicer.dev/ignore": "true"}), theirs, SMALL[0]
    )
    assert served(made) == {"ns/small-0": "node-a"}
    assert refusals(made) == {"node-a": Reason.ObjectiveConflict, "node-b": Reason.OptedOut}
