"""How each policy stands: which nodes it governs, what keeps it from acting, and what its status says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from autoslicer.core.actions import PolicyStatus
from autoslicer.core.changes import validation
from autoslicer.core.nodes import quarantine
from autoslicer.core.phases import live, started
from autoslicer.core.plan import Verdict
from autoslicer.core.planner import Outcome
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import Condition
from autoslicer.core.selectors import matches
from autoslicer.core.snapshot import Snapshot
from solver.solution import By

READY = "Ready"
DEGRADED = "Degraded"


@dataclass(frozen=True, slots=True)
class Stops:
    """Why no change starts anywhere, each a sentence or empty: a human's pause, and an open circuit."""

    paused: str = ""
    circuit: str = ""


NOTHING_STOPPED = Stops()


def standings(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    nodes: Mapping[str, tuple[str, ...]],
    outcome: Outcome,
    drifted: Collection[str],
    now: float,
    stops: Stops = NOTHING_STOPPED,
) -> tuple[PolicyStatus, ...]:
    """The status of every policy that is an object in the snapshot.

    Args:
        snapshot: the cluster.
        policies: by name.
        nodes: of each policy, see `governed`.
        outcome: of this cycle's plan.
        drifted: the nodes of whose layout different stories are told.
        now: seconds since the epoch; it becomes the transition time of a condition that changes.
        stops: what keeps every change from starting.
    """
    plan, demand = outcome.plan, outcome.demand
    by_reshape = {served.pod: served.node for served in plan.served if served.by is By.RESHAPE}
    promised = [
        change.policy
        for change in snapshot.changes.values()
        if live(change)
        for pod in validation.pending(change, snapshot)
    ]
    by_free = sum(served.by is By.FREE for served in plan.served)
    quarantined = {
        node for node in snapshot.history if quarantine.quarantined_until(snapshot, node, now) is not None
    }
    found: list[PolicyStatus] = []
    for name, policy in sorted(policies.items()):
        if not policy.uid:
            continue
        found.append(
            PolicyStatus(
                name=name,
                generation=policy.generation,
                conditions=(
                    _ready(snapshot, policy, nodes[name], outcome, stops, now),
                    _degraded(policy, stops, now),
                ),
                governed=len(nodes[name]),
                reshaping=sum(
                    started(change) and change.policy == name for change in snapshot.changes.values()
                ),
                quarantined=sum(node in quarantined for node in nodes[name]),
                drifted=sum(node in drifted for node in nodes[name]),
                pending=len(demand),
                lacking=len(demand) - by_free,
                servable=sum(node in nodes[name] for node in by_reshape.values()) + promised.count(name),
                plan_digest=plan.digest,
                plan_status=plan.status,
                plan_gap=plan.gap,
            )
        )
    return tuple(found)


def _ready(
    snapshot: Snapshot,
    policy: Policy,
    nodes: tuple[str, ...],
    outcome: Outcome,
    stops: Stops,
    now: float,
) -> Condition:
    reason, message = "Ready", f"governs {len(nodes)} node{'' if len(nodes) == 1 else 's'}"
    order = list(Reason)
    out = [found for node in nodes if (found := outcome.sites[node].unreachable) is not None]
    out.sort(key=lambda verdict: (order.index(verdict.reason), verdict.name))
    problem = _problem(snapshot.policies.values(), policy, nodes, outcome)
    if out and len(out) == len(nodes):
        problem = problem or out[0]
    elif out:
        message += f"; no config reaches {len(out)} of them: {out[0].message}"
    if stops.paused:
        problem = Verdict(policy.name, Reason.Paused, stops.paused)
    if problem is not None:
        reason, message = problem.reason, problem.message
    return _condition(policy, READY, problem is None, reason, message, now)


def _degraded(policy: Policy, stops: Stops, now: float) -> Condition:
    if stops.circuit:
        return _condition(policy, DEGRADED, True, Reason.CircuitOpen, stops.circuit, now)
    return _condition(policy, DEGRADED, False, "AsExpected", "changes come to their end", now)


def _condition(policy: Policy, kind: str, true: bool, reason: str, message: str, now: float) -> Condition:
    """A condition whose transition time moves only with its status."""
    status = "True" if true else "False"
    old = next((condition for condition in policy.conditions if condition.type == kind), None)
    since = old.since if old is not None and old.status == status else now
    return Condition(kind, status, reason, message, since, policy.generation)


def _problem(
    policies: Collection[Policy], policy: Policy, nodes: tuple[str, ...], outcome: Outcome
) -> Verdict | None:
    """The first thing that keeps the policy from acting on any of its nodes."""
    if policy.suspend:
        return Verdict(policy.name, Reason.Suspended, "spec.suspend is true: plans go on, no change starts")
    if (rival := _rival(policies, policy, outcome)) is not None:
        return Verdict(policy.name, Reason.PolicyConflict, rival)
    if policy.name in outcome.conflicts:
        return Verdict(policy.name, Reason.ObjectiveConflict, outcome.conflicts[policy.name])
    if not nodes:
        return Verdict(
            policy.name,
            Reason.NotGoverned,
            "no node matches spec.nodeSelector, or a more specific policy has them all",
        )
    return None


def _rival(policies: Collection[Policy], policy: Policy, outcome: Outcome) -> str | None:
    """The first node by name that this policy and another claim equally: it belongs to neither."""
    for name, site in outcome.sites.items():
        labels = site.row.labels
        if isinstance(site.policy, Verdict) and matches(policy.selector, labels):
            claims = (len(other.selector) for other in policies if matches(other.selector, labels))
            if len(policy.selector) == max(claims):
                return f"node {name}: {site.policy.message}"
    return None
