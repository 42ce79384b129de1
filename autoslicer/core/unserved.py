"""Why a pod that waits for slices is not served by the plan: the most telling of what stands in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from autoslicer.core import capacity, fitting, idleness, layouts
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.problem import Posed
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow, Taint
from autoslicer.core.snapshot import Snapshot
from solver.geometry import Geometry
from solver.problem import Counts, Node, counts
from solver.solution import Solution

_FORBIDDEN = frozenset({Reason.OptedOut, Reason.PolicyConflict, Reason.ModeChangeForbidden})
"""refusals that a human's word, and nothing else, makes"""
_NAMED = 3
"""how many nodes a message names"""


def verdicts(snapshot: Snapshot, posed: Posed, solution: Solution, now: float) -> tuple[Verdict, ...]:
    """One verdict for each pod of the problem that the solution does not serve, sorted by pod."""
    served = {s.pod for s in solution.served}
    search = _Search(snapshot, posed, solution, now)
    return tuple(search.verdict(pod) for key, pod in sorted(posed.pods.items()) if key not in served)


@dataclass(frozen=True, slots=True)
class _Why:
    reason: Reason
    message: str


class _Search:
    """Works out reasons; pods that agree on everything that counts share one answer."""

    def __init__(self, snapshot: Snapshot, posed: Posed, solution: Solution, now: float) -> None:
        self._posed = posed
        self._rows = snapshot.nodes
        self._changing = {
            name for name in snapshot.history if fitting.live_change(snapshot, name) is not None
        }
        self._repulsions = fitting.repulsions(snapshot)
        self._nodes = {node.name: node for node in posed.problem.nodes}
        self._places = {pod.name: pod.nodes for pod in posed.problem.pods}
        self._hardware = {name: _hardware(snapshot, name, now) for name in posed.assessments}
        self._changed = {change.node for change in solution.changes}
        self._placed: dict[str, list[PodRow]] = {}
        for served in solution.served:
            self._placed.setdefault(served.node, []).append(posed.pods[served.pod])
        self._known: dict[object, _Why] = {}

    def verdict(self, pod: PodRow) -> Verdict:
        """Why this pod is not served."""
        crowd = (pod.namespace, tuple(sorted(pod.labels.items()))) if self._repulsions else ()
        asked = tuple(pod.requests.items())
        key = (asked, pod.selector, pod.affinity, pod.tolerations, pod.unknown, self._places[pod.key], crowd)
        if key not in self._known:
            self._known[key] = self._why(pod)
        why = self._known[key]
        return Verdict(pod.key, why.reason, why.message)

    def _why(self, pod: PodRow) -> _Why:
        """What the last node falls over that could ever hold the slices."""
        if pod.unknown:
            return _Why(Reason.UnknownPredicate, fitting.unknown(pod))
        need = counts(fitting.slices(pod.requests))
        able = [name for name in sorted(self._rows) if self._able(name, need)]
        if not able:
            return _Why(Reason.NoFeasibleLayout, self._too_much(need))
        chosen = [name for name in able if fitting.selected(pod, self._rows[name])]
        near = [name for name in chosen if not fitting.repelled(pod, self._rows[name], self._repulsions)]
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
        roomy = [name for name in open_to if not self._lacking(pod, name)]
        if not roomy:
            lacking = sorted({resource for name in open_to for resource in self._lacking(pod, name)})
            message = f"{_listed(open_to)} could hold its slices but lack {', '.join(lacking)}"
            return _Why(Reason.InsufficientResources, message)
        return self._crowded_out(pod, need, roomy)

    def _crowded_out(self, pod: PodRow, need: Counts, roomy: Sequence[str]) -> _Why:
        """Nothing about the pod stands in the way: the nodes are in use, refused, or given to others."""
        reachable = [
            name
            for name in roomy
            if name in self._places[pod.key] and capacity.reachable(self._nodes[name], need)
        ]
        if reachable:
            below = [name for name in reachable if self._spared(pod, self._nodes[name])]
            if below:
                least = self._nodes[below[0]].min_benefit
                message = f"{_listed(below)} would change for fewer than {least} pods"
                return _Why(Reason.BelowMinBenefit, message)
            return _Why(Reason.OutOfCapacity, f"what {_listed(reachable)} can give goes to other pods")
        blocks = [self._block(pod, name) for name in roomy]
        forbidden = all(why.reason is Reason.PolicyForbids for why in blocks)
        message = "; ".join(why.message for why in blocks[:_NAMED])
        more = f"; and {len(blocks) - _NAMED} more nodes" if len(blocks) > _NAMED else ""
        return _Why(Reason.PolicyForbids if forbidden else Reason.OutOfCapacity, message + more)

    def _block(self, pod: PodRow, name: str) -> _Why:
        """Why this node, which could hold the pod, cannot come to offer its slices."""
        policy, assessment = self._posed.policies.get(name), self._posed.assessments.get(name)
        if assessment is None or policy is None:
            closed = fitting.closed(self._rows[name])
            what = closed.message if closed else "it has too few free slices, and no policy governs it"
            return _Why(Reason.OutOfCapacity, f"{name}: {what}")
        if (refusal := assessment.refusal) is not None:
            reason = Reason.PolicyForbids if refusal.reason in _FORBIDDEN else Reason.OutOfCapacity
            return _Why(reason, f"{name} may not change ({refusal.reason})")
        if name in self._nodes and name not in self._places[pod.key]:
            return _Why(Reason.OutOfCapacity, f"the pod has not waited for pendingSeconds of {name}'s policy")
        if isinstance(policy, Policy) and (policy.allowed_profiles or policy.denied_profiles):
            unlimited = replace(self._nodes[name], profiles=None)
            if capacity.reachable(unlimited, counts(fitting.slices(pod.requests))):
                return _Why(
                    Reason.PolicyForbids, f"policy {policy.name} does not allow the profiles on {name}"
                )
        return _Why(Reason.OutOfCapacity, f"too much of {name} is in use")

    def _able(self, name: str, need: Counts) -> bool:
        """The node's GPUs could hold the slices: cut anew where a policy governs them, else as they are."""
        geometries = self._hardware.get(name, ())
        if geometries and capacity.possible(geometries, need):
            return True
        offered = fitting.slices(self._rows[name].allocatable)
        return all(offered.get(profile, 0) >= count for profile, count in need)

    def _too_much(self, need: Counts) -> str:
        wanted = " + ".join(f"{count} x {profile}" for profile, count in need)
        if len(need) > 1:
            return f"needs {wanted} on one node; the GPUs of none can be cut so"
        most = max(self._most(need[0][0]), default=0)
        return f"needs {wanted} on one node; the most any node can free is {most}"

    def _most(self, profile: str) -> Iterator[int]:
        for name, row in self._rows.items():
            yield capacity.most(self._hardware.get(name, ()), profile)
            yield fitting.slices(row.allocatable).get(profile, 0)

    def _taint(self, pod: PodRow, name: str) -> Taint | None:
        """The taint that keeps the pod away; on a closed node those that Kubernetes sets say nothing more."""
        row = self._rows[name]
        if fitting.closed(row) is not None:
            return None
        return fitting.untolerated(pod, row, own_taint=name in self._changing)

    def _lacking(self, pod: PodRow, name: str) -> list[str]:
        left = self._posed.left[name]
        return [r for r, amount in fitting.others(pod.requests).items() if left.get(r, 0) < amount]

    def _spared(self, pod: PodRow, node: Node) -> bool:
        """Only `min_benefit` keeps the plan from changing the node for this pod and those it has there."""
        if node.min_benefit <= 1 or node.name in self._changed:
            return False
        together = [*self._placed.get(node.name, []), pod]
        slices, others = Counter[str](), Counter[str]()
        for one in together:
            slices.update(fitting.slices(one.requests))
            others.update(fitting.others(one.requests))
        left = dict(node.resources)
        fits = all(left.get(resource, 0) >= amount for resource, amount in others.items())
        return fits and capacity.reachable(node, counts(slices))


def _hardware(snapshot: Snapshot, name: str, now: float) -> tuple[Geometry, ...]:
    found = layouts.hardware(snapshot.nodes[name], idleness.believed(snapshot, name, now))
    return () if isinstance(found, Verdict) else found


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
