"""Whose word about a config's name is believed."""

from __future__ import annotations

from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ConfigEntry
from tests.build import Builder, config_map, mig_manager, node, pod
from tests.core.scenes import planned, refusals

NAME = "autoslicer-0123456789ab"
HALVES = {NAME: (ConfigEntry(None, (), True, (("3g.40gb", 2),)),)}
FULL = {NAME: (ConfigEntry(None, (), True, (("7g.80gb", 1),)),)}
CUT = node("a").gpus(1).layout({"3g.40gb": 2}, name=NAME)
WAITS = pod("ns/w").wants({"7g.80gb": 1})


def verdict(*objects: Builder) -> Reason | None:
    """Why the node may not change, or None where it does for the pod that waits."""
    made = planned(CUT, WAITS, *objects)
    return refusals(made).get("a") if not made.reshapes else None


def test_the_mounted_config_map_counts() -> None:
    """What mig-manager reads is what the name means, whatever another ConfigMap says."""
    mounted, other = config_map(HALVES), config_map(FULL, "other")
    assert verdict(mig_manager("a"), mounted, other) is None
    assert verdict(mig_manager("a", "other"), mounted, other) is Reason.LayoutDrift


def test_without_mig_managers_pod_the_operators_namespace_counts() -> None:
    """Any ConfigMap there may hold the name; where two differ, the one that the node's slices agree with."""
    assert verdict(config_map(HALVES)) is None
    assert verdict(config_map(HALVES), config_map(FULL, "other")) is None
    assert verdict(config_map(FULL)) is Reason.LayoutDrift


def test_a_tenants_config_map_is_never_believed() -> None:
    """Nor is one of the operator's namespace that mig-manager does not mount."""
    assert verdict(config_map(HALVES, namespace="tenant")) is Reason.LayoutUnknown
    assert verdict(mig_manager("a"), config_map(HALVES, "other")) is Reason.LayoutUnknown
    assert verdict(mig_manager("a"), config_map(HALVES)) is None


def test_the_operators_defaults_come_last() -> None:
    """A dump without ConfigMaps is read by the names that the operator ships."""
    made = planned(node("a").gpus(1).config("all-3g.40gb"), WAITS)
    assert [reshape.source for reshape in made.reshapes] == ["all-3g.40gb"]


def test_a_config_that_leaves_gpus_out_is_no_layout() -> None:
    """What an unlisted GPU holds is not known."""
    some = {NAME: (ConfigEntry((0,), (), True, (("3g.40gb", 2),)),)}
    two = node("a").gpus(2).layout({"3g.40gb": 2}, {}, name=NAME)
    made = planned(two, WAITS, config_map(some))
    assert refusals(made) == {"a": Reason.LayoutUnknown}
    every = {NAME: (*some[NAME], ConfigEntry((1,), (), True, ()))}
    assert planned(two, WAITS, config_map(every)).reshapes
