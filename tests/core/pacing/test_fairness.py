"""Namespaces take turns."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core.pacing.fairness import LATELY_SECONDS, ordered
from autoslicer.core.plan import Reshape
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, change, pod, policy
from tests.core.scenes import snapshot
from tests.core.test_cycle import budget, created, decided, machine, wants

Wanted = tuple[str, int]
"""namespace and priority of the one pod that a reshape serves"""


def order(wanted: list[Wanted], *objects: Builder, now: float = NOON) -> list[int]:
    """In which order reshapes start that serve one pod each, by their places in the plan."""
    keys = [f"{namespace}/p{place}" for place, (namespace, _) in enumerate(wanted)]
    pods = [pod(key).priority(priority) for key, (_, priority) in zip(keys, wanted, strict=True)]
    found = snapshot(policy(), *pods, *objects)
    reshapes = [Reshape(f"n{place}", "default", "x", "y", (), (key,)) for place, key in enumerate(keys)]
    return [int(reshape.node[1:]) for reshape in ordered(found, found.policies, reshapes, now)]


plans = st.lists(st.tuples(st.sampled_from(("a", "b", "c")), st.sampled_from((0, 0, 0, 7))), max_size=14)


@given(plans)
def test_every_reshape_has_its_turn_once(wanted: list[Wanted]) -> None:
    """And those of a namespace keep the plan's order within a priority."""
    found = order(wanted)
    assert sorted(found) == list(range(len(wanted)))
    for one in set(wanted):
        mine = [place for place in found if wanted[place] == one]
        assert mine == sorted(mine)


@given(plans)
def test_higher_priorities_go_first(wanted: list[Wanted]) -> None:
    """Whatever the namespaces had."""
    priorities = [wanted[place][1] for place in order(wanted)]
    assert priorities == sorted(priorities, reverse=True)


@given(st.lists(st.sampled_from("abcd"), max_size=14))
def test_no_namespace_is_more_than_one_ahead(namespaces: list[str]) -> None:
    """Of those that still wait, at the same priority, in whatever proportion they ask."""
    found = order([(namespace, 0) for namespace in namespaces])
    for taken in range(len(found) + 1):
        had = Counter(namespaces[place] for place in found[:taken])
        waiting = {namespaces[place] for place in found[taken:]}
        for poor in waiting:
            assert all(had[rich] <= had[poor] + 1 for rich in had)


def test_what_a_namespace_had_lately_counts() -> None:
    """What is under way, and what started within the hour; a change is shared among those that it serves."""
    wanted = [("flood", 0), ("other", 0)]
    started = {"phase": "Done", "startedAt": rfc3339(NOON - 60), "steps": []}
    had = change("z", [{}], [{}], serves=("flood/x", "flood/y")).set("status", started)
    assert order(wanted) == [0, 1]
    assert order(wanted, had) == [1, 0]
    assert order(wanted, had, now=NOON - 60 + LATELY_SECONDS) == [0, 1]
    running = had.set("status.phase", "Labelled")
    assert order(wanted, running, now=NOON - 60 + LATELY_SECONDS) == [1, 0]
    assert order([("other", 0), ("flood", 0)], had.set("spec.serves", ["flood/x", "other/y"])) == [0, 1]


def test_pods_that_starve_go_before_others_of_their_priority() -> None:
    """As in the plan."""
    old = pod("b/p1").created(NOON - 3601)
    found = snapshot(policy(), pod("a/p0"), old)
    reshapes = [Reshape(f"n{n}", "default", "x", "y", (), (key,)) for n, key in enumerate(("a/p0", "b/p1"))]
    assert [r.node for r in ordered(found, found.policies, reshapes, NOON)] == ["n1", "n0"]


def test_a_namespace_with_many_pods_does_not_take_the_whole_budget() -> None:
    """The plan's first two reshapes are the flood's; with a budget of two the other namespace has one."""

    def serve_other(*sets: tuple[str, ...]) -> list[bool]:
        return ["other/x" in serves for serves in sets]

    nodes = [made for name in ("a", "b", "c") for made in machine(name)]
    flood = [wants(f"flood/{n}", "3g.40gb") for n in range(4)]
    world = (*nodes, *flood, pod("other/x").wants({"1g.10gb": 7}), budget("2"))
    decision = decided(*world)
    assert serve_other(*(reshape.serves for reshape in decision.plan.reshapes)) == [False, False, True]
    assert serve_other(*(made.serves for made in created(decision))) == [False, True]
