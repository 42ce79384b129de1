"""What packing may count on: the nodes that are in play, the pods that may move, and all that stays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from autoslicer.core import fitting, leaving
from autoslicer.core.consolidation.movable import fixed
from autoslicer.core.nodes import idleness
from autoslicer.core.planning.places import Places
from autoslicer.core.planning.sites import Site, Sites, sites
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, Gpu, Node, Pod, counts

_IN_USE = frozenset({Reason.NodeBusy, Reason.GpuBusy})
"""a node that is refused for nothing else may take pods and lose some"""


@dataclass(frozen=True, slots=True)
class Ground:
    """A cluster whose movable pods have left, and where they may go.

    Attributes:
        emptied: the nodes in play without the movable pods, by name, sorted: what is free, and which GPUs may
            be cut anew. MIG mode is switched nowhere, and a change need not serve several pods.
        present: the same nodes with all pods.
        pods: the movable pods, by name, sorted: what each asks for, and the nodes in play where it may go.
        homes: the node of each.
        held: of each other node with GPUs in use, and of each node in play that keeps a pod with GPUs, why it
            stays in use.
        free: the nodes with GPUs of which nothing is in use now.
        layouts: of the GPUs in `emptied` that may be cut anew, by node and index, the layout that keeps its
            pods where they are.
    """

    emptied: Mapping[str, Node]
    present: Mapping[str, Node]
    pods: Mapping[str, Pod]
    homes: Mapping[str, str]
    held: Mapping[str, str]
    free: frozenset[str]
    layouts: Mapping[tuple[str, int], Counts]


def ground(snapshot: Snapshot, policies: Mapping[str, Policy], now: float) -> Ground:
    """What packing may count on.

    A node is in play where a policy governs it and no hard rule refuses it, use aside. A pod moves where
    nothing holds it and its own node, cleared of all pods that move, would surely take them back; so that
    nothing moving at all is one of the ways to pack.
    """
    rows = {pod.key: pod for pods in snapshot.tenants.values() for pod in pods if idleness.asks_gpu(pod)}
    why = {key: reason for key, pod in sorted(rows.items()) if (reason := _bound(snapshot, pod))}
    moving = {key: pod for key, pod in sorted(rows.items()) if key not in why}
    found = Sites()
    while True:
        cleared = leaving.without(snapshot, snapshot.mignodes, moving.keys(), moving.keys())
        asked = sorted({name for pod in moving.values() for name in fitting.others(pod.requests)})
        found = sites(cleared, policies, asked, now, found)
        known = _Cleared(cleared, found, moving)
        if not (staying := dict(known.staying())):
            break
        why |= staying
        moving = {key: pod for key, pod in moving.items() if key not in staying}
    present = sites(snapshot, policies, asked, now, Sites()).by_name
    return Ground(
        emptied=known.nodes,
        present={name: _plain(node) for name in known.nodes if (node := present[name].node) is not None},
        pods=known.pods,
        homes={key: pod.node for key, pod in moving.items()},
        held=_held(snapshot, cleared, found, why, now),
        free=frozenset(
            n for n, site in present.items() if _has_gpus(site) and not idleness.busy(snapshot, n, now)
        ),
        layouts=known.layouts,
    )


def _bound(snapshot: Snapshot, pod: PodRow) -> str:
    if not pod.node:
        return "is nominated to it by the scheduler"
    if not fitting.slices(pod.requests):
        return "uses GPUs and asks for no slice"
    return fixed(snapshot, pod)


def in_play(site: Site) -> bool:
    """A policy governs the node, and nothing but its use refuses it."""
    if not isinstance(site.policy, Policy) or site.assessment is None or site.node is None:
        return False
    return site.assessment.refusal is None or site.assessment.refusal.reason in _IN_USE


class _Cleared:
    """A cluster that the moving pods have left, as the solver sees it."""

    def __init__(self, snapshot: Snapshot, found: Sites, moving: Mapping[str, PodRow]) -> None:
        self._sites, self._moving = found.by_name, moving
        self.nodes = {
            name: _plain(site.node)
            for name, site in found.by_name.items()
            if in_play(site) and site.node is not None
        }
        places = Places(snapshot, found, None)
        within: dict[frozenset[str], frozenset[str]] = {}
        self.pods: dict[str, Pod] = {}
        for key, row in moving.items():
            nodes = places.of(row, None)
            within.setdefault(nodes, nodes.intersection(self.nodes))
            slices, others = counts(fitting.slices(row.requests)), counts(fitting.others(row.requests))
            self.pods[key] = Pod(key, 0, slices, others, within[nodes])
        self.layouts = {
            (name, gpu.index): layout
            for name, node in self.nodes.items()
            for gpu in node.gpus
            if gpu.changeable and (layout := _again(node, gpu)) is not None
        }

    def staying(self) -> Iterable[tuple[str, str]]:
        """The pods that are not surely taken back by their own nodes, and why."""
        by_node: dict[str, list[str]] = defaultdict(list)
        for key, row in self._moving.items():
            by_node[row.node].append(key)
        for name, keys in sorted(by_node.items()):
            if name not in self.nodes:
                yield from ((key, self._refused(name)) for key in keys)
            elif shut := [key for key in keys if name not in self.pods[key].nodes]:
                yield from ((key, "runs where it would not be let in again") for key in shut)
            elif lacking := self._lacking(self.nodes[name], keys):
                why = f"runs on a node that would not have {lacking} for all of its pods again"
                yield from ((key, why) for key in keys)

    def _refused(self, name: str) -> str:
        site = self._sites.get(name)
        if site is None or site.policy is None:
            return "runs on a node that no policy governs"
        refusal = None if site.assessment is None else site.assessment.refusal
        return f"runs on a node that may not change ({'NotReady' if refusal is None else refusal.reason})"

    def _lacking(self, node: Node, keys: Iterable[str]) -> str:
        """What the node would not have for these pods, as the layouts that keep them would cut it."""
        have = Counter(dict(node.free))
        for gpu in node.gpus:
            if gpu.changeable:
                have.subtract(dict(gpu.layout or ()))
                have.update(dict(self.layouts.get((node.name, gpu.index), ())))
        have.update(dict(node.resources))
        for key in keys:
            have.subtract(dict(self.pods[key].slices))
            have.subtract(dict(self.pods[key].resources))
        return min((name for name, count in have.items() if count < 0), default="")


def _plain(node: Node) -> Node:
    """The node where nobody is evicted, MIG mode stays as it is, and every change is worth it."""
    gpus = tuple(
        replace(gpu, changeable=gpu.changeable and gpu.layout is not None, tenants=frozenset(), idle=())
        for gpu in node.gpus
    )
    return replace(node, gpus=gpus, min_benefit=1, mode_change=False)


def _again(node: Node, gpu: Gpu) -> Counts | None:
    """The first layout that the policy allows with no less of all allowed profiles than the present one."""
    wanted = [
        (name, count) for name, count in gpu.layout or () if node.profiles is None or name in node.profiles
    ]
    layouts = gpu.geometry.maximal_multisets(node.profiles)
    return next((new for new in layouts if all(dict(new).get(n, 0) >= count for n, count in wanted)), None)


def _has_gpus(site: Site) -> bool:
    return bool(site.hardware or site.offered)


def _held(
    snapshot: Snapshot, cleared: Snapshot, found: Sites, why: Mapping[str, str], now: float
) -> dict[str, str]:
    """Why nodes stay in use, the first pod's reason where it is known."""
    held: dict[str, str] = {}
    for name, site in found.by_name.items():
        if not _has_gpus(site) or not (busy := idleness.busy(cleared, name, now)):
            continue
        pods = sorted(pod.key for pod in cleared.tenants.get(name, ()) if pod.key in why)
        held[name] = f"{pods[0]} {why[pods[0]]}" if pods else busy
    return held
