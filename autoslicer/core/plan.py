"""The plan: what would change, who is served, who is not and why; and its JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ConfigEntry, GpuTarget
from solver.solution import Level, Served, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an object (pod key or node name) is refused."""

    name: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Reshape:
    """One node's change: from the label's present value to the config `target`, for the pods in `serves` (sorted)."""

    node: str
    policy: str
    source: str
    target: str
    gpus: tuple[GpuTarget, ...]
    serves: tuple[str, ...]
    evictions: tuple[str, ...] = ()


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
