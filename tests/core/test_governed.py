"""Which nodes a policy governs."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from autoslicer.core.governed import governed_nodes
from autoslicer.core.snapshot import Snapshot
from tests.build import node, policy
from tests.core.scenes import snapshot

labels = st.dictionaries(st.sampled_from(("team", "zone")), st.sampled_from("ab"))


@st.composite
def moments(draw: st.DrawFn) -> tuple[Snapshot, Snapshot]:
    """Nodes and policies, and what little became of them."""
    nodes = draw(st.dictionaries(st.sampled_from("nmop"), labels))
    policies = draw(st.dictionaries(st.sampled_from(("one", "two")), labels))
    later = {name: draw(st.sampled_from((value, value, {}))) for name, value in nodes.items()}
    gone = draw(st.sampled_from(("", "", "", "n")))
    others = draw(st.sampled_from((policies, policies, {"one": {"team": "a"}})))
    return (
        snapshot(*(node(name).labels(value) for name, value in nodes.items()), *_made(policies)),
        snapshot(
            *(node(name).labels(value).taint("x") for name, value in later.items() if name != gone),
            *_made(others),
        ),
    )


def _made(policies: dict[str, dict[str, str]]) -> list[object]:
    return [policy(name, selector) for name, selector in policies.items()]


def test_a_node_belongs_to_one_policy_or_none() -> None:
    """The most specific one; with a tie to none."""
    one, two = policy("one", {"team": "a"}), policy("two", {"zone": "b"})
    machines = (node("n").labels({"team": "a"}), node("m").labels({"team": "a", "zone": "b"}), node("o"))
    found = snapshot(one, two, *machines)
    assert governed_nodes(found.nodes, found.policies).by_policy == {"one": ("n",), "two": ()}


@given(moments())
def test_what_was_known_changes_nothing(pair: tuple[Snapshot, Snapshot]) -> None:
    """What another moment is known to be like saves work only: the answer is that of a fresh start."""
    then, now = pair
    known = governed_nodes(then.nodes, then.policies)
    found = governed_nodes(now.nodes, now.policies, known)
    assert found == governed_nodes(now.nodes, now.policies)
    event("taken from before" if found.by_policy is known.by_policy else "worked out anew")
