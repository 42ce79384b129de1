"""By which policy's objective each pod counts, and which policies would count the same pod differently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from autoslicer.core import fitting
from autoslicer.core.eligibility import Assessment
from autoslicer.core.plan import Verdict
from autoslicer.core.planning.places import Places
from autoslicer.core.planning.sites import Site, Sites, able
from autoslicer.core.policy import Objective, Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow
from solver.problem import Counts, counts


@dataclass(frozen=True, slots=True)
class Objectives:
    """The objectives that are in force.

    Attributes:
        common: of every pod that is not in `by_pod`.
        by_pod: of a pod by its key, where not all policies have the same.
        conflicts: for each policy that must agree with another and does not, by name, a sentence about it.
    """

    common: Objective = field(default_factory=Objective)
    by_pod: Mapping[str, Objective] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)

    def of(self, key: str) -> Objective:
        """The objective by which the pod counts."""
        return self.by_pod.get(key, self.common)


def objectives(policies: Mapping[str, Policy], pods: Mapping[str, PodRow], places: Places) -> Objectives:
    """The objective of each pod: that of the policies whose nodes could serve it.

    A node could where everything but the present use of its GPUs and resources allows it. Where these
    policies disagree they are in conflict, and there, as where no policy's node could, the default counts.

    Args:
        policies: by name.
        pods: to plan for, by key.
        places: where they may go.
    """
    stated = {policy.objective for policy in policies.values()}
    if len(stated) < 2:
        return Objectives(next(iter(stated), Objective()))
    nodes: dict[Counts, dict[str, frozenset[str]]] = {}
    by_pod: dict[str, Objective] = {}
    conflicts: dict[str, str] = {}
    for key, row in sorted(pods.items()):
        need = counts(fitting.slices(row.requests))
        if need not in nodes:
            nodes[need] = _by_policy(places.sites, able(places.sites, need))
        here = places.of(row, None)
        serving = sorted(name for name, those in nodes[need].items() if not those.isdisjoint(here))
        agreed = {policies[name].objective for name in serving}
        if len(agreed) == 1:
            by_pod[key] = agreed.pop()
        for one, other in combinations(serving, 2):
            if policies[one].objective != policies[other].objective:
                message = f"policies {one} and {other} differ in spec.objective, and both could serve {key}"
                conflicts = {one: message, other: message, **conflicts}
    return Objectives(by_pod=by_pod, conflicts=conflicts)


def refused(sites: Sites, conflicts: Mapping[str, str]) -> Sites:
    """The nodes, of which those of policies in conflict may not change; what is free on them stays free."""
    if not conflicts:
        return sites
    return replace(sites, by_name={name: _refused(site, conflicts) for name, site in sites.by_name.items()})


def _refused(site: Site, conflicts: Mapping[str, str]) -> Site:
    if not isinstance(site.policy, Policy) or site.policy.name not in conflicts:
        return site
    refusal = Verdict(site.row.name, Reason.ObjectiveConflict, conflicts[site.policy.name])
    earlier = None if site.assessment is None else site.assessment.refusal
    order = list(Reason)
    if earlier is not None and order.index(earlier.reason) < order.index(refusal.reason):
        refusal = earlier
    node = site.node and replace(site.node, gpus=(), profiles=None, min_benefit=1, mode_change=False)
    return replace(site, assessment=Assessment(refusal), node=node)


def _by_policy(sites: Sites, names: Iterable[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name in names:
        policy = sites.by_name[name].policy
        if isinstance(policy, Policy):
            found[policy.name].add(name)
    return {policy: frozenset(nodes) for policy, nodes in found.items()}
