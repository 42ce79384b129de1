"""Which nodes would have no pods with GPUs left if those that may move were packed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoslicer.core.consolidation.anew import pack
from autoslicer.core.consolidation.ground import ground
from autoslicer.core.consolidation.ways import Way, gently, tightly
from autoslicer.core.policy import Policy
from autoslicer.core.recommendations import set_aside
from autoslicer.core.snapshot import Snapshot

EFFORT = 6
"""counted work of the search for the tightest packing, see `solver.solve`"""


@dataclass(frozen=True, slots=True)
class Freed:
    """What one way to pack comes to.

    Attributes:
        nodes: without pods with GPUs then, sorted.
        moved: how many pods move, or start anew where they are.
        recut: the nodes with pods then of which GPUs are cut anew, sorted.
    """

    nodes: tuple[str, ...]
    moved: int
    recut: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing would free.

    Attributes:
        now: the nodes with GPUs and without pods that use them, sorted.
        gently: only pods of the nodes that are freed move; all others stay as they are.
        tightly: the most nodes that were found to be freed in any way.
        most: no way to pack frees more.
        movable: how many pods may move.
        held: why each node with GPUs stays in use that must, by name, sorted.
    """

    now: tuple[str, ...]
    gently: Freed
    tightly: Freed
    most: int
    movable: int
    held: Mapping[str, str]


def packed(snapshot: Snapshot, policies: Mapping[str, Policy], now: float, *, effort: int = EFFORT) -> Packed:
    """The best that is found, and a bound that no way to pack passes.

    Pods that wait, and what a policy says of when and for how many pods nodes change, do not count.

    Args:
        snapshot: the cluster; on nodes in a change all pods stay.
        policies: by name; they stand in for those of the snapshot.
        now: seconds since the epoch.
        effort: counted work that the search for the tightest packing may do.
    """
    known = ground(set_aside(snapshot), policies, now)
    used = frozenset(known.homes.values()) - known.held.keys()
    anew = pack(known, effort)
    gentle = tight = gently(known, used, len(used) - anew.fewest)
    if len(frozenset(anew.places.values()) - known.held.keys()) < len(gentle.used):
        tight = tightly(known, used, anew.places)
    idle = known.free | used

    def freed(way: Way) -> Freed:
        return Freed(tuple(sorted(idle - way.used)), way.moved, tuple(sorted(way.recut)))

    return Packed(
        now=tuple(sorted(known.free)),
        gently=freed(gentle),
        tightly=freed(tight),
        most=len(idle) - anew.fewest,
        movable=len(known.pods),
        held=known.held,
    )


def document(found: Packed) -> dict[str, Any]:
    """The packing as part of a stable, versioned document."""
    return {
        "freeNow": list(found.now),
        "gently": _freed(found.gently),
        "tightly": {**_freed(found.tightly), "atMost": found.most},
        "movablePods": found.movable,
        "heldNodes": [{"node": name, "message": why} for name, why in found.held.items()],
    }


def _freed(freed: Freed) -> dict[str, Any]:
    return {"freeNodes": list(freed.nodes), "movedPods": freed.moved, "recutNodes": list(freed.recut)}
