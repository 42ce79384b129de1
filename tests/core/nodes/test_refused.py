"""What a driver has refused is not planned again for its kind of node, and anything else is."""

from __future__ import annotations

from collections import Counter

import pytest

from autoslicer.core import names
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import GpuTarget
from solver.geometry import by_product
from tests.build import Builder, Layout, change, node, pod
from tests.core.scenes import planned, served, unserved

DRIVER = {"nvidia.com/cuda.driver-version.full": "580.95.05"}
KIND = "NVIDIA-H100-80GB-HBM3 580.95.05 k8s-mig-manager:v0.13.1"
SEVEN, WHOLE = {"1g.10gb": 7}, {"7g.80gb": 1}
HERE = node("here").gpus(1).config("all-7g.80gb").labels(DRIVER)
THERE = node("there").gpus(1).config("all-7g.80gb").labels(DRIVER)
WANTS = [pod(f"ns/w{number}").wants({"1g.10gb": 1}) for number in range(7)]


def refused(after: Layout = SEVEN, reason: str = "LayoutRefused", kind: str = KIND) -> Builder:
    """A change of the other node that was rolled back for that reason, an hour ago."""
    found = [{"type": "Succeeded", "status": "False", "reason": reason, "message": "x"}]
    made = change("there", [{"3g.40gb": 2}], [after], phase="RolledBack").annotations({names.KIND: kind})
    return made.set("status.conditions", found).set("status.quarantinedUntil", "2026-11-20T11:00:00Z")


@pytest.mark.parametrize("reason", ["LayoutRefused", "LayoutCleared"])
def test_a_refused_layout_is_not_planned_again_on_any_node_of_its_kind(reason: str) -> None:
    """The next best one is, which serves six of the seven pods; the last is told why."""
    plan = planned(HERE, THERE.cordoned(), refused(reason=reason), *WANTS)
    [reshape] = plan.reshapes
    assert dict(Counter(dict(reshape.gpus[0].after or ())))["1g.10gb"] == 6
    assert len(served(plan)) == 6
    whole = planned(HERE, THERE.cordoned(), *WANTS)
    assert whole.reshapes[0].gpus == (GpuTarget(0, (("7g.80gb", 1),), (("1g.10gb", 7),), True),)


@pytest.mark.parametrize(
    "other",
    [
        refused(reason="ApplyFailed"),
        refused({"2g.20gb": 3, "1g.10gb": 1}),
        refused(kind="NVIDIA-H100-80GB-HBM3 570.1 k8s-mig-manager:v0.13.1"),
        refused(kind="NVIDIA-A100-SXM4-80GB 580.95.05"),
        refused(kind=""),
    ],
    ids=["not refused", "another layout", "another driver", "another model", "no kind"],
)
def test_what_was_not_refused_here_is_planned(other: Builder) -> None:
    """A failure for another reason, of another layout or kind says nothing of this one."""
    assert len(served(planned(HERE, THERE.cordoned(), other, *WANTS))) == 7


def test_another_mig_manager_changes_nothing_about_the_driver() -> None:
    """Its image is the last word of the kind."""
    plan = planned(HERE, THERE.cordoned(), refused(kind="NVIDIA-H100-80GB-HBM3 580.95.05"), *WANTS)
    assert len(served(plan)) == 6


def test_a_pod_that_only_a_refused_layout_would_serve_is_told() -> None:
    """LayoutRefused, and not that capacity is short."""
    big = pod("ns/big").wants({"7g.80gb": 1})
    halves = node("here").gpus(1).layout({"3g.40gb": 2}, name="all-3g.40gb").labels(DRIVER)
    assert unserved(planned(halves, refused(WHOLE), big)) == {"ns/big": Reason.LayoutRefused}
    assert served(planned(halves, big)) == {"ns/big": "here"}


def test_a_refused_layout_that_is_there_is_no_fault() -> None:
    """An older driver made it, and it can be changed into another."""
    seven = node("here").gpus(1).layout(SEVEN, name="all-1g.10gb").labels(DRIVER)
    big = pod("ns/big").wants({"7g.80gb": 1})
    assert served(planned(seven, THERE.cordoned(), refused(), big)) == {"ns/big": "here"}


def test_a_geometry_without_what_is_refused() -> None:
    """What is refused is not legal; layouts that had room only for it are full now."""
    h100 = by_product("NVIDIA-H100-80GB-HBM3")
    assert h100 is not None
    less = h100.refusing(frozenset({(("1g.10gb", 7),)}))
    ones = frozenset({"1g.10gb"})
    assert (h100.legal({"1g.10gb": 7}), less.legal({"1g.10gb": 7}), less.legal({"1g.10gb": 6})) == (
        True,
        False,
        True,
    )
    assert less.maximal_multisets(ones) == ((("1g.10gb", 6),),)
    assert h100.multisets() - less.multisets() == {(("1g.10gb", 7),)}
