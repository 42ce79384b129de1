"""Which pods wait for MIG slices, and since when it is our turn to do something about them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from autoslicer.core import names
from autoslicer.core.fitting import live_change, promised, slices
from autoslicer.core.plan import Verdict
from autoslicer.core.planning.differences import differing, replaced
from autoslicer.core.planning.windows import batches
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot

SCHEDULERS = frozenset({"default-scheduler"})
"""the schedulers whose rules `fitting` follows"""
_FEW = 64
"""pods that differ; with more of them everything is looked at again"""

Arrival = tuple[float, str]
"""since when a pod is unschedulable (seconds since the epoch, infinity where it is not), and its key"""


@dataclass(frozen=True, slots=True)
class Demand:
    """The pods that ask for MIG slices and have no node.

    Attributes:
        pods: those to plan for, sorted by key.
        excluded: those that are no demand, each with why.
        promised: the pods that a live change serves already, each with its node; they are in neither of the
            two.
        keys: of the pods to plan for and of those promised.
        arrivals: of the pods to plan for, sorted.
        again: where few pods differ from another moment, these by key: the row of each that is to be planned
            for, None for each other.
    """

    pods: tuple[PodRow, ...]
    excluded: tuple[Verdict, ...]
    promised: Mapping[str, str]
    keys: frozenset[str]
    arrivals: tuple[Arrival, ...]
    again: Mapping[str, PodRow | None] | None = field(default=None, compare=False, repr=False)


def demand(
    snapshot: Snapshot,
    *,
    waiting: bool,
    schedulers: Collection[str] = SCHEDULERS,
    before: tuple[Snapshot, Demand] | None = None,
) -> Demand:
    """Everything that waits for MIG slices, sorted out.

    Args:
        snapshot: the cluster.
        waiting: only pods that the scheduler has found unschedulable count; else those that it has not tried
            as well.
        schedulers: the `spec.schedulerName`s that count.
        before: another snapshot and what this function returned for it under the same `waiting` and
            `schedulers`; only pods that differ are looked at again.
    """
    given = {
        pod.key: node
        for node in sorted(snapshot.history)
        if (change := live_change(snapshot, node)) is not None
        for pod in promised(snapshot, change)
    }
    again: set[str] | None = None
    if before is not None and before[0].hinted == snapshot.hinted:
        again = differing(before[0].pods, snapshot.pods) | (given.keys() ^ before[1].promised.keys())
    if before is None or again is None or len(again) > _FEW:
        pods, excluded = _sorted_out(snapshot, snapshot.pods, given, waiting, schedulers)
        keys = frozenset(pod.key for pod in pods) | given.keys()
        return Demand(tuple(pods), tuple(excluded), given, keys, tuple(sorted(map(_arrival, pods))))
    pods, excluded = _sorted_out(snapshot, again, given, waiting, schedulers)
    keys = before[1].keys.union(map(_key, pods), given)
    if ended := (keys & again) - {pod.key for pod in pods} - given.keys():
        keys -= ended
    gone = (_arrival(row) for key in again if (row := before[0].pods.get(key)) is not None)
    return Demand(
        replaced(before[1].pods, again, pods, _key),
        replaced(before[1].excluded, again, excluded, _name),
        given,
        keys,
        replaced(before[1].arrivals, gone, map(_arrival, pods), _itself),
        {**dict.fromkeys(again), **{pod.key: pod for pod in pods}},
    )


def _sorted_out(
    snapshot: Snapshot,
    keys: Iterable[str],
    given: Collection[str],
    waiting: bool,
    schedulers: Collection[str],
) -> tuple[list[PodRow], list[Verdict]]:
    """Of the pods with these keys those to plan for, and those that ask but are no demand."""
    pods: list[PodRow] = []
    excluded: list[Verdict] = []
    for key in sorted(keys):
        pod = snapshot.pods.get(key)
        if pod is None or pod.phase != "Pending" or pod.node or key in given or not slices(pod.requests):
            continue
        verdict = _no_demand(pod, waiting, schedulers, nominated=_elsewhere(snapshot, pod))
        if verdict is None:
            pods.append(pod)
        else:
            excluded.append(verdict)
    return pods, excluded


def _key(pod: PodRow) -> str:
    return pod.key


def _arrival(pod: PodRow) -> Arrival:
    return math.inf if pod.unschedulable_since is None else pod.unschedulable_since, pod.key


def _itself(arrival: Arrival) -> Arrival:
    return arrival


def _since(arrival: Arrival) -> float:
    return arrival[0]


def _name(verdict: Verdict) -> str:
    return verdict.name


def _elsewhere(snapshot: Snapshot, pod: PodRow) -> bool:
    """Somebody else nominated the pod to a node: it preempts pods there."""
    return pod in snapshot.tenants.get(pod.nominated, ())


def _no_demand(pod: PodRow, waiting: bool, schedulers: Collection[str], *, nominated: bool) -> Verdict | None:
    """Why the pod is no demand, the first reason in the order of `Reason`."""
    if pod.gated:
        return Verdict(pod.key, Reason.Gated, "a scheduling gate keeps it from the scheduler")
    if pod.terminating:
        return Verdict(pod.key, Reason.Terminating, "it is being deleted")
    if pod.ignored:
        return Verdict(pod.key, Reason.OptedOut, f"it is annotated {names.IGNORE}=true")
    if waiting and pod.unschedulable_since is None:
        return Verdict(pod.key, Reason.NotTried, "the scheduler has not found it unschedulable")
    if pod.scheduler not in schedulers:
        return Verdict(pod.key, Reason.OtherScheduler, f"the scheduler {pod.scheduler} is not known")
    if nominated:
        return Verdict(pod.key, Reason.Preempting, f"the scheduler makes room for it on {pod.nominated}")
    return None


@dataclass(frozen=True, slots=True)
class Ripening:
    """Which pods may not cause a change under every policy yet.

    Attributes:
        policies: of each such pod, by key, sorted, those under which it may.
        wake: when the next pod may cause a change under one policy more (seconds since the epoch), or None.
    """

    policies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    wake: float | None = None


def ripening(arrivals: Sequence[Arrival], policies: Mapping[str, Policy], now: float) -> Ripening:
    """The pods that have not waited out every window, at a moment in seconds since the epoch.

    Args:
        arrivals: sorted.
        policies: by name.
        now: seconds since the epoch.
    """
    # a batch stays open for the longest window at most, counted from a time that is none of its pods' later
    longest = max((policy.batch_max_seconds for policy in policies.values()), default=0.0)
    after = now - longest - max((policy.pending_seconds for policy in policies.values()), default=math.inf)
    young = bisect_right(arrivals, after, key=_since)
    if young == len(arrivals):
        return Ripening()
    times = _times(arrivals, young, policies, after)
    ripe = {at: frozenset(name for name, end in ends.items() if end <= now) for at, ends in times.items()}
    never = frozenset[str]()
    found = {key: ripe.get(at, never) for key, at in sorted((key, at) for at, key in arrivals[young:])}
    ahead = (at for ends in times.values() for at in ends.values() if at > now)
    return Ripening(found, min(ahead, default=None))


def _times(
    arrivals: Sequence[Arrival], young: int, policies: Mapping[str, Policy], after: float
) -> dict[float, Mapping[str, float]]:
    """When pods that were found unschedulable at a time later than `after` may cause a change, by policy.

    That is once their batch is complete (see `windows.batches`) and all of the batch has been unschedulable
    for the policy's `pendingSeconds`. Batches are the same for every policy: the smallest windows count.
    `young` is where these pods begin.
    """
    idle = min((policy.batch_idle_seconds for policy in policies.values()), default=0.0)
    longest = min((policy.batch_max_seconds for policy in policies.values()), default=0.0)
    # what came before a pause opened other batches
    while young and arrivals[young][0] <= arrivals[young - 1][0] + idle:
        young -= 1
    found = batches((at for at, _ in arrivals[young:] if at < math.inf), idle=idle, longest=longest)
    return {
        at: {name: max(one.last + policy.pending_seconds, one.closes) for name, policy in policies.items()}
        for at, one in found.items()
        if at > after
    }
