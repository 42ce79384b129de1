"""What a cycle and its changes leave in the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from autoslicer.core.actions import PolicyStatus
from autoslicer.core.cycle import Decision
from autoslicer.core.fitting import slices
from autoslicer.core.phases import Phase, live, phase, reached, started
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.observability.metrics import (
    NODE_STATES,
    SLICE_STATES,
    STEPS,
    UNFULFILLED_REASONS,
    Metrics,
    profile_label,
)
from solver.solution import By


def measure(metrics: Metrics, snapshot: Snapshot, decision: Decision, spent: Mapping[str, float]) -> None:
    """Set the gauges to this cycle's figures and count it.

    Args:
        metrics: to change.
        snapshot: that was decided on.
        decision: that was made.
        spent: seconds by phase of the cycle.
    """
    _demand(metrics, snapshot, decision)
    _supply(metrics, snapshot)
    plan = decision.plan
    states = Counter(
        governed=plan.nodes,
        refused=len(plan.refusals),
        reshaping=sum(started(change) for change in snapshot.changes.values()),
        quarantined=sum(a.quarantined for a in decision.actions if isinstance(a, PolicyStatus)),
        drifted=len(decision.drifted),
    )
    for state in NODE_STATES:
        metrics.nodes.labels(state).set(states[state])
    for refusal in plan.refusals:
        metrics.refusals.labels(refusal.reason).inc()
    metrics.plans.labels(plan.status).inc()
    metrics.plan_gap_ratio.set(plan.gap)
    metrics.solve_seconds.observe(spent["decide"])
    for name, seconds in spent.items():
        metrics.cycle_duration_seconds.labels(name).observe(seconds)


def step(metrics: Metrics, old: ReconfigurationRow | None, new: ReconfigurationRow | None) -> None:
    """Count a phase that a change has entered, and how long the way there took."""
    if new is None or old is None or old.uid != new.uid or old.status.phase == new.status.phase:
        return
    entered, steps = phase(new), new.status.steps
    at = reached(new, entered)
    if at is not None and entered in STEPS:
        since = steps[-2].at if len(steps) > 1 else new.created
        metrics.reshape_duration_seconds.labels(entered).observe(max(0.0, at - since))
    if not live(new):
        metrics.reshapes.labels(entered).inc()
        tainted, back = reached(new, Phase.TAINTED), reached(new, Phase.VERIFIED) or at
        if tainted is not None and back is not None:
            metrics.node_unavailable_seconds.inc(max(0.0, back - tainted))


def _demand(metrics: Metrics, snapshot: Snapshot, decision: Decision) -> None:
    free = {served.pod for served in decision.plan.served if served.by is By.FREE}
    pending: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    for key in decision.demand:
        wanted = slices(snapshot.pods[key].requests)
        pending[profile_label(min(wanted))] += 1
        if key not in free:
            lacking.update({profile_label(profile): count for profile, count in wanted.items()})
    unserved: Counter[tuple[str, Reason]] = Counter(
        (profile_label(min(slices(snapshot.pods[verdict.name].requests))), verdict.reason)
        for verdict in decision.unserved
    )
    for metric, counts in ((metrics.pending_pods, pending), (metrics.lacking_slices, lacking)):
        for profile in metrics.profiles:
            metric.labels(profile).set(counts[profile])
    for profile in metrics.profiles:
        for reason in UNFULFILLED_REASONS:
            metrics.requests_unfulfilled.labels(profile, reason).set(unserved[profile, reason])


def _supply(metrics: Metrics, snapshot: Snapshot) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for node in snapshot.nodes.values():
        held: Counter[str] = Counter()
        for pod in snapshot.tenants.get(node.name, ()):
            held.update(slices(pod.requests) if pod.node else {})
        for profile, count in slices(node.allocatable).items():
            # a pod keeps its slices while the device plugin is away and advertises none
            used = min(count, held[profile])
            counts[profile_label(profile), "used"] += used
            counts[profile_label(profile), "free"] += count - used
    for profile in metrics.profiles:
        for state in SLICE_STATES:
            metrics.slices.labels(profile, state).set(counts[profile, state])
