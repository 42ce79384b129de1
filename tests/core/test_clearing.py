"""Which old changes stay."""

from __future__ import annotations

from autoslicer.core.actions import DeleteChange
from autoslicer.core.clearing import KEPT_CHANGES, old_changes
from autoslicer.core.fleet import DEFAULT_LIMITS
from tests.build import NOON, Builder
from tests.core.scenes import snapshot
from tests.core.test_gates import ended


def forgotten(*changes: Builder) -> list[str]:
    """The names of those that are deleted, of these and five newer ones of each of their nodes."""
    nodes = {change.get("spec.node.name") for change in changes}
    newer = [ended(node, 50 + n, "Cancelled", NOON - n) for node in nodes for n in range(KEPT_CHANGES)]
    closing = ended("other", 1, "Done", NOON)
    found = old_changes(snapshot(*changes, *newer, closing), DEFAULT_LIMITS)
    return [action.name for action in found if isinstance(action, DeleteChange)]


def refusing(number: int, kind: str = "H100 580", node: str = "a") -> Builder:
    made = ended(node, number, "RolledBack", NOON - 100 + number, "LayoutRefused")
    return made.put("metadata.annotations", {"autoslicer.dev/kind": kind})


def test_a_layout_that_was_refused_is_remembered() -> None:
    """By the newest change that tried it on each kind of node; other failures are not."""
    assert forgotten(ended("a", 1, "RolledBack", NOON - 100, "ApplyFailed")) == ["a-1"]
    assert forgotten(refusing(1)) == []
    assert forgotten(refusing(1), refusing(2)) == ["a-1"]
    assert forgotten(refusing(1), refusing(2, kind="A100 580")) == []
    other = refusing(2).set("spec.gpus", [{"index": 0, "from": {}, "to": {"2g.20gb": 3}, "changed": True}])
    assert forgotten(refusing(1), other) == []
