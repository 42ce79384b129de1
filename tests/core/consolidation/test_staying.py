"""What must stay stays, and the same cluster without the reason frees a node."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest

from autoslicer.core import configs
from autoslicer.core.consolidation.packed import Packed, packed
from tests.build import H100, NOON, PCI, Builder, change, dump, mignode, node, pod, policy
from tests.core.consolidation.test_packed import OWNER, owned
from tests.core.scenes import snapshot

SMALL = {"1g.10gb": 7}


def scene(**more: Builder | None) -> dict[str, Builder]:
    """Two nodes with a GPU in seven and a pod each: one may move, one has no controller.

    `more` takes the place of objects by their word, or takes them away.
    """
    found: dict[str, Builder | None] = {
        "a": node("gpu-a").gpus(1).layout(SMALL, name="all-1g.10gb"),
        "b": node("gpu-b").gpus(1).layout(SMALL, name="all-1g.10gb"),
        "moves": owned("ns/moves", {"1g.10gb": 1}, "gpu-a"),
        "bare": pod("ns/bare").wants({"1g.10gb": 1}).on("gpu-b"),
        "policy": policy(),
        **more,
    }
    return {word: made for word, made in found.items() if made is not None}


def of(**more: Builder | None) -> Packed:
    """What packing such a scene would free."""
    found = snapshot(*scene(**more).values())
    return packed(found, found.policies, NOON)


def test_a_node_is_freed_whose_pod_may_move() -> None:
    """Its pod goes beside the other, which holds its node; nothing is cut anew and no way frees more."""
    found = of()
    assert (found.now, found.movable, found.most) == ((), 1, 1)
    assert found.gently == found.tightly
    assert (found.tightly.nodes, found.tightly.moved, found.tightly.recut) == (("gpu-a",), 1, ())
    assert found.held == {"gpu-b": "ns/bare has no controller that would replace it"}


MOVES = owned("ns/moves", {"1g.10gb": 1}, "gpu-a")


def by(kind: str) -> Builder:
    """The pod under a controller of that kind."""
    return MOVES.set("metadata.ownerReferences", [{**OWNER, "kind": kind}])


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (by("DaemonSet"), "belongs to a DaemonSet"),
        (by("Node"), "has no controller that would replace it"),
        (by("Workflow"), "belongs to a Workflow, of which nobody knows whether it replaces a pod"),
        (MOVES.set("metadata.ownerReferences", []), "has no controller that would replace it"),
        (
            MOVES.annotations({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}),
            "is annotated not to be disturbed",
        ),
        (MOVES.annotations({"karpenter.sh/do-not-disrupt": "true"}), "is annotated not to be disturbed"),
        (MOVES.annotations({"autoslicer.dev/ignore": "true"}), "is annotated not to be disturbed"),
        (
            MOVES.set("spec.schedulerName", "own"),
            "is left to the scheduler own, so that nobody knows where it would run",
        ),
        (MOVES.repels({"app": "x"}), "has podAntiAffinity, which is not modelled"),
        (
            MOVES.set("spec.volumes", [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
            "has persistentVolumeClaim, which is not modelled",
        ),
        (MOVES.labels({"scheduling.x-k8s.io/pod-group": "g"}), "has podGroup, which is not modelled"),
        (MOVES.deleting(), "is being deleted"),
        (MOVES.selector({"gone": "x"}), "runs where it would not be let in again"),
    ],
)
def test_a_pod_that_may_not_move_holds_its_node(kept: Builder, why: str) -> None:
    """Nothing is freed, and the reason is told; without it the node is free."""
    found = of(moves=kept)
    assert (found.tightly.nodes, found.most, found.movable) == ((), 0, 0)
    assert found.held["gpu-a"] == f"ns/moves {why}"


NODE = node("gpu-a").gpus(1).layout(SMALL, name="all-1g.10gb")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"a": NODE.cordoned()}, "ns/moves runs on a node that may not change (Cordoned)"),
        ({"a": NODE.not_ready()}, "ns/moves runs on a node that may not change (NotReady)"),
        (
            {"a": NODE.annotations({"autoslicer.dev/ignore": "true"})},
            "ns/moves runs on a node that may not change (OptedOut)",
        ),
        (
            {"a": NODE.labels({"nvidia.com/mig.config.state": "failed"})},
            "ns/moves runs on a node that may not change (ApplyFailed)",
        ),
        (
            {"a": NODE.labels({"nvidia.com/mig.capable": "false"})},
            "ns/moves runs on a node that no policy governs",
        ),
        (
            {"change": change("gpu-a", [SMALL], [{"7g.80gb": 1}], phase="Tainted")},
            "ns/moves runs on a node that may not change (ChangeInProgress)",
        ),
        ({"a": NODE.taint("own")}, "ns/moves runs where it would not be let in again"),
        (
            {"a": NODE.allocatable({"pods": "0"})},
            "ns/moves runs on a node that would not have pods for all of its pods again",
        ),
        (
            {"policy": policy().set("spec.layouts.deniedProfiles", ["1g.10gb"])},
            "ns/moves runs on a node that would not have 1g.10gb for all of its pods again",
        ),
        (
            {"hidden": pod("ns/hidden").set("spec.runtimeClassName", "nvidia").on("gpu-a")},
            "pod ns/hidden may use GPUs without asking for them",
        ),
        (
            {"whole": pod("ns/whole").resources({"nvidia.com/gpu": "1"}).on("gpu-a")},
            "ns/whole uses GPUs and asks for no slice",
        ),
        (
            {"agent": mignode("gpu-a").gpu(SMALL, pods={"1g.10gb": ["ns/moves"]}, processes=1)},
            "a process may run on GPU 0",
        ),
    ],
)
def test_a_node_stays_as_it_is(more: dict[str, Builder], why: str) -> None:
    """One that is refused, or that something holds, is not freed; the scene without that frees it."""
    found = of(**more)
    assert found.tightly.nodes == found.gently.nodes == ()
    assert found.most == 0
    assert found.held["gpu-a"] == why


@pytest.mark.parametrize(
    "more",
    [
        {"b": node("gpu-b").gpus(1).layout(SMALL, name="all-1g.10gb").cordoned()},
        {"b": node("gpu-b").gpus(1).layout(SMALL, name="all-1g.10gb").taint("own")},
        {"b": node("gpu-b").gpus(1).layout(SMALL, name="all-1g.10gb").allocatable({"pods": "1"})},
        {"bare": pod("ns/bare").wants({"1g.10gb": 7}).on("gpu-b")},
        {"bare": pod("ns/bare").wants({"1g.10gb": 1}).on("gpu-b").repels({"app": "moves"}),
         "moves": MOVES.labels({"app": "moves"})},
        {"moves": MOVES.selector({"kubernetes.io/hostname": "gpu-a"})},
    ],
)  # fmt: skip
def test_no_pod_goes_where_it_may_not(more: dict[str, Builder]) -> None:
    """By the other node's state and room, by the pods there and by its own selector; else it goes."""
    found = of(**more)
    assert (found.tightly.nodes, found.most, found.movable) == ((), 0, 1)


TWO = [
    node("gpu-c").gpus(2).config("all-3g.40gb"),
    mignode("gpu-c").gpu({"3g.40gb": 2}, pods={"3g.40gb": ["ns/stays"]}).gpu({"3g.40gb": 2}),
    pod("ns/stays").wants({"3g.40gb": 1}).on("gpu-c"),
]


def test_an_idle_gpu_of_a_node_that_stays_in_use_is_cut_anew() -> None:
    """For a pod of another node, where an agent tells that it is idle; without one nobody knows."""
    agents = snapshot(*TWO, *scene(b=None, bare=None).values())
    found = packed(agents, agents.policies, NOON)
    assert found.gently == found.tightly
    assert (found.tightly.nodes, found.tightly.recut, found.tightly.moved) == (("gpu-a",), ("gpu-c",), 1)
    blind = snapshot(TWO[0], TWO[2], *scene(b=None, bare=None).values())
    assert packed(blind, blind.policies, NOON).most == 0


def test_mig_mode_is_switched_on_nowhere() -> None:
    """An idle node takes the pods of two full ones where its MIG mode is on, whatever the policy allows."""
    full = {name: owned(f"ns/{name}", {"1g.10gb": 7}, f"gpu-{name[-1]}") for name in ("of-a", "of-b")}
    switching = policy().set("spec.layouts.allowModeChange", True)
    nodes = {"bare": None, "moves": None, **full, "policy": switching}
    assert of(**nodes, idle=node("gpu-c").gpus(2)).tightly.nodes == ("gpu-c",)
    found = of(**nodes, idle=node("gpu-c").gpus(2).config("all-7g.80gb"))
    assert (found.now, found.tightly.nodes) == (("gpu-c",), ("gpu-a", "gpu-b"))


def test_what_others_must_start_anew_for_is_no_gentle_way() -> None:
    """A pod with half of a GPU makes room for those in the smallest slices only if its GPU is cut anew."""
    found = of(b=node("gpu-b").gpus(1).config("all-3g.40gb"), bare=owned("ns/half", {"3g.40gb": 1}, "gpu-b"))
    assert (found.gently.nodes, found.gently.moved) == ((), 0)
    assert (found.tightly.nodes, found.tightly.recut, found.most) == (("gpu-a",), ("gpu-b",), 1)
    assert found.tightly.moved == 2


PRINT = """
import json, sys
from autoslicer.core.consolidation.packed import document, packed
from autoslicer.core.snapshot import read
found = read(json.load(sys.stdin))
print(json.dumps(document(packed(found, found.policies, 1795176000.0))))
"""


def printed(document: dict[str, Any], seed: str) -> bytes:
    """What a fresh interpreter with this hash seed prints for a dump."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    text = json.dumps(document).encode()
    ran = subprocess.run(
        [sys.executable, "-c", PRINT], input=text, env=environment, capture_output=True, check=True
    )
    return ran.stdout


def test_order_and_hash_seed_do_not_matter() -> None:
    """Shuffled items under other hash seeds give the same bytes, of a packing that moves and cuts."""
    draw, rows = random.Random(7), list[Builder]()
    for number in range(5):
        config = draw.choice(["all-1g.10gb", "all-3g.40gb", "all-balanced"])
        rows.append(node(f"gpu-{number}").gpus(2).config(config))
        layout = configs.resolve(configs.DEFAULTS[config], [PCI[H100]])[0]
        for profile, count in layout or ():
            name = f"ns/p-{number}-{profile.partition('.')[0]}"
            rows.append(owned(name, {profile: 1 + count // 2}, f"gpu-{number}"))
    found, texts = dump(*rows, policy()), set()
    for seed in ("0", "4711"):
        draw.shuffle(found["items"])
        texts.add(printed(found, seed))
    (packing,) = (json.loads(text) for text in texts)
    assert packing["tightly"]["movedPods"]
    assert packing["tightly"]["recutNodes"]
    assert packing["heldNodes"] == []
