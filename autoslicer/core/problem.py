"""A snapshot as the solver's problem: which pods, which nodes, what is free and what may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoslicer.core import fitting, names
from autoslicer.core.demand import Demand, ripe_at
from autoslicer.core.eligibility import Assessment, assess
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy, governing
from autoslicer.core.rows import NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, Gpu, Node, Pod, Problem, counts

MOST = 2**50
"""the most that a node is taken to have of a resource: sums over thousands of pods stay within 64 bits"""


@dataclass(frozen=True, slots=True)
class Posed:
    """The problem with what led to it.

    Attributes:
        problem: for the solver.
        policies: of each governed node; a verdict where several policies claim it.
        assessments: of each governed node.
        left: of every node, what is left of its resources.
        pods: the demand that is planned for, by key.
    """

    problem: Problem
    policies: Mapping[str, Policy | Verdict]
    assessments: Mapping[str, Assessment]
    left: Mapping[str, Mapping[str, int]]
    pods: Mapping[str, PodRow]


def pose(
    snapshot: Snapshot, policies: Mapping[str, Policy], demand: Demand, now: float, *, waiting: bool
) -> Posed:
    """The problem of serving the demand.

    Args:
        snapshot: the cluster.
        policies: by name.
        demand: of this snapshot.
        now: seconds since the epoch.
        waiting: a pod may go to a policy's node only once it has waited for that policy's `pendingSeconds`,
            and is left out until that is so for some policy.
    """
    governed = {
        name: policy
        for name, node in snapshot.nodes.items()
        if (policy := governing(policies, node)) is not None
    }
    assessments = {
        name: assess(snapshot, snapshot.nodes[name], policy, now) for name, policy in governed.items()
    }
    left = {name: fitting.left(snapshot, node) for name, node in snapshot.nodes.items()}
    times = ripe_at(demand.pods, policies) if waiting else {}
    ripened = {
        pod.key: frozenset(name for name, at in times.get(pod.key, {}).items() if at <= now)
        if waiting
        else None
        for pod in demand.pods
    }
    pods = {pod.key: pod for pod in demand.pods if ripened[pod.key] is None or ripened[pod.key]}
    asked = sorted({resource for pod in pods.values() for resource in fitting.others(pod.requests)})
    nodes = {
        name: made
        for name in sorted(snapshot.nodes)
        if (made := _node(snapshot, name, governed, assessments.get(name), left[name], asked)) is not None
    }
    places = _Places(snapshot, nodes, governed)
    problem = Problem(
        nodes=tuple(nodes.values()),
        pods=tuple(_pods(pods, {key: places.of(pod, ripened[key]) for key, pod in pods.items()})),
    )
    return Posed(problem, governed, assessments, left, pods)


def _pods(pods: Mapping[str, PodRow], places: Mapping[str, frozenset[str]]) -> list[Pod]:
    by_age = sorted(pods.values(), key=lambda pod: (pod.created, pod.key))
    order = {pod.key: position for position, pod in enumerate(by_age)}
    return [
        Pod(
            name=key,
            priority=pod.priority,
            slices=counts(fitting.slices(pod.requests)),
            resources=counts(fitting.others(pod.requests)),
            nodes=places[key],
            order=order[key],
        )
        for key, pod in sorted(pods.items())
    ]


def _node(
    snapshot: Snapshot,
    name: str,
    governed: Mapping[str, Policy | Verdict],
    assessment: Assessment | None,
    left: Mapping[str, int],
    asked: list[str],
) -> Node | None:
    """The node as the solver sees it; None where it has nothing to offer."""
    row, policy = snapshot.nodes[name], governed.get(name)
    free = fitting.slices(left)
    if fitting.closed(row) is not None or name in snapshot.obscured or min(free.values(), default=0) < 0:
        return None
    may_change = assessment is not None and assessment.refusal is None and isinstance(policy, Policy)
    gpus = assessment.gpus if assessment is not None and may_change else ()
    if not free and not gpus:
        return None
    # switching MIG on takes away a whole GPU, which the problem does not count
    wants_gpu = names.GPU_RESOURCE in asked
    return Node(
        name=name,
        gpus=gpus,
        free=counts(free),
        resources=_resources(left, asked),
        profiles=_profiles(policy, gpus) if isinstance(policy, Policy) else None,
        min_benefit=policy.min_benefit if isinstance(policy, Policy) else 1,
        mode_change=may_change and assessment is not None and assessment.mode_change and not wants_gpu,
    )


def _resources(left: Mapping[str, int], asked: list[str]) -> Counts:
    return counts((resource, min(max(left.get(resource, 0), 0), MOST)) for resource in asked)


def _profiles(policy: Policy, gpus: tuple[Gpu, ...]) -> frozenset[str] | None:
    if not policy.allowed_profiles and not policy.denied_profiles:
        return None
    known = frozenset(profile for gpu in gpus for profile in gpu.geometry.names)
    return (policy.allowed_profiles & known if policy.allowed_profiles else known) - policy.denied_profiles


class _Places:
    """Where pods may go by everything but resources; pods that agree on what counts share one answer."""

    def __init__(
        self, snapshot: Snapshot, nodes: Mapping[str, Node], governed: Mapping[str, Policy | Verdict]
    ) -> None:
        self._rows: dict[str, NodeRow] = {name: snapshot.nodes[name] for name in nodes}
        self._changing = {name for name in nodes if fitting.live_change(snapshot, name) is not None}
        self._repulsions = fitting.repulsions(snapshot)
        self._governed = governed
        self._known: dict[object, frozenset[str]] = {}

    def of(self, pod: PodRow, policies: frozenset[str] | None) -> frozenset[str]:
        """The nodes where the pod may go; of governed ones only those of `policies`, unless that is None."""
        if pod.unknown:
            return frozenset()
        crowd = (pod.namespace, tuple(sorted(pod.labels.items()))) if self._repulsions else ()
        key = (pod.selector, pod.affinity, pod.tolerations, policies, crowd)
        if key not in self._known:
            self._known[key] = frozenset(
                name
                for name, row in self._rows.items()
                if self._admits(pod, row) and self._turn(name, policies)
            )
        return self._known[key]

    def _admits(self, pod: PodRow, node: NodeRow) -> bool:
        own_taint = node.name in self._changing
        return (
            fitting.selected(pod, node)
            and fitting.untolerated(pod, node, own_taint=own_taint) is None
            and not fitting.repelled(pod, node, self._repulsions)
        )

    def _turn(self, name: str, policies: frozenset[str] | None) -> bool:
        policy = self._governed.get(name)
        return policies is None or not isinstance(policy, Policy) or policy.name in policies
