"""Nodes that are kept for pods which starve: others would take every slice that gets free, for ever.

The scheduler fills a GPU again as soon as a slice of it is free, so that a pod which needs the whole of it
waits until chance empties it. Where a policy asks for it, a node is closed to pods, as for every change,
while those on some of its GPUs run to their end; then the GPUs are cut for the pods that starve. Nobody is
evicted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from autoslicer.core import fitting, planner, reserved
from autoslicer.core.nodes.emptying import Way
from autoslicer.core.phases import SUCCEEDED, Phase, condition, ended_at, live, phase
from autoslicer.core.plan import Plan, Reshape
from autoslicer.core.planning import capacity
from autoslicer.core.planning.sites import Site
from autoslicer.core.policy import Eviction, Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow, ReconfigurationRow, Repulsion
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, counts

CURABLE = frozenset({Reason.OutOfCapacity, Reason.InsufficientResources})
"""why a pod is not served that would be on an idle node"""
MOST_PODS = 100
"""so many of the pods that starve are planned for at once"""
MOST_TRIED = 16
"""so many ways to make room are planned out in one cycle"""
TRIED_EACH = 4
"""so many of them for pods that are alike"""


@dataclass(frozen=True, slots=True)
class Reserving:
    """What one cycle concludes about pods that starve.

    Attributes:
        reshapes: of the nodes to reserve.
        wakes: when another pod begins to starve, or a policy may reserve again (seconds since the epoch).
    """

    reshapes: tuple[Reshape, ...] = ()
    wakes: tuple[float, ...] = ()


def reserve(
    snapshot: Snapshot,
    plan: Plan,
    sites: Mapping[str, Site],
    policies: Mapping[str, Policy],
    now: float,
    *,
    recommended: Collection[str] = (),
    effort: int,
    search: planner.Search,
) -> Reserving:
    """Which nodes are to be reserved now.

    After one that was reserved in vain its policy reserves none for `afterSeconds`, and at no time more than
    `nodes`. Of all ways to serve the pod that starves and comes first the one is taken that waits for the
    fewest pods.

    Args:
        snapshot: the cluster.
        plan: what is best without it.
        sites: the nodes, by name.
        policies: by name.
        now: seconds since the epoch.
        recommended: nodes of which it was recommended, so that they come first: what a human is to approve
            must not change with each pod that ends.
        effort: counted work that the search may spend on each way.
        search: how plans are found.
    """
    asking = [policy for _, policy in sorted(policies.items()) if policy.reserve.after_seconds]
    waiting = [snapshot.pods[one.name] for one in plan.unserved if asking and one.reason in CURABLE]
    waiting.sort(key=lambda pod: (-pod.priority, pod.created, pod.key))
    taken = {reshape.node for reshape in plan.reshapes}
    reshapes: list[Reshape] = []
    wakes: list[float] = []
    for policy in asking if waiting else ():
        after = policy.reserve.after_seconds
        wakes += sorted(pod.created + after for pod in waiting if pod.created + after > now)[:1]
        ours = [c for c in snapshot.changes.values() if c.reserve and c.policy == policy.name]
        if (again := max((ended_at(c) + after for c in ours if _vain(c)), default=0.0)) > now:
            wakes.append(again)
            continue
        for _ in range(policy.reserve.nodes - sum(map(live, ours))):
            starving = [pod for pod in waiting if pod.created + after <= now]
            open_to = [s for s in sites.values() if s.ways and s.row.name not in taken and _open(s, policy)]
            found = _Search(snapshot, policy, open_to, recommended, now, effort, search).best(starving)
            if found is None:
                break
            reshapes.append(found)
            taken.add(found.node)
            waiting = [pod for pod in waiting if pod.key not in found.serves]
    return Reserving(tuple(reshapes), tuple(wakes))


def _vain(change: ReconfigurationRow) -> bool:
    """It waited for pods that did not end in time."""
    why = condition(change.status, SUCCEEDED)
    return phase(change) is Phase.CANCELLED and why is not None and why.reason == Reason.DrainBlocked


def _open(site: Site, policy: Policy) -> bool:
    """Nothing but pods in use keeps the node from being changed under the policy."""
    if not isinstance(site.policy, Policy) or site.policy.name != policy.name:
        return False
    return site.drift is None and site.held is None and fitting.closed(site.row) is None


@dataclass(slots=True)
class _Search:
    """For the way to make room on one of these nodes, for the first pod that any of them can serve."""

    snapshot: Snapshot
    policy: Policy
    sites: Sequence[Site]
    recommended: Collection[str]
    now: float
    effort: int
    search: planner.Search
    repelling: tuple[tuple[str, Repulsion, str], ...] = field(init=False, default=())
    open_to: dict[object, frozenset[str]] = field(init=False, default_factory=dict)
    able: dict[Counts, list[tuple[Site, Way]]] = field(init=False, default_factory=dict)

    def best(self, starving: Sequence[PodRow]) -> Reshape | None:
        """The change that serves it."""
        if not (starving and self.sites):
            return None
        self.repelling = _repelling(self.snapshot)
        tried, hopeless = 0, set[object]()
        for place, pod in enumerate(starving):
            crowd = (pod.namespace, tuple(sorted(pod.labels.items()))) if self.repelling else ()
            alike = (tuple(pod.requests.items()), pod.selector, pod.affinity, pod.tolerations, crowd)
            if alike in hopeless:
                continue
            hopeless.add(alike)
            for site, way in self._ways(pod):
                if tried >= MOST_TRIED:
                    return None
                tried += 1
                served = starving[place : place + MOST_PODS]
                if (found := self._reshape(site, way, served)) is not None:
                    return found
        return None

    def _ways(self, pod: PodRow) -> list[tuple[Site, Way]]:
        """The first ways to make room for the pod: those that wait for the fewest pods."""
        need, asked = counts(fitting.slices(pod.requests)), fitting.others(pod.requests)
        open_to = self._open_to(pod)
        if not open_to:
            return []
        if need not in self.able:
            self.able[need] = self._able(need)
        found = (
            (site, way)
            for site, way in self.able[need]
            if site.row.name in open_to
            and self._enough(asked, site, way)
            and not self._repelled(pod, site, way)
        )
        return list(islice(found, TRIED_EACH))

    def _open_to(self, pod: PodRow) -> frozenset[str]:
        """The nodes that the pod selects and whose taints it tolerates."""
        key = (pod.selector, pod.affinity, pod.tolerations)
        if key not in self.open_to:
            rows = (site.row for site in self.sites)
            self.open_to[key] = frozenset(
                row.name
                for row in rows
                if fitting.selected(pod, row) and fitting.untolerated(pod, row) is None
            )
        return self.open_to[key]

    def _able(self, need: Counts) -> list[tuple[Site, Way]]:
        """On each node the first GPUs that can hold the slices, and would have to be cut for them."""
        # the answer depends on the hardware alone, and nodes that are alike share theirs
        known: dict[tuple[int, frozenset[int] | None], bool] = {}

        def possible(site: Site, gpus: frozenset[int] | None) -> bool:
            key = (id(site.hardware), gpus)
            if key not in known:
                hardware = [g for index, g in enumerate(site.hardware) if gpus is None or index in gpus]
                known[key] = bool(hardware) and capacity.possible(hardware, need)
            return known[key]

        found: list[tuple[Site, Way]] = []
        for site in self.sites:
            if not possible(site, None):
                continue
            way = next((way for way in site.ways if possible(site, way.idle)), None)
            if way is not None and any(way.slices.get(profile, 0) < count for profile, count in need):
                found.append((site, way))
        return sorted(found, key=self._order)

    def _order(self, found: tuple[Site, Way]) -> tuple[bool, int, str]:
        site, way = found
        return site.row.name not in self.recommended, len(way.pods), site.row.name

    def _enough(self, asked: Mapping[str, int], site: Site, way: Way) -> bool:
        """The node has so much of its other resources once the pods that it waits for have ended."""
        if any(site.row.allocatable.get(resource, 0) < amount for resource, amount in asked.items()):
            return False
        for resource, amount in asked.items():
            lacking = amount - site.left.get(resource, 0)
            if lacking > 0:
                freed = (self.snapshot.pods[key].requests.get(resource, 0) for key in way.pods)
                if sum(freed) < lacking:
                    return False
        return True

    def _repelled(self, pod: PodRow, site: Site, way: Way) -> bool:
        others = [(repulsion, value) for key, repulsion, value in self.repelling if key not in way.pods]
        return fitting.repelled(pod, site.row, others)

    def _reshape(self, site: Site, way: Way, starving: Sequence[PodRow]) -> Reshape | None:
        """What would be planned for the node alone, and for the pods that starve alone, were its GPUs idle.

        The first of them comes before all others.
        """
        first, name = starving[0], site.row.name
        others = [pod for pod in starving[1:] if not self._repelled(pod, site, way)]
        asking = {pod.key: pod for pod in (replace(first, priority=first.priority + 1), *others)}
        there = {pod.key: pod for pod in self.snapshot.tenants.get(name, ())}
        agents = {key: row for key, row in self.snapshot.mignodes.items() if key == name}
        alone = replace(
            self.snapshot,
            nodes={name: site.row},
            mignodes=agents,
            pods={**there, **asking},
            policies={self.policy.name: self.policy},
        )
        rules = replace(self.policy, eviction=Eviction.NEVER, allow_mode_change=False, headroom=())
        outcome, _ = planner.replan(
            reserved.idle(alone, name, way.gpus, self.now),
            {self.policy.name: rules},
            self.now,
            planner.Prepared(),
            effort=self.effort,
            waiting=True,
            search=self.search,
        )
        for reshape in outcome.plan.reshapes:
            if first.key in reshape.serves and self._holds(alone, site, way, reshape):
                return replace(reshape, reserve=True)
        return None

    def _holds(self, alone: Snapshot, site: Site, way: Way, reshape: Reshape) -> bool:
        """The change waits for pods, and those that it waits for leave enough for the pods that it serves."""
        changed = frozenset(gpu.index for gpu in reshape.gpus if gpu.changed)
        if not changed & way.gpus:
            return False
        rest = fitting.left(reserved.idle(alone, site.row.name, changed, self.now), site.row)
        asked = Counter[str]()
        for key in reshape.serves:
            asked.update(fitting.others(alone.pods[key].requests))
        return all(rest.get(resource, 0) >= amount for resource, amount in asked.items())


def _repelling(snapshot: Snapshot) -> tuple[tuple[str, Repulsion, str], ...]:
    """The required anti-affinity of the pods that hold a place: whose, what, and the value it reigns over."""
    return tuple(
        (pod.key, repulsion, snapshot.nodes[name].labels[repulsion.topology])
        for name, pods in snapshot.tenants.items()
        if name in snapshot.nodes
        for pod in pods
        for repulsion in pod.repels
        if repulsion.topology in snapshot.nodes[name].labels
    )
