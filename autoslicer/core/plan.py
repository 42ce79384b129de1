"""The plan: what would change, who is served, who is not and why; and its JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoslicer.core import names
from autoslicer.core.causes import Cause
from autoslicer.core.configs import written
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ConfigEntry, GpuTarget
from solver.problem import Counts
from solver.solution import By, Level, Served, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an object (pod key or node name) is refused."""

    name: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Reshape:
    """One node's change: from the label's value to the config `target`, for the pods in `serves` (sorted).

    One that serves none has another cause than Demand. The replacements of the pods that it evicts go to the
    nodes in `replacements`, but for those that stay; some are served by the changes of the nodes in `after`.
    With `reserve` the node is kept for the pods it serves until those on its GPUs have ended.
    """

    node: str
    policy: str
    source: str
    target: str
    gpus: tuple[GpuTarget, ...]
    serves: tuple[str, ...]
    evictions: tuple[str, ...] = ()
    cause: Cause = Cause.DEMAND
    after: tuple[str, ...] = ()
    replacements: tuple[str, ...] = ()
    reserve: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer for one snapshot; `reshapes` in the order of carrying out."""

    digest: str
    nodes: int
    pending_pods: int
    reshapes: tuple[Reshape, ...]
    configs: Mapping[str, tuple[ConfigEntry, ...]]
    served: tuple[Served, ...]
    unserved: tuple[Verdict, ...]
    refusals: tuple[Verdict, ...]
    status: Status
    gap: float
    levels: tuple[Level, ...]


def document(plan: Plan) -> dict[str, Any]:
    """The plan as its versioned JSON document: keys in a fixed order, no times, the gap rounded."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Plan",
        "snapshot": {"digest": plan.digest, "nodes": plan.nodes, "pendingPods": plan.pending_pods},
        "reshapes": [_reshape(reshape) for reshape in plan.reshapes],
        "configs": {name: [written(entry) for entry in plan.configs[name]] for name in sorted(plan.configs)},
        "served": [{"pod": s.pod, "node": s.node, "by": s.by.value} for s in plan.served],
        "unserved": [_verdict("pod", verdict) for verdict in plan.unserved],
        "refusals": [_verdict("node", verdict) for verdict in plan.refusals],
        "objective": {
            "status": plan.status.value,
            "gap": round(plan.gap, 6),
            "levels": [_level(level) for level in plan.levels],
        },
    }


def _reshape(reshape: Reshape) -> dict[str, Any]:
    return {
        "node": reshape.node,
        "policy": reshape.policy,
        "cause": reshape.cause.value,
        "from": reshape.source,
        "to": reshape.target,
        "gpus": [
            {
                "index": gpu.index,
                "from": _layout(gpu.before),
                "to": _layout(gpu.after),
                "changed": gpu.changed,
            }
            for gpu in reshape.gpus
        ],
        "evictions": list(reshape.evictions),
    }


def _layout(layout: Counts | None) -> dict[str, int] | None:
    return None if layout is None else dict(layout)


def _verdict(kind: str, verdict: Verdict) -> dict[str, str]:
    return {kind: verdict.name, "reason": verdict.reason.value, "message": verdict.message}


def _level(level: Level) -> dict[str, Any]:
    rank: dict[str, Any] = {} if level.rank is None else {"priority": level.rank.priority}
    if level.rank is not None and level.rank.starved:
        rank["starved"] = True
    return {"name": level.name, **rank, "value": level.value, "bound": level.bound}


def summary(plan: Plan) -> str:
    """The plan in a sentence: how many pods it serves, how, and what keeps the others from it."""
    reshaped = Counter(reshape.cause for reshape in plan.reshapes)
    headroom = f"headroom asks for reshaping {_number(reshaped[Cause.HEADROOM], 'node')}"
    if not plan.pending_pods:
        return "; ".join(["no pod waits for a MIG slice", *([headroom] if plan.reshapes else [])])
    by = Counter(served.by for served in plan.served)
    pods, nodes = _number(plan.pending_pods, "pending pod"), _number(reshaped[Cause.DEMAND], "node")
    parts = [f"{by[By.RESHAPE]} of {pods} can be served by reshaping {nodes}"]
    if by[By.FREE]:
        parts.append(f"{by[By.FREE]} need{'s' if by[By.FREE] == 1 else ''} no change")
    if reshaped[Cause.HEADROOM]:
        parts.append(headroom)
    if plan.unserved:
        reasons = Counter(verdict.reason.value for verdict in plan.unserved)
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        parts.append(f"{len(plan.unserved)} cannot be served: {why}")
    return "; ".join(parts)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
