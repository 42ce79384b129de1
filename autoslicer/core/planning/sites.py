"""What a plan has to know of each node, worked out anew only for nodes about which something has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from autoslicer.core import fitting, names
from autoslicer.core.configs import ALL_DISABLED
from autoslicer.core.eligibility import Assessment, apply_path, assess
from autoslicer.core.nodes import emptying, evidence, idleness, layouts, quarantine, refused, resting
from autoslicer.core.nodes.drift import REPAIRABLE, Drift, drift
from autoslicer.core.plan import Verdict
from autoslicer.core.planning import capacity
from autoslicer.core.policy import Mode, Policy, governing
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from solver.geometry import Geometry
from solver.problem import Counts, Gpu, Node, counts

MOST = 2**50
"""the most that a node is taken to have of a resource: sums over thousands of pods stay within 64 bits"""

BUSY = frozenset({Reason.NodeBusy, Reason.GpuBusy})
"""why a node may not change that may once the pods on it have ended"""


@dataclass(frozen=True, slots=True)
class Site:
    """A node as the planner sees it.

    Attributes:
        seen: all that the rest was worked out from; where it is equal, so is the rest.
        row: the node itself.
        policy: that governs the node; a verdict where several claim it, None where none does.
        assessment: of a governed node.
        unreachable: why no config reaches a governed node.
        held: why no new change may start on it now, though the hard rules would allow one.
        left: what is left of its resources.
        node: for the solver; None where it has nothing to offer.
        unheld: what it would be if it were not held.
        hardware: what each GPU of a governed node can be cut into; empty where that is not known.
        offered: slices that the node offers now, in use or not, by profile.
        drift: what differs on a governed node that could be repaired, as far as it is not refused otherwise.
        ways: how its GPUs become idle by themselves, where the policy may reserve it.
    """

    seen: tuple[object, ...]
    row: NodeRow
    policy: Policy | Verdict | None
    assessment: Assessment | None
    unreachable: Verdict | None
    held: Verdict | None
    left: Mapping[str, int]
    node: Node | None
    unheld: Node | None
    hardware: tuple[Geometry, ...]
    offered: Mapping[str, int]
    drift: Drift | None = None
    ways: tuple[emptying.Way, ...] = ()


@dataclass(frozen=True, slots=True)
class Sites:
    """Every node of a snapshot, by name, sorted.

    Attributes:
        common: what all of them were worked out from.
        asked: the resources that the solver is told of.
        columns: what else each was worked out from, in the order of the nodes.
        tenants: of each node, in the same order.
        newest: when the last of them came, see `idleness.newest`.
        by_name: the nodes.
    """

    common: tuple[object, ...] = ()
    asked: tuple[str, ...] = ()
    columns: tuple[Sequence[object], ...] = ()
    tenants: Sequence[tuple[PodRow, ...]] = ()
    newest: Sequence[float] = ()
    by_name: Mapping[str, Site] = field(default_factory=dict)


def sites(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    asked: Sequence[str],
    now: float,
    before: Sites,
    avoid: Mapping[str, Verdict] | None = None,
) -> Sites:
    """Every node.

    Args:
        snapshot: the cluster.
        policies: by name.
        asked: the resources, slices aside, that the demand asks for, sorted.
        now: seconds since the epoch.
        before: what this function returned for another moment, or nothing; the same object is returned where
            nothing has changed.
        avoid: the nodes on which no new change may start now, each with the reason; where it is given, those
            that rest and those of policies in mode Auto that no config reaches are held as well.
    """
    refusals = refused.by_kind(snapshot)
    specs = _specs(policies)
    common: tuple[object, ...] = (
        refusals,
        specs,
        _specs(snapshot.policies),
        {key: row.configs and ALL_DISABLED in row.configs for key, row in snapshot.config_maps.items()},
        snapshot.resource_slices,
        avoid is None,
    )
    wanted = tuple(asked)
    ordered = sorted(snapshot.nodes)
    held = None if avoid is None else {**resting.resting(snapshot, policies, now), **avoid}
    tenants = [snapshot.tenants.get(name, ()) for name in ordered]
    newest = _newest(tenants, before)
    columns = (tenants, *_columns(snapshot, ordered, newest, held or {}, now))
    known: Mapping[str, Site] = {}
    if before.common == common:
        if (before.columns, before.asked) == (columns, wanted):
            return before
        common, known = before.common, before.by_name
    found: dict[str, Site] = {}
    for name, seen in zip(ordered, zip(*columns, strict=True), strict=True):
        site = known.get(name)
        if site is None or site.seen != seen:
            found[name] = _asked(snapshot, _site(snapshot, specs, refusals, held, now, name, seen), wanted)
        else:
            found[name] = site if before.asked == wanted else _asked(snapshot, site, wanted)
    return Sites(common, wanted, columns, tenants, newest, found)


def able(sites: Sites, need: Counts) -> list[str]:
    """The nodes whose GPUs could hold the slices: cut anew where a policy governs, else as they are."""
    possible = {
        id(site.hardware): bool(site.hardware) and capacity.possible(site.hardware, need)
        for site in {id(site.hardware): site for site in sites.by_name.values()}.values()
    }
    return [
        name for name, site in sites.by_name.items() if possible[id(site.hardware)] or _offers(site, need)
    ]


def _offers(site: Site, need: Counts) -> bool:
    return all(site.offered.get(profile, 0) >= count for profile, count in need)


def _specs(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """The policies without what their status says."""
    return {name: replace(policy, conditions=()) for name, policy in policies.items()}


def _newest(tenants: Sequence[tuple[PodRow, ...]], before: Sites) -> list[float]:
    """When the last pod came to each node; pods that are the same as before have come when they had."""
    if len(tenants) != len(before.tenants):
        return [*map(idleness.newest, tenants)]
    known = zip(tenants, before.tenants, before.newest, strict=True)
    return [at if pods is old else idleness.newest(pods) for pods, old, at in known]


def _columns(
    snapshot: Snapshot, nodes: Sequence[str], newest: Sequence[float], held: Mapping[str, Verdict], now: float
) -> tuple[Sequence[object], ...]:
    """What else of the snapshot concerns each node and not all of them, with a row a node."""
    agents = [snapshot.mignodes.get(name) for name in nodes]
    seen = [agent and (agent.driver, agent.gpus) for agent in agents]
    files = [row.configs or {} for row in snapshot.config_maps.values()]
    labels = [evidence.config(snapshot.nodes[name]) for name in nodes]
    meanings = {label: tuple(file.get(label) for file in files) for label in set(labels)}
    meant = [*map(meanings.__getitem__, labels)]
    missed = [
        agent is not None and at > agent.observed and idleness.missed(snapshot, agent)
        for agent, at in zip(agents, newest, strict=True)
    ]
    changing = {
        name: fitting.promised(snapshot, change)
        for name in snapshot.history
        if (change := fitting.live_change(snapshot, name)) is not None
    }
    left_alone = {name: quarantine.quarantined_until(snapshot, name, now) for name in snapshot.history}
    told: tuple[Mapping[str, object], ...] = (
        snapshot.nodes,
        snapshot.history,
        changing,
        snapshot.obscured,
        left_alone,
        held,
    )
    stale = [agent is not None and idleness.stale(agent, now) for agent in agents]
    return (seen, missed, stale, meant, *([*map(rows.get, nodes)] for rows in told))


def _site(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    refusals: Mapping[str, frozenset[Counts]],
    held: Mapping[str, Verdict] | None,
    now: float,
    name: str,
    seen: tuple[object, ...],
) -> Site:
    """The node without what the solver is told of it."""
    row = snapshot.nodes[name]
    policy = governing(policies, row)
    assessment = None if policy is None else assess(snapshot, row, policy, now, refusals=refusals)
    unreachable = apply_path(snapshot, row, policy) if isinstance(policy, Policy) else None
    waits = _held(policy, assessment, unreachable, held.get(name)) if held is not None else None
    return Site(
        seen,
        row,
        policy,
        assessment,
        unreachable,
        waits,
        fitting.left(snapshot, row),
        None,
        None,
        () if policy is None else _hardware(snapshot, row, now),
        fitting.slices(row.allocatable),
        _drift(snapshot, row, assessment, now),
        _ways(snapshot, policy, assessment, name, now),
    )


def _asked(snapshot: Snapshot, site: Site, asked: tuple[str, ...]) -> Site:
    """The node with what the solver is told of it, where the demand asks for these resources."""
    node = _node(snapshot, site, site.assessment, asked)
    if site.held is None:
        return replace(site, node=node, unheld=None)
    return replace(site, node=_node(snapshot, site, None, asked), unheld=node)


def _held(
    policy: Policy | Verdict | None,
    assessment: Assessment | None,
    unreachable: Verdict | None,
    held: Verdict | None,
) -> Verdict | None:
    """What keeps a new change from starting; a recommendation starts nothing, and shows what could be."""
    if not isinstance(policy, Policy) or assessment is None or assessment.refusal is not None:
        return None
    return held or (unreachable if policy.mode is Mode.AUTO else None)


def _drift(snapshot: Snapshot, row: NodeRow, assessment: Assessment | None, now: float) -> Drift | None:
    if assessment is None or (assessment.refusal is not None and assessment.refusal.reason not in REPAIRABLE):
        return None
    return drift(snapshot, row, now)


def _ways(
    snapshot: Snapshot, policy: Policy | Verdict | None, assessment: Assessment | None, name: str, now: float
) -> tuple[emptying.Way, ...]:
    if not isinstance(policy, Policy) or not policy.reserve.after_seconds or assessment is None:
        return ()
    if assessment.refusal is not None and assessment.refusal.reason not in BUSY:
        return ()
    return emptying.ways(snapshot, name, assessment.gpus, now)


def _hardware(snapshot: Snapshot, row: NodeRow, now: float) -> tuple[Geometry, ...]:
    found = layouts.hardware(row, idleness.believed(snapshot, row.name, now))
    return () if isinstance(found, Verdict) else _one(found)


@lru_cache(maxsize=4096)
def _one(hardware: tuple[Geometry, ...]) -> tuple[Geometry, ...]:
    """One object for all nodes with equal hardware."""
    return hardware


def _node(snapshot: Snapshot, site: Site, assessment: Assessment | None, asked: Sequence[str]) -> Node | None:
    """The node as the solver sees it; None where it has nothing to offer."""
    row, policy, left = site.row, site.policy, site.left
    free = fitting.slices(left)
    if fitting.closed(row) is not None or row.name in snapshot.obscured or min(free.values(), default=0) < 0:
        return None
    may_change = assessment is not None and assessment.refusal is None and isinstance(policy, Policy)
    gpus = assessment.gpus if assessment is not None and may_change else ()
    if not free and not gpus:
        return None
    # switching MIG on takes away a whole GPU, which the problem does not count
    wants_gpu = names.GPU_RESOURCE in asked
    return Node(
        name=row.name,
        gpus=gpus,
        free=counts(free),
        resources=_resources(left, asked),
        profiles=_profiles(policy, gpus) if isinstance(policy, Policy) else None,
        min_benefit=policy.min_benefit if isinstance(policy, Policy) else 1,
        mode_change=may_change and assessment is not None and assessment.mode_change and not wants_gpu,
    )


def _resources(left: Mapping[str, int], asked: Sequence[str]) -> Counts:
    return counts((resource, min(max(left.get(resource, 0), 0), MOST)) for resource in asked)


def _profiles(policy: Policy, gpus: tuple[Gpu, ...]) -> frozenset[str] | None:
    if not policy.allowed_profiles and not policy.denied_profiles:
        return None
    known = frozenset(profile for gpu in gpus for profile in gpu.geometry.names)
    return (policy.allowed_profiles & known if policy.allowed_profiles else known) - policy.denied_profiles
