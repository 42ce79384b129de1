"""How many more pods of each profile fit: as the cluster is, and at most after reshapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autoslicer.core import fitting, names
from autoslicer.core.planning.places import Places
from autoslicer.core.planning.sites import Site, Sites, sites
from autoslicer.core.policy import Policy
from autoslicer.core.recommendations import set_aside
from autoslicer.core.rows import PodRow, Resources, Toleration
from autoslicer.core.snapshot import Snapshot
from solver.geometry import plain_product
from solver.instance import may_change
from solver.known import most_slices
from solver.problem import Node

API_VERSION, KIND = "autoslicer.dev/v1alpha1", "Capacity"


@dataclass(slots=True)
class Room:
    """How many more pods fit on some nodes, each with one slice.

    Attributes:
        nodes: how many nodes they are.
        gpus: on nodes that a policy governs, where their model is known.
        idle: how many of these may be cut anew.
        now: by profile, as the nodes are cut.
        after: by profile, where every idle GPU is cut for this profile alone.
    """

    nodes: int = 0
    gpus: int = 0
    idle: int = 0
    now: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)

    @property
    def profiles(self) -> list[str]:
        """Those that the nodes can have at all, sorted."""
        return sorted(self.now.keys() | self.after.keys())


def remaining(
    snapshot: Snapshot, policies: Mapping[str, Policy], now: float, requests: Resources
) -> dict[str, Room]:
    """The room by GPU product, sorted.

    Pods of one profile with one slice each take nothing from one another but what is counted here, node by
    node, so that every figure is exact. Each holds by itself: room that one profile has taken is gone for the
    others. Pods that wait already take nothing from it. What a change under way leads to is there after
    reshapes and not before.

    Args:
        snapshot: the cluster.
        policies: by name; they stand in for those of the snapshot.
        now: seconds since the epoch.
        requests: what each pod asks for besides its slice. It tolerates the taint `nvidia.com/gpu`.
    """
    snapshot = set_aside(snapshot)
    wanted = {"pods": 1, **{name: amount for name, amount in requests.items() if amount}}
    found = sites(snapshot, policies, sorted(wanted), now, Sites())
    pod = _pod(wanted)
    places = Places(snapshot, found, None).of(pod, None)
    rooms: dict[str, Room] = {}
    for name, site in found.by_name.items():
        profiles = {profile for model in site.hardware for profile in model.names} | site.offered.keys()
        if not profiles:
            continue
        room = rooms.setdefault(plain_product(site.row.labels.get(names.GPU_PRODUCT, "")), Room())
        room.nodes += 1
        room.gpus += len(site.hardware)
        room.now.update(dict.fromkeys(profiles, 0))
        room.after.update(dict.fromkeys(profiles, 0))
        if site.node is not None:
            room.idle += sum(may_change(site.node, gpu) for gpu in site.node.gpus)
        if name in places and site.node is not None:
            most = _most_pods(site, wanted)
            changing = fitting.live_change(snapshot, name) is not None
            if not changing and fitting.fits(pod, site.row, site.left) is None:
                room.now.update(_within(dict(site.node.free), most))
            room.after.update(_within(_cut(site.node, most), most))
    return dict(sorted(rooms.items()))


def total(rooms: Mapping[str, Room]) -> Room:
    """All of it together."""
    found = Room()
    for room in rooms.values():
        found.nodes, found.gpus, found.idle = (
            found.nodes + room.nodes,
            found.gpus + room.gpus,
            found.idle + room.idle,
        )
        found.now.update(room.now)
        found.after.update(room.after)
    return found


def document(rooms: Mapping[str, Room], requests: Resources) -> dict[str, Any]:
    """The room as a stable, versioned document; cpu in thousandths of a core, memory in bytes."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "requests": dict(sorted(requests.items())),
        "products": [{"product": name, **_room(room)} for name, room in rooms.items()],
        "total": _room(total(rooms)),
    }


def _room(room: Room) -> dict[str, Any]:
    return {
        "nodes": room.nodes,
        "gpus": room.gpus,
        "idleGpus": room.idle,
        "profiles": [
            {"profile": name, "now": room.now[name], "afterReshapes": room.after[name]}
            for name in room.profiles
        ],
    }


def _pod(wanted: Resources) -> PodRow:
    return PodRow(
        namespace="default",
        name="one-more",
        uid="",
        created=0.0,
        phase="Pending",
        node="",
        terminating=False,
        gated=False,
        scheduler="default-scheduler",
        priority=0,
        requests=wanted,
        selector=(),
        affinity=None,
        tolerations=(Toleration(names.GPU_RESOURCE, "Exists", "", ""),),
        nominated="",
        tried=False,
        unschedulable_since=None,
        bound_at=None,
        ignored=False,
        unknown=(),
        hidden_gpu_use=False,
    )


def _most_pods(site: Site, wanted: Resources) -> int:
    """For how many pods the node has what they ask for besides slices."""
    return min(max(0, site.left.get(name, 0)) // amount for name, amount in wanted.items())


def _within(slices: Mapping[str, int], most: int) -> dict[str, int]:
    return {profile: min(count, most) for profile, count in slices.items()}


def _cut(node: Node, most: int) -> Mapping[str, int]:
    """The most free slices of each profile, where the policy finds the change worth it."""
    best, free = most_slices(node), dict(node.free)
    if node.min_benefit <= 1:
        return best
    return {
        profile: count
        if min(count - _kept(node, profile), most) >= node.min_benefit
        else free.get(profile, 0)
        for profile, count in best.items()
    }


def _kept(node: Node, profile: str) -> int:
    """Free slices of the profile that no cut of a GPU for it would touch."""
    idle = sum(dict(gpu.layout or ()).get(profile, 0) for gpu in node.gpus if may_change(node, gpu))
    return dict(node.free).get(profile, 0) - idle
