"""A snapshot as the solver's problem: which pods, which nodes, what is free and what may change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from autoslicer.core import fitting
from autoslicer.core.demand import Demand, Ripening, ripening
from autoslicer.core.eligibility import Assessment
from autoslicer.core.plan import Verdict
from autoslicer.core.planning.differences import replaced
from autoslicer.core.planning.objectives import Objectives, objectives, refused
from autoslicer.core.planning.places import Places
from autoslicer.core.planning.sites import Sites, sites
from autoslicer.core.policy import Objective, Policy, Weight
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, Headroom, Node, Pod, Problem, Tenant, counts
from solver.profile_name import parse


@dataclass(frozen=True, slots=True)
class Posed:
    """The problem with what led to it.

    Attributes:
        problem: for the solver.
        sites: the nodes.
        places: where kinds of pods may go.
        pods: the demand that is planned for, by key.
        ripe: of those that may not go to every policy's nodes yet, the policies whose time has come.
        asked: the resources, slices aside, that they ask for, sorted.
        objectives: by which they count.
        at: the moment, in seconds since the epoch.
        starving: when the next pod begins to starve (seconds since the epoch), or infinity.
        wake: when that is, or the next pod may go to one policy's nodes more; None for never.
        again: the keys of the pods that may differ from those of the problem that this one was made from;
            None where all may, or the nodes do.
        fresh: the pods that came since the problem that this one was made from, where nothing else differs;
            else None.
    """

    problem: Problem
    sites: Sites
    places: Places
    pods: Mapping[str, PodRow]
    ripe: Mapping[str, frozenset[str]]
    asked: tuple[str, ...]
    objectives: Objectives
    at: float
    starving: float
    wake: float | None
    again: frozenset[str] | None = None
    fresh: tuple[Pod, ...] | None = None

    @property
    def policies(self) -> dict[str, Policy | Verdict]:
        """Of each governed node; a verdict where several policies claim it."""
        rows = self.sites.by_name.items()
        return {name: site.policy for name, site in rows if site.policy is not None}

    @property
    def assessments(self) -> dict[str, Assessment]:
        """Of each governed node."""
        rows = self.sites.by_name.items()
        return {name: site.assessment for name, site in rows if site.assessment is not None}


def pose(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    demand: Demand,
    now: float,
    *,
    waiting: bool,
    before: Posed | None = None,
    avoid: Mapping[str, Verdict] | None = None,
) -> Posed:
    """The problem of serving the demand.

    Args:
        snapshot: the cluster.
        policies: by name.
        demand: of this snapshot.
        now: seconds since the epoch.
        waiting: a pod may go to a policy's node only once it has waited for that policy's `pendingSeconds`,
            and is left out until that is so for some policy.
        before: what this function returned for another moment under the same `waiting`.
        avoid: see `sites.sites`.
    """
    windows = ripening(demand.arrivals, policies, now) if waiting else Ripening()
    ripe = windows.policies
    pods, again = _planned(snapshot, demand, ripe, before)
    asked = _all_asked(pods, again, before)
    known = Sites() if before is None else before.places.sites
    whole = sites(snapshot, policies, asked, now, known, avoid)
    places = Places(snapshot, whole, None if before is None else before.places)
    aims = objectives(policies, pods, places)
    if before is not None and again is not None and aims == before.objectives and not aims.by_pod:
        again |= _starved_since(before, pods, aims.common, now)
    else:
        again = None
    steady = before is not None and whole is before.places.sites and aims == before.objectives
    found = before.sites if before is not None and steady else refused(whole, aims.conflicts)

    def made(keys: Iterable[str]) -> list[Pod]:
        rows = (pods[key] for key in keys if key in pods)
        return [_pod(row, places.of(row, ripe.get(row.key)), aims.of(row.key), now) for row in rows]

    fresh: tuple[Pod, ...] | None = None
    if before is not None and steady:
        nodes, wanted = before.problem.nodes, before.problem.headroom
        tenants = before.problem.tenants if not places.moved else _tenants(snapshot, nodes, places)
    else:
        nodes = tuple(site.node for site in found.by_name.values() if site.node is not None)
        wanted = _headroom(policies, found)
        tenants = _tenants(snapshot, nodes, places)
    if before is None or again is None or places.moved:
        problem = Problem(nodes, tuple(made(sorted(pods))), wanted, tenants)
    elif steady and not again & before.pods.keys():
        fresh = tuple(made(again))
        problem = before.problem.including(fresh) if fresh else before.problem
    else:
        problem = Problem(nodes, replaced(before.problem.pods, again, made(again), _name), wanted, tenants)
    starving = _starving(before, pods, again, aims, now)
    wakes = (at for at in (windows.wake, starving) if at is not None and at < math.inf)
    told = frozenset(again) if again is not None and steady else None
    return Posed(
        problem, found, places, pods, ripe, asked, aims, now, starving, min(wakes, default=None), told, fresh
    )


def _headroom(policies: Mapping[str, Policy], found: Sites) -> tuple[Headroom, ...]:
    """What each policy wants free, on those of its nodes that may take pods."""
    return tuple(
        Headroom(profile, count, names)
        for policy in sorted(policies)
        if policies[policy].headroom and (names := _governed(found, policy))
        for profile, count in policies[policy].headroom
    )


def _tenants(snapshot: Snapshot, nodes: Iterable[Node], places: Places) -> tuple[Tenant, ...]:
    """The pods that may be evicted, each with the nodes where its replacement may run."""
    keys = frozenset[str]().union(*(gpu.tenants for node in nodes for gpu in node.gpus if gpu.tenants))
    found: list[Tenant] = []
    for row in (snapshot.pods[key] for key in sorted(keys)):
        slices, resources = _asked(tuple(row.requests.items()))
        found.append(Tenant(row.key, row.priority, slices, resources, places.of(row, None)))
    return tuple(found)


def _governed(found: Sites, policy: str) -> frozenset[str]:
    return frozenset(
        name
        for name, site in found.by_name.items()
        if site.node is not None and isinstance(site.policy, Policy) and site.policy.name == policy
    )


def _starved_since(before: Posed, pods: Mapping[str, PodRow], aim: Objective, now: float) -> set[str]:
    """The pods that began to starve since then, or no longer do, where time went back."""
    then = before.at
    if then <= now < before.starving:
        return set()
    return {
        key
        for key, row in pods.items()
        if (aim.starves_at(row.created) <= then) != (aim.starves_at(row.created) <= now)
    }


def _starving(
    before: Posed | None, pods: Mapping[str, PodRow], again: set[str] | None, aims: Objectives, now: float
) -> float:
    """When the next pod begins to starve (seconds since the epoch), or infinity."""
    keys: Iterable[str] = pods
    known = math.inf
    same = before is not None and before.at <= now < before.starving
    if before is not None and same and again is not None and not again & before.pods.keys():
        keys, known = again & pods.keys(), before.starving
    times = (aims.of(key).starves_at(pods[key].created) for key in keys)
    return min(chain([known], (at for at in times if at > now)))


def _planned(
    snapshot: Snapshot, demand: Demand, ripe: Mapping[str, frozenset[str]], before: Posed | None
) -> tuple[dict[str, PodRow], set[str] | None]:
    """The pods to plan for by key, and which differ from those before; None where that is not told."""
    if before is None or demand.again is None:
        return {pod.key: pod for pod in demand.pods if ripe.get(pod.key, True)}, None
    again = {key for key in before.ripe.keys() | ripe.keys() if before.ripe.get(key) != ripe.get(key)}
    again |= demand.again.keys()
    pods = dict(before.pods)
    for key in again:
        pods.pop(key, None)
        row = demand.again[key] if key in demand.again else snapshot.pods[key]
        if row is not None and ripe.get(key, True):
            pods[key] = row
    return pods, again


def _all_asked(pods: Mapping[str, PodRow], again: set[str] | None, before: Posed | None) -> tuple[str, ...]:
    """The resources, slices aside, that the pods ask for, sorted."""
    if before is not None and again is not None and not again & before.pods.keys():
        rows, found = [pods[key] for key in again if key in pods], set(before.asked)
    else:
        rows, found = [*pods.values()], set()
    asked = {tuple(row.requests.items()) for row in rows}
    return tuple(sorted(found | {name for requests in asked for name, _ in _asked(requests)[1]}))


@lru_cache(maxsize=4096)
def _asked(requests: Counts) -> tuple[Counts, Counts]:
    """The slices in a list of resources, and the rest."""
    return counts(fitting.slices(dict(requests))), counts(fitting.others(dict(requests)))


def _pod(row: PodRow, nodes: frozenset[str], aim: Objective, now: float) -> Pod:
    slices, resources = _asked(tuple(row.requests.items()))
    return Pod(
        row.key,
        row.priority,
        slices,
        resources,
        nodes,
        # older pods first; microseconds are what Kubernetes' finest timestamps tell
        order=round(row.created * 1_000_000),
        weight=1 if aim.weight is Weight.REQUESTS else _compute(slices),
        starved=aim.starves_at(row.created) <= now,
    )


@lru_cache(maxsize=4096)
def _compute(slices: Counts) -> int:
    """Compute slices of all of them together."""
    return sum(parse(profile).compute * count for profile, count in slices)


def _name(pod: Pod) -> str:
    return pod.name
