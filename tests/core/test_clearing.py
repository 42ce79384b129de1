"""Which old changes stay, and how long a taint whose change is gone."""

from __future__ import annotations

import pytest

from autoslicer.core import names
from autoslicer.core.actions import AddTaint, DeleteChange, RemoveTaint
from autoslicer.core.clearing import KEPT_CHANGES, held, old_changes, stray_taints
from autoslicer.core.cycle import decide
from autoslicer.core.pacing.fleet import DEFAULT_LIMITS
from autoslicer.core.planner import Prepared
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, Node, node, policy
from tests.core.pacing.test_gates import ended
from tests.core.scenes import snapshot


def forgotten(*changes: Builder) -> list[str]:
    """The names of those that are deleted, of these and five newer ones of each of their nodes."""
    nodes = {change.get("spec.node.name") for change in changes}
    newer = [ended(node, 50 + n, "Cancelled", NOON - n) for node in nodes for n in range(KEPT_CHANGES)]
    closing = ended("other", 1, "Done", NOON)
    found = old_changes(snapshot(*changes, *newer, closing), DEFAULT_LIMITS, NOON)
    return [action.name for action in found if isinstance(action, DeleteChange)]


def refusing(number: int, kind: str = "H100 580", node: str = "a") -> Builder:
    made = ended(node, number, "RolledBack", NOON - 100 + number, "LayoutRefused")
    return made.put("metadata.annotations", {"autoslicer.dev/kind": kind})


def test_a_layout_that_was_refused_is_remembered() -> None:
    """By the newest change that tried it on each kind of node; other failures are not."""
    later = ended("a", 2, "Done", NOON - 90)
    assert forgotten(ended("a", 1, "RolledBack", NOON - 100, "ApplyFailed"), later) == ["a-1", "a-2"]
    assert forgotten(refusing(1)) == []
    assert forgotten(refusing(1), refusing(2)) == ["a-1"]
    assert forgotten(refusing(1), refusing(2, kind="A100 580")) == []
    other = refusing(2).set("spec.gpus", [{"index": 0, "from": {}, "to": {"2g.20gb": 3}, "changed": True}])
    assert forgotten(refusing(1), other) == []


def test_the_failure_that_keeps_a_node_from_changes_is_remembered() -> None:
    """However many changes were cancelled since; one that was at work on the node takes its place."""
    failed = ended("a", 1, "Quarantined", NOON - 100)
    assert forgotten(failed) == []
    labelled = {"phase": "Labelled", "at": rfc3339(NOON - 60)}
    relabelled = ended("a", 2, "Cancelled", NOON - 50).set("status.steps", [labelled])
    assert forgotten(failed, relabelled) == ["a-1", "a-2"]


def test_what_happened_lately_is_remembered() -> None:
    """By it namespaces take turns and no layout goes back and forth; what never began tells neither."""
    begun = rfc3339(NOON - 4000)
    young = ended("a", 1, "Done", NOON - 3599).set("status.startedAt", begun)
    assert forgotten(young) == []
    assert forgotten(ended("a", 1, "Done", NOON - 3600).set("status.startedAt", begun)) == ["a-1"]
    assert forgotten(ended("a", 1, "Cancelled", NOON - 60)) == ["a-1"]


def at_work(state: str = "pending", pause: str = "", taint: str = "1") -> Node:
    """A node with our taint, no change of which is left."""
    made = node("a").gpus(1).config("all-7g.80gb", state).taint(names.TAINT, value=taint)
    return made.labels({f"{names.GPU_DEPLOY_PREFIX}device-plugin": pause}) if pause else made


def swept(*objects: Builder, now: float = NOON) -> list[AddTaint | RemoveTaint]:
    return list(stray_taints(snapshot(*objects), now))


@pytest.mark.parametrize(
    ("state", "pause"),
    [("pending", ""), ("rebooting", ""), ("pending", names.PAUSED), ("success", names.PAUSED)],
)
def test_a_taint_whose_change_is_gone_stays_while_mig_manager_works(state: str, pause: str) -> None:
    """For as long as the node's policy gives a run, which the taint tells; then it goes in any case."""
    rest = policy().set("spec.recovery", {"pendingDeadlineSeconds": 300})
    first = swept(at_work(state, pause), rest)
    assert first == [AddTaint("a", "1", f"until-{int(NOON) + 300}")]
    kept = at_work(state, pause, f"until-{int(NOON) + 300}")
    assert swept(kept, rest, now=NOON + 299) == []
    assert list(held(snapshot(kept))) == [NOON + 300]
    assert swept(kept, rest, now=NOON + 300) == [RemoveTaint("a", "1")]
    assert swept(at_work(state, pause)) == [AddTaint("a", "1", f"until-{int(NOON) + 1800}")]


def test_a_taint_whose_change_is_gone_goes_once_mig_manager_rests() -> None:
    """At once, however long it might have stayed."""
    for value in ("1", f"until-{int(NOON) + 300}"):
        for state in ("success", "failed"):
            assert swept(at_work(state, taint=value)) == [RemoveTaint("a", "1")]


def test_the_cycle_wakes_when_a_taint_has_stayed_long_enough() -> None:
    """Nothing else may happen by then."""
    kept = at_work(taint=f"until-{int(NOON) + 17}")
    found = snapshot(kept, policy())
    assert decide(found, found.policies, NOON, Prepared())[0].wake == NOON + 17
