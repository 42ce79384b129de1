"""One cycle: from the cluster as it is to what shall be done now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from autoslicer.core import clearing, draining, idle, names, planner, recommendations, repairs, reserving
from autoslicer.core.actions import Action, CreateChange, Report
from autoslicer.core.changes import validation
from autoslicer.core.eligibility import UNREACHABLE
from autoslicer.core.governed import governed_nodes
from autoslicer.core.nodes import kinds, quarantine, resting
from autoslicer.core.pacing import fairness
from autoslicer.core.pacing.fleet import DEFAULT_LIMITS, FleetLimits
from autoslicer.core.pacing.gates import Gates
from autoslicer.core.phases import Phase, live, number, phase, started
from autoslicer.core.plan import Plan, Reshape, Verdict
from autoslicer.core.policy import Mode, Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.recommendations import Judged
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.standing import Stops, standings
from solver.solve import solve

HOLDS = frozenset({Reason.Cooldown, Reason.Reversal, *UNREACHABLE})
"""why a node that could serve a pod is not planned for now: it is nothing about the pod"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one cycle concluded.

    Attributes:
        plan: the whole plan, whether or not it may be carried out now.
        actions: what to do, in order.
        holds: for each Waiting change that may not start, why; a Waiting change that is not here may.
        withheld: for each pod that a change could serve which may not start, why; sorted by pod.
        demand: the keys of the pods that wait for slices.
        drifted: the nodes whose layout has different stories told of it.
        wake: when the next cycle must run although nothing changed (seconds since the epoch); None for never.
    """

    plan: Plan
    actions: tuple[Action, ...]
    holds: Mapping[str, Verdict]
    withheld: tuple[Verdict, ...]
    demand: frozenset[str]
    drifted: frozenset[str]
    wake: float | None

    @property
    def unserved(self) -> tuple[Verdict, ...]:
        """Why pods get nothing now: no plan serves them, or what would may not start."""
        return (*self.plan.unserved, *self.withheld)


def decide(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    now: float,
    prepared: planner.Prepared,
    *,
    effort: int = planner.EFFORT,
    search: planner.Search = solve,
    limits: FleetLimits = DEFAULT_LIMITS,
    starting: Collection[str] = (),
) -> tuple[Decision, planner.Prepared]:
    """The decision for this moment; equal inputs give equal outputs.

    Args:
        snapshot: the cluster; live changes in it count as done.
        policies: by name; they stand in for those of the snapshot.
        now: seconds since the epoch.
        prepared: what the last call returned, or `planner.Prepared()`; it saves work and never changes the
            result.
        effort: counted work that the search may spend.
        search: how plans are found; the simulator compares others.
        limits: of the whole fleet.
        starting: the Waiting changes that an earlier cycle let through: they may have started since the
            snapshot, so that they come before others and count whatever is said of them now.
    """
    # 1. what would be best
    settled = recommendations.set_aside(snapshot)
    reign = governed_nodes(snapshot.nodes, policies, prepared.governed)
    governed = reign.by_policy
    gates = Gates(snapshot, policies, {name: len(nodes) for name, nodes in governed.items()}, now, limits)
    outcome, prepared = _planned(settled, policies, now, prepared, effort, search, gates)
    plan = outcome.plan
    # 2. what of it may start now: changes that wait already come first, then new ones in the plan's order
    mended = repairs.repairs(settled, outcome.sites, now, paused=bool(limits.paused))
    returned = idle.give_back(settled, outcome.sites, _needed(outcome), now)
    recommended = {change.node for change in recommendations.awaited(snapshot) if change.reserve}
    kept = reserving.reserve(
        settled, plan, outcome.sites, policies, now, recommended=recommended, effort=effort, search=search
    )
    planned = fairness.ordered(snapshot, policies, plan.reshapes, now)
    reshapes = (*mended.reshapes_beside(plan), *planned, *returned.reshapes, *kept.reshapes)
    judged = recommendations.judge(snapshot, reshapes, now, limits)
    holds = {**judged.verdicts, **dict(_holds(snapshot, gates, starting))}
    created, blocked = _create(snapshot, policies, reshapes, plan.digest, gates, judged, now)
    withheld = tuple(sorted((*blocked, *_held_pods(snapshot, holds)), key=lambda verdict: verdict.name))
    stops = Stops(limits.paused, gates.open_circuit)
    drifted = repairs.drifted(outcome.sites)
    # 3. what earlier lives of the controller left behind, and what users are told
    actions: tuple[Action, ...] = (
        *clearing.stray_taints(snapshot, now),
        *created,
        *clearing.old_changes(snapshot, limits, now),
        *_told(snapshot, plan, withheld),
        *mended.actions,
        *returned.actions,
        *standings(settled, policies, governed, outcome, drifted, now, stops),
    )
    waits = (
        *gates.wakes,
        *mended.wakes,
        *returned.wakes,
        *kept.wakes,
        *_rests(snapshot, governed, policies, now),
    )
    ahead = (outcome.wake, judged.wake, *waits, *clearing.held(snapshot))
    wakes = [at for at in ahead if at is not None and at > now]
    wake = min(wakes, default=None)
    decision = Decision(plan, actions, holds, withheld, outcome.demand, drifted, wake)
    return decision, replace(prepared, governed=reign)


def _planned(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    now: float,
    prepared: planner.Prepared,
    effort: int,
    search: planner.Search,
    gates: Gates,
) -> tuple[planner.Outcome, planner.Prepared]:
    """The plan; where it would take back what was done just now, the best that leaves those nodes alone."""

    def best(
        known: planner.Prepared, avoid: Mapping[str, Verdict]
    ) -> tuple[planner.Outcome, planner.Prepared]:
        return planner.replan(
            snapshot, policies, now, known, effort=effort, waiting=True, avoid=avoid, search=search
        )

    found, known = best(prepared, {})
    if not (avoid := gates.taken_back(found.plan.reshapes)):
        return found, known
    found, other = best(prepared.otherwise or planner.Prepared(), avoid)
    return found, replace(known, otherwise=other)


def _needed(outcome: planner.Outcome) -> frozenset[str]:
    """The nodes that somebody has a use for as they are, or as they will be."""
    served = (served.node for served in outcome.plan.served)
    changed = (node for one in outcome.plan.reshapes for node in (one.node, *one.replacements))
    return outcome.reserved.union(served, changed)


def _holds(snapshot: Snapshot, gates: Gates, starting: Collection[str]) -> Iterator[tuple[str, Verdict]]:
    """Why an approved change may not start yet."""
    waiting = [
        change for change in snapshot.changes.values() if change.approved and phase(change) is Phase.WAITING
    ]
    for change in sorted(
        waiting, key=lambda change: (change.name not in starting, change.created, change.name)
    ):
        if (held := gates.pass_through(change)) is not None:
            if change.name in starting:
                gates.begun(change)
            yield change.name, held


def _create(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    reshapes: Iterable[Reshape],
    digest: str,
    gates: Gates,
    judged: Judged,
    now: float,
) -> tuple[tuple[CreateChange, ...], tuple[Verdict, ...]]:
    """New changes, all of them where a human approves each, else those that pass the gates.

    A node whose recommendation is superseded gets a new one once the old one has ended.

    Also, for each pod of the others, why its change does not start.
    """
    created: list[CreateChange] = []
    blocked: list[Verdict] = []
    taken = _numbers(snapshot)
    changing = {one.node for one in snapshot.changes.values() if live(one) and (one.approved or started(one))}
    for reshape in reshapes:
        if (name := judged.standing.get(reshape.node)) is not None:
            others = (pod for pod in reshape.serves if pod not in snapshot.changes[name].serves)
            blocked += [recommendations.approval_awaited(name, pod) for pod in others]
            continue
        if reshape.node in judged.nodes:
            continue
        policy = policies[reshape.policy]
        auto = policy.mode is Mode.AUTO
        name = f"{reshape.node}-{taken.get(reshape.node, 0) + 1}"
        change = _change(snapshot, reshape, policy, name, digest, now, approved=auto)
        held = draining.held(reshape, changing) or (gates.pass_through if auto else gates.closed)(change)
        if held is None:
            created.append(CreateChange(change))
            if auto:
                changing.add(reshape.node)
        else:
            blocked += [Verdict(pod, held.reason, held.message) for pod in reshape.serves]
    return tuple(created), tuple(blocked)


def _numbers(snapshot: Snapshot) -> dict[str, int]:
    """By node, the highest number that a name of a change has."""
    found: dict[str, int] = {}
    for name in snapshot.changes:
        node = name.rpartition("-")[0]
        found[node] = max(found.get(node, 0), number(name, node) or 0)
    return found


def _change(
    snapshot: Snapshot,
    reshape: Reshape,
    policy: Policy,
    name: str,
    digest: str,
    now: float,
    *,
    approved: bool,
) -> ReconfigurationRow:
    return ReconfigurationRow(
        name=name,
        uid="",
        resource_version="",
        created=now,
        node=reshape.node,
        node_uid=snapshot.nodes[reshape.node].uid,
        policy=policy.name,
        plan_digest=digest,
        source=reshape.source,
        target=reshape.target,
        gpus=reshape.gpus,
        serves=reshape.serves,
        evicts=reshape.evictions,
        reserve=reshape.reserve,
        recovery=policy.recovery,
        approved=approved,
        approved_by=names.BY_POLICY if approved else "",
        cause=reshape.cause,
        kind=kinds.kind(snapshot, snapshot.nodes[reshape.node]),
    )


def _held_pods(snapshot: Snapshot, holds: Mapping[str, Verdict]) -> Iterator[Verdict]:
    for name, held in holds.items():
        if held.reason in recommendations.ENDED_BY:
            continue
        for pod in validation.pending(snapshot.changes[name], snapshot):
            yield Verdict(pod.key, held.reason, held.message)


def _told(snapshot: Snapshot, plan: Plan, withheld: Iterable[Verdict]) -> Iterator[Report]:
    """What the waiting pods are told: why nothing can serve them, or why what could does not start."""
    for verdict in plan.unserved:
        yield _report(snapshot, "Normal" if verdict.reason in HOLDS else "Warning", verdict)
    for verdict in withheld:
        yield _report(snapshot, "Normal", verdict)


def _report(snapshot: Snapshot, kind: str, verdict: Verdict) -> Report:
    pod = snapshot.pods[verdict.name]
    return Report("Pod", pod.namespace, pod.name, pod.uid, kind, verdict.reason, verdict.message)


def _rests(
    snapshot: Snapshot, governed: Mapping[str, Iterable[str]], policies: Mapping[str, Policy], now: float
) -> Iterator[float | None]:
    """When the nodes that rest may change again."""
    for policy, nodes in governed.items():
        # one that was never changed has nothing to rest from
        for node in filter(snapshot.history.__contains__, nodes):
            yield resting.rest(snapshot, node, policies[policy].cooldown_seconds)
            yield quarantine.quarantined_until(snapshot, node, now)
