"""Which pods wait for MIG slices, and since when it is our turn to do something about them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from autoslicer.core import names
from autoslicer.core.differences import differing, replaced
from autoslicer.core.fitting import live_change, promised, slices
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.windows import batches

SCHEDULERS = frozenset({"default-scheduler"})
"""the schedulers whose rules `fitting` follows"""
_FEW = 64
"""pods that differ; with more of them everything is looked at again"""


@dataclass(frozen=True, slots=True)
class Demand:
    """The pods that ask for MIG slices and have no node.

    Attributes:
        pods: those to plan for, sorted by key.
        excluded: those that are no demand, each with why.
        promised: the pods that a live change serves already, each with its node; they are in neither of the
            two.
        again: where few pods differ from another moment, these by key: the row of each that is to be planned
            for, None for each other.
    """

    pods: tuple[PodRow, ...]
    excluded: tuple[Verdict, ...]
    promised: Mapping[str, str]
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
    # who nominated a pod to a node is told by the changes
    if before is not None and before[0].changes == snapshot.changes:
        again = differing(before[0].pods, snapshot.pods) | (given.keys() ^ before[1].promised.keys())
    if before is None or again is None or len(again) > _FEW:
        pods, excluded = _sorted_out(snapshot, snapshot.pods, given, waiting, schedulers)
        return Demand(tuple(pods), tuple(excluded), given)
    pods, excluded = _sorted_out(snapshot, again, given, waiting, schedulers)
    return Demand(
        replaced(before[1].pods, again, pods, _key),
        replaced(before[1].excluded, again, excluded, _name),
        given,
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


def ripe_at(pods: Collection[PodRow], policies: Mapping[str, Policy]) -> dict[str, dict[str, float]]:
    """When each pod may cause a change, by its key and by policy (seconds since the epoch).

    That is once its batch is complete (see `windows.batches`) and all of the batch has been unschedulable for
    the policy's `pendingSeconds`. Batches are the same for every policy: the smallest windows count.

    Args:
        pods: that the scheduler found unschedulable; others have no time.
        policies: by name.
    """
    since = {pod.key: pod.unschedulable_since for pod in pods}
    batch = batches(
        (at for at in since.values() if at is not None),
        idle=min((policy.batch_idle_seconds for policy in policies.values()), default=0.0),
        longest=min((policy.batch_max_seconds for policy in policies.values()), default=0.0),
    )
    return {
        key: {
            name: max(batch[at].last + policy.pending_seconds, batch[at].closes)
            for name, policy in policies.items()
        }
        for key, at in since.items()
        if at is not None
    }


def ripening(
    pods: Collection[PodRow], policies: Mapping[str, Policy], now: float
) -> dict[str, frozenset[str]]:
    """Of the pods that may not cause a change under every policy yet: the policies under which they may."""
    longest = max((policy.batch_max_seconds for policy in policies.values()), default=0.0)
    waits = max((policy.pending_seconds for policy in policies.values()), default=math.inf)
    # a batch stays open for `longest` at most, counted from a time that is none of its pods' later
    young = {
        pod.key
        for pod in pods
        if pod.unschedulable_since is None or pod.unschedulable_since + longest + waits > now
    }
    if not young:
        return {}
    times = ripe_at(pods, policies)
    return {
        key: frozenset(name for name, at in times.get(key, {}).items() if at <= now) for key in sorted(young)
    }


def next_window(wanted: Demand, policies: Mapping[str, Policy], now: float) -> float | None:
    """When the next pod may cause a change under some policy (seconds since the epoch), or None."""
    times = (at for by_policy in ripe_at(wanted.pods, policies).values() for at in by_policy.values())
    return min((at for at in times if at > now), default=None)
