"""Why a pod that waits for slices is not served by the plan: the most telling of what stands in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoslicer.core import fitting
from autoslicer.core.nodes import refused
from autoslicer.core.plan import Verdict
from autoslicer.core.planning import capacity, sites
from autoslicer.core.planning.differences import differing, replaced
from autoslicer.core.planning.problem import Posed
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow, Taint
from autoslicer.core.snapshot import Snapshot
from solver.known import Known
from solver.problem import Counts, Node, counts

_FORBIDDEN = frozenset(
    {Reason.OptedOut, Reason.PolicyConflict, Reason.ObjectiveConflict, Reason.ModeChangeForbidden}
)
"""refusals that a human's word, and nothing else, makes"""
_NAMED = 3
"""how many nodes a message names"""


@dataclass(frozen=True, slots=True)
class Unserved:
    """The pods that a solution does not serve.

    Attributes:
        verdicts: one for each, sorted by pod.
        known: the reasons by what of a pod they depend on.
    """

    verdicts: tuple[Verdict, ...] = ()
    known: Mapping[object, _Why] = field(default_factory=dict)


def unserved(
    snapshot: Snapshot, posed: Posed, known: Known, before: tuple[Unserved, Known] | None = None
) -> Unserved:
    """Why each pod of the problem that the solution does not serve is not.

    Args:
        snapshot: the cluster.
        posed: the problem.
        known: the problem with its solution.
        before: what this function returned, and the solution that it was for; only what `posed` says to be
            different is looked at again.
    """
    # where a change must serve several pods, the reason for one lies in the places of others
    alone = all(node.min_benefit <= 1 for node in posed.problem.nodes)
    if before is None or posed.again is None or not alone:
        search = _Search(snapshot, posed, known, {})
        waiting = (pod for key, pod in sorted(posed.pods.items()) if key not in known.places)
        return Unserved(tuple(search.verdict(pod) for pod in waiting), search.known)
    search = _Search(snapshot, posed, known, before[0].known)
    moved = differing(before[1].nodes, known.nodes)
    held = (
        solved.nodes[name].pods for solved in (before[1], known) for name in moved if name in solved.nodes
    )
    again = posed.again.union(*held)
    new = [search.verdict(posed.pods[key]) for key in again if key in posed.pods and key not in known.places]
    return Unserved(replaced(before[0].verdicts, again, new, _name), search.known)


def _name(verdict: Verdict) -> str:
    return verdict.name


@dataclass(frozen=True, slots=True)
class _Why:
    reason: Reason
    message: str


class _Search:
    """Works out reasons; pods that agree on everything that counts share one answer."""

    def __init__(self, snapshot: Snapshot, posed: Posed, solved: Known, known: Mapping[object, _Why]) -> None:
        self._posed, self._solved = posed, solved
        self._sites = posed.sites.by_name
        self._changing = {
            name for name in snapshot.history if fitting.live_change(snapshot, name) is not None
        }
        self._repulsions = posed.places.repulsions
        self.known = dict(known)

    def verdict(self, pod: PodRow) -> Verdict:
        """Why this pod is not served."""
        crowd = (pod.namespace, tuple(sorted(pod.labels.items()))) if self._repulsions else ()
        asked = tuple(pod.requests.items())
        ripe = self._posed.ripe.get(pod.key)
        key = (asked, pod.selector, pod.affinity, pod.tolerations, pod.unknown, ripe, crowd)
        if key not in self.known:
            self.known[key] = self._why(pod)
        why = self.known[key]
        return Verdict(pod.key, why.reason, why.message)

    def _why(self, pod: PodRow) -> _Why:
        """What the last node falls over that could ever hold the slices."""
        if pod.unknown:
            return _Why(Reason.UnknownPredicate, fitting.unknown(pod))
        need = counts(fitting.slices(pod.requests))
        able = sites.able(self._posed.sites, need)
        if not able:
            return _Why(Reason.NoFeasibleLayout, self._too_much(need))
        chosen = [name for name in able if fitting.selected(pod, self._sites[name].row)]
        near = [name for name in chosen if not fitting.repelled(pod, self._sites[name].row, self._repulsions)]
        if not near:
            what = "the anti-affinity of running pods" if chosen else "its selector or affinity"
            message = f"{what} excludes {_listed(chosen or able)}, which could hold it"
            return _Why(Reason.NodeAffinityMismatch, message)
        open_to = [name for name in near if self._taint(pod, name) is None]
        if not open_to:
            taint = self._taint(pod, near[0])
            assert taint is not None
            message = f"it does not tolerate the taints of {_listed(near)}, such as {fitting.written(taint)}"
            return _Why(Reason.TaintNotTolerated, message)
        others = fitting.others(pod.requests)
        roomy = [name for name in open_to if not self._lacking(others, name)]
        if not roomy:
            lacking = sorted({resource for name in open_to for resource in self._lacking(others, name)})
            message = f"{_listed(open_to)} could hold its slices but lack {', '.join(lacking)}"
            return _Why(Reason.InsufficientResources, message)
        return self._crowded_out(pod, need, roomy)

    def _crowded_out(self, pod: PodRow, need: Counts, roomy: Sequence[str]) -> _Why:
        """Nothing about the pod stands in the way: the nodes are in use, refused, or given to others."""
        places = self._posed.places.of(pod, self._posed.ripe.get(pod.key))
        reachable = [name for name in roomy if name in places and capacity.reachable(self._node(name), need)]
        if reachable:
            below = [name for name in reachable if self._spared(pod, self._node(name))]
            if below:
                least = self._node(below[0]).min_benefit
                message = f"{_listed(below)} would change for fewer than {least} pods"
                return _Why(Reason.BelowMinBenefit, message)
            return _Why(Reason.OutOfCapacity, f"what {_listed(reachable)} can give goes to other pods")
        if (held := self._held(need, roomy)) is not None:
            return held
        blocks = [self._block(pod, name, places) for name in roomy]
        reasons = {why.reason for why in blocks}
        message = "; ".join(why.message for why in blocks[:_NAMED])
        more = f"; and {len(blocks) - _NAMED} more nodes" if len(blocks) > _NAMED else ""
        return _Why(reasons.pop() if len(reasons) == 1 else Reason.OutOfCapacity, message + more)

    def _held(self, need: Counts, names: Iterable[str]) -> _Why | None:
        """What keeps a node from changing now that could hold the pod then; the first in `Reason`."""
        order = list(Reason)
        found = [
            site.held
            for site in map(self._sites.__getitem__, names)
            if site.held is not None and site.unheld is not None and capacity.reachable(site.unheld, need)
        ]
        first = min(found, key=lambda verdict: (order.index(verdict.reason), verdict.name), default=None)
        return None if first is None else _Why(first.reason, first.message)

    def _block(self, pod: PodRow, name: str, places: frozenset[str]) -> _Why:
        """Why this node, which could hold the pod, cannot come to offer its slices."""
        site = self._sites[name]
        policy, assessment = site.policy, site.assessment
        if assessment is None or policy is None:
            closed = fitting.closed(self._sites[name].row)
            what = closed.message if closed else "it has too few free slices, and no policy governs it"
            return _Why(Reason.OutOfCapacity, f"{name}: {what}")
        if (refusal := assessment.refusal) is not None:
            reason = Reason.PolicyForbids if refusal.reason in _FORBIDDEN else Reason.OutOfCapacity
            return _Why(reason, f"{name} may not change ({refusal.reason})")
        if site.held is not None:
            return _Why(Reason.OutOfCapacity, f"{name} may not change now ({site.held.reason})")
        if site.node is not None and name not in places:
            return _Why(Reason.OutOfCapacity, f"the pod has not waited for pendingSeconds of {name}'s policy")
        if isinstance(policy, Policy) and (policy.allowed_profiles or policy.denied_profiles):
            unlimited = replace(self._node(name), profiles=None)
            if capacity.reachable(unlimited, counts(fitting.slices(pod.requests))):
                return _Why(
                    Reason.PolicyForbids, f"policy {policy.name} does not allow the profiles on {name}"
                )
        gpus = refused.without(self._node(name).gpus, frozenset())
        if capacity.reachable(replace(self._node(name), gpus=gpus), counts(fitting.slices(pod.requests))):
            return _Why(Reason.LayoutRefused, f"the driver of {name} refused the layouts that would hold it")
        return _Why(Reason.OutOfCapacity, f"too much of {name} is in use")

    def _node(self, name: str) -> Node:
        node = self._sites[name].node
        assert node is not None, "pods may go to it"
        return node

    def _too_much(self, need: Counts) -> str:
        wanted = " + ".join(f"{count} x {profile}" for profile, count in need)
        if len(need) > 1:
            return f"needs {wanted} on one node; the GPUs of none can be cut so"
        most = max(self._most(need[0][0]), default=0)
        return f"needs {wanted} on one node; the most any node can free is {most}"

    def _most(self, profile: str) -> Iterator[int]:
        for hardware in {id(site.hardware): site.hardware for site in self._sites.values()}.values():
            yield capacity.most(hardware, profile)
        for site in self._sites.values():
            yield site.offered.get(profile, 0)

    def _taint(self, pod: PodRow, name: str) -> Taint | None:
        """The taint that keeps the pod away; on a closed node those that Kubernetes sets say nothing more."""
        row = self._sites[name].row
        if fitting.closed(row) is not None:
            return None
        return fitting.untolerated(pod, row, own_taint=name in self._changing)

    def _lacking(self, others: Mapping[str, int], name: str) -> list[str]:
        left = self._sites[name].left
        return [resource for resource, amount in others.items() if left.get(resource, 0) < amount]

    def _spared(self, pod: PodRow, node: Node) -> bool:
        """Only `min_benefit` keeps the plan from changing the node for this pod and those it has there."""
        here = self._solved.nodes[node.name]
        if node.min_benefit <= 1 or here.changes:
            return False
        together = [*(self._posed.pods[name] for name in here.pods), pod]
        slices, others = Counter[str](), Counter[str]()
        for one in together:
            slices.update(fitting.slices(one.requests))
            others.update(fitting.others(one.requests))
        left = dict(node.resources)
        fits = all(left.get(resource, 0) >= amount for resource, amount in others.items())
        return fits and capacity.reachable(node, counts(slices))


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
