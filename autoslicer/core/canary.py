"""The first change of a kind of node goes alone: what breaks one of them may break them all."""

from __future__ import annotations

import re

from autoslicer.core import gpu_operator, names
from autoslicer.core.phases import Phase, phase, reached, started
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from solver.geometry import plain_product

_DRIVER = "nvidia.com/cuda.driver-version.full"
_OLD_DRIVER = tuple(f"nvidia.com/cuda.driver.{part}" for part in ("major", "minor", "rev"))
"""GPU feature discovery's labels since 0.16, and those before it"""
_LONGEST = 128


def kind(snapshot: Snapshot, node: NodeRow) -> str:
    """The node's GPU model, driver version and mig-manager image: what a layout's success depends on.

    What is not known is left out; such nodes are a kind as well.
    """
    manager = gpu_operator.mig_manager(snapshot, node.name)
    image = "" if manager is None else manager.image.rpartition("/")[2]
    return " ".join(part for part in (hardware(snapshot, node), _plain(image)) if part)


def hardware(snapshot: Snapshot, node: NodeRow) -> str:
    """The node's GPU model and driver version: how its kind begins."""
    parts = (plain_product(node.labels.get(names.GPU_PRODUCT, "")), _driver(snapshot, node))
    return " ".join(_plain(part) for part in parts if part)


def agree(one: str, other: str) -> bool:
    """Two kinds may be the same: they differ in nothing but what is not known of one of them."""
    first, second = set(one.split()), set(other.split())
    return first <= second or second <= first


def proof(snapshot: Snapshot) -> dict[str, ReconfigurationRow]:
    """By kind, the newest change that is Done: the layout was applied and the slices were proven."""
    found: dict[str, ReconfigurationRow] = {}
    for change in sorted(snapshot.changes.values(), key=_ended):
        if change.kind and phase(change) is Phase.DONE:
            found[change.kind] = change
    return found


def under_way(snapshot: Snapshot) -> dict[str, str]:
    """By kind, the name of a change that has started and not ended."""
    return {change.kind: change.name for change in snapshot.changes.values() if started(change)}


def _ended(change: ReconfigurationRow) -> tuple[float, str]:
    return reached(change, Phase.DONE) or 0.0, change.name


def _plain(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9._:@+-]", "_", part)[:_LONGEST]


def _driver(snapshot: Snapshot, node: NodeRow) -> str:
    if version := node.labels.get(_DRIVER):
        return version
    if parts := [node.labels[label] for label in _OLD_DRIVER if label in node.labels]:
        return ".".join(parts)
    agent = snapshot.mignodes.get(node.name)
    return "" if agent is None else agent.driver
