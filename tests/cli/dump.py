"""The dumps that the commands are tried on."""

from __future__ import annotations

from typing import Any

from tests.build import dump, node, pod


def waiting_for_a_reshape() -> dict[str, Any]:
    """Two idle nodes of one uncut H100 each; seven pods want 1g.10gb, and no layout serves an eighth."""
    nodes = [node(f"gpu-{n}").gpus(1).config("all-7g.80gb") for n in range(2)]
    pods = [pod(f"team/infer-{n}").wants({"1g.10gb": 1}) for n in range(7)]
    return dump(*nodes, *pods, pod("team/train").wants({"7g.80gb": 3}))


def served_as_it_is() -> dict[str, Any]:
    """One node with free slices, and one pod that fits them."""
    return dump(node("gpu-0").gpus(1).config("all-1g.10gb"), pod("team/infer").wants({"1g.10gb": 1}))


def worth_packing() -> dict[str, Any]:
    """Three nodes of one H100 in small slices: the pod of the first may move, that of the second may not."""
    nodes = [node(f"gpu-{n}").gpus(1).config("all-1g.10gb") for n in range(3)]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": True}
    pods = [pod(f"team/{n}").wants({"1g.10gb": 1}).on(f"gpu-{n}") for n in range(2)]
    return dump(*nodes, pods[0].set("metadata.ownerReferences", [owner]), pods[1])
