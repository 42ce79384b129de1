"""Which nodes are of one kind: what breaks one of them may break them all, and what works on one, on all."""

from __future__ import annotations

import re

from autoslicer.core import names
from autoslicer.core.nodes import gpu_operator
from autoslicer.core.rows import NodeRow
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


def _plain(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9._:@+-]", "_", part)[:_LONGEST]


def _driver(snapshot: Snapshot, node: NodeRow) -> str:
    if version := node.labels.get(_DRIVER):
        return version
    if parts := [node.labels[label] for label in _OLD_DRIVER if label in node.labels]:
        return ".".join(parts)
    agent = snapshot.mignodes.get(node.name)
    return "" if agent is None else agent.driver
