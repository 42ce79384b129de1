"""What a MigAutoscalingPolicy says, as the core reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from autoslicer.core import names
from autoslicer.core.budgets import Budget
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import Condition, GpuTarget, NodeRow, Requirement
from autoslicer.core.selectors import matches
from solver.problem import Counts


class Mode(StrEnum):
    """Whether changes wait for a human."""

    RECOMMEND = "Recommend"
    AUTO = "Auto"


class Eviction(StrEnum):
    """Whether running pods may be evicted for pods that wait."""

    NEVER = "Never"
    WHEN_SERVED = "WhenServed"


class Weight(StrEnum):
    """What a pod that is served counts for among pods of its rank."""

    REQUESTS = "Requests"
    SLICES = "Slices"


@dataclass(frozen=True, slots=True)
class Objective:
    """What of several plans is the better one.

    Attributes:
        weight: Requests: every pod counts for one. Slices: for the compute slices that it asks for.
        starvation_seconds: a pod that was created so long ago goes just before the others of its priority;
            0 for never.
    """

    weight: Weight = Weight.REQUESTS
    starvation_seconds: float = 3600

    def starves_at(self, created: float) -> float:
        """When a pod that was created at this time begins to starve; both in seconds since the epoch."""
        return created + self.starvation_seconds if self.starvation_seconds else math.inf


@dataclass(frozen=True, slots=True)
class Idle:
    """What nodes get that nobody has used for long.

    Attributes:
        after_seconds: for how long; 0 for never.
        config: the name of the mig-parted config that they get.
    """

    after_seconds: float = 0
    config: str = ""


@dataclass(frozen=True, slots=True)
class Reserve:
    """When a node is kept for pods that starve until its GPUs are idle, see `reserving`.

    Attributes:
        after_seconds: how long after its creation a pod starves; 0 for never.
        timeout_seconds: how long the pods on the node's GPUs may take to end.
        nodes: how many of the policy's nodes are reserved at once.
    """

    after_seconds: float = 0
    timeout_seconds: float = 1200
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy with its defaults filled in.

    Attributes:
        name: of the object.
        uid: of the object; empty for the built-in policy.
        generation: metadata.generation; 0 for the built-in policy.
        selector: requirements that a node's labels must all meet; matchLabels are written as In with one
            value.
        mode: Recommend or Auto.
        suspend: plans and metrics go on, no change starts.
        config_map: (namespace, name) of our own mig-parted ConfigMap.
        allowed_profiles: empty for all.
        denied_profiles: never part of a new layout.
        allow_mode_change: a GPU whose MIG mode is off may be switched on, on a node that is wholly idle.
        pending_seconds: a pod is demand for this policy's nodes once it has been unschedulable so long.
        batch_idle_seconds: plan when no new demand came for so long.
        batch_max_seconds: plan at the latest so long after the first new demand.
        objective: what of several plans is the better one; policies that can serve a common pod must agree.
        canary: of nodes of one kind (see `kinds.kind`) the first change must be Done before others start.
        budgets: limits on the nodes that are in a change at once; empty means no limit.
        cooldown_seconds: a node rests so long after Done.
        eviction: WhenServed: pods of lower priority may be evicted where the same plan serves their
            replacements.
        drain_timeout_seconds: pods that are evicted may take so long to leave.
        reserve: nodes that are kept for pods which starve.
        min_benefit: pods served per reshaped node, at least.
        recovery: what may be done for a change that does not come to its end by itself.
        repair_drift: a layout that is not as its label asks may be made anew, and stale pods be restarted.
        headroom: how many slices of a profile are to stay free on the policy's nodes together.
        idle: what nodes get that nobody has used for long.
        nominate: the pods that a change serves are hinted to their node, see `nominating`.
        conditions: as the object's status has them now.
    """

    name: str
    uid: str
    generation: int
    selector: tuple[Requirement, ...]
    mode: Mode = Mode.RECOMMEND
    suspend: bool = False
    config_map: tuple[str, str] = ("gpu-operator", "autoslicer-mig-parted-config")
    allowed_profiles: frozenset[str] = frozenset()
    denied_profiles: frozenset[str] = frozenset()
    allow_mode_change: bool = False
    pending_seconds: float = 30
    batch_idle_seconds: float = 10
    batch_max_seconds: float = 60
    objective: Objective = Objective()
    canary: bool = True
    budgets: tuple[Budget, ...] = (Budget("10%"),)
    cooldown_seconds: float = 600
    eviction: Eviction = Eviction.NEVER
    drain_timeout_seconds: float = 600
    reserve: Reserve = Reserve()
    min_benefit: int = 1
    recovery: Recovery = field(default_factory=Recovery)
    repair_drift: bool = True
    headroom: Counts = ()
    idle: Idle = Idle()
    nominate: bool = True
    conditions: tuple[Condition, ...] = ()

    def denied(self, gpus: Iterable[GpuTarget]) -> tuple[str, ...]:
        """The profiles that these changes would make and the policy does not allow, sorted."""
        made = {profile for gpu in gpus if gpu.changed for profile, _ in gpu.after or ()}
        allowed = self.allowed_profiles or made
        return tuple(sorted(made & self.denied_profiles | made - allowed))


BUILT_IN = Policy(
    name="built-in",
    uid="",
    generation=0,
    selector=(Requirement(names.MIG_CAPABLE, "In", ("true",)),),
    mode=Mode.RECOMMEND,
    pending_seconds=0,
    batch_idle_seconds=0,
    batch_max_seconds=0,
    canary=False,
    budgets=(),
    cooldown_seconds=0,
)
"""The policy that a plan is made under where there is none: every node that can do MIG, nothing held back."""


def governing(policies: Mapping[str, Policy], node: NodeRow) -> Policy | Verdict | None:
    """The policy that governs a node: of those that match its labels the one with the most requirements.

    Returns:
        The policy, a verdict where several are equally specific, or None where none matches.
    """
    first: list[Policy] = []
    for policy in policies.values():
        most = len(first[0].selector) if first else 0
        if len(policy.selector) >= most and matches(policy.selector, node.labels):
            first = [*first, policy] if len(policy.selector) == most else [policy]
    if len(first) < 2:
        return first[0] if first else None
    claims = " and ".join(sorted(policy.name for policy in first))
    return Verdict(
        node.name, Reason.PolicyConflict, f"policies {claims} claim the node with equally specific selectors"
    )
