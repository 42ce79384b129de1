"""What holds a change back although the plan is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from autoslicer.core import budgets, draining, eligibility
from autoslicer.core.nodes import kinds, resting
from autoslicer.core.pacing import breaker, canary
from autoslicer.core.pacing.fleet import DEFAULT_LIMITS, FleetLimits
from autoslicer.core.pacing.reversal import reversal
from autoslicer.core.phases import started
from autoslicer.core.plan import Reshape, Verdict
from autoslicer.core.policy import Mode, Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339

MINUTE = 60.0
LOOK_SECONDS = 1.0
"""until it is seen whether a change has started after all"""


@dataclass(slots=True)
class Gates:
    """The gates of one cycle.

    Each change that passes uses up budget, so they are asked in the order of carrying out.

    Attributes:
        snapshot: the cluster.
        policies: by name.
        governed: how many nodes each policy governs.
        now: seconds since the epoch.
        limits: of the whole fleet.
        running: how many nodes are in a change or may begin one, by policy.
        starts: when changes started within the last minute, those that pass included, in order.
        leaving: the pods that changes evict which run or may begin.
        proven: the kinds of nodes of which a change was Done.
        trying: by kind of node, the change that is under way or may begin.
        open_circuit: why nothing may start anywhere; empty where it may.
        wakes: when what was refused may pass by the time alone (seconds since the epoch).
    """

    snapshot: Snapshot
    policies: Mapping[str, Policy]
    governed: Mapping[str, int]
    now: float
    limits: FleetLimits = DEFAULT_LIMITS
    running: dict[str, int] = field(init=False, default_factory=dict)
    starts: list[float] = field(init=False, default_factory=list)
    leaving: list[str] = field(init=False, default_factory=list)
    proven: frozenset[str] = field(init=False, default=frozenset())
    trying: dict[str, str] = field(init=False, default_factory=dict)
    open_circuit: str = field(init=False, default="")
    wakes: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for change in self.snapshot.changes.values():
            if started(change):
                self.running[change.policy] = self.running.get(change.policy, 0) + 1
                self.leaving += change.evicts
            if change.status.started is not None and change.status.started > self.now - MINUTE:
                self.starts.append(change.status.started)
        self.starts.sort()
        self.proven = frozenset(canary.proof(self.snapshot))
        self.trying = canary.under_way(self.snapshot)
        self.open_circuit = breaker.opened(self.snapshot, self.limits)

    def closed(self, change: ReconfigurationRow) -> Verdict | None:
        """Why a change may not even be proposed; None where it may."""
        node, policy = change.node, self.policies.get(change.policy)
        if self.limits.paused:
            return Verdict(node, Reason.Paused, self.limits.paused)
        if policy is None:
            return Verdict(node, Reason.NotGoverned, f"policy {change.policy} is gone")
        if (rests := resting.refusal(self.snapshot, node, policy, self.now)) is not None:
            return rests
        if policy.suspend:
            return Verdict(node, Reason.Suspended, f"policy {policy.name} is suspended")
        return None

    def pass_through(self, change: ReconfigurationRow) -> Verdict | None:
        """Why a change may not start now; None when it may, and then its share of the limits is taken."""
        if (held := self.closed(change)) is not None:
            return held
        policy = self.policies[change.policy]
        node = self.snapshot.nodes.get(change.node)
        kind = "" if node is None else kinds.kind(self.snapshot, node)
        checks: tuple[Callable[[], Verdict | None], ...] = (
            lambda: self._circuit(change),
            lambda: None if node is None else eligibility.apply_path(self.snapshot, node, policy),
            lambda: self._reversal(change),
            lambda: draining.crowded(change, self.leaving),
            lambda: self._budget(change, policy),
            lambda: self._canary(change, policy, kind),
            lambda: self._pace(change),
        )
        for check in checks:
            if (held := check()) is not None:
                return held
        self._take(change, kind)
        return None

    def begun(self, change: ReconfigurationRow) -> None:
        """One that may have started by now takes its share of the limits, although it may not any more."""
        node = self.snapshot.nodes.get(change.node)
        self._take(change, "" if node is None else kinds.kind(self.snapshot, node))
        self.wakes.append(self.now + LOOK_SECONDS)

    def _take(self, change: ReconfigurationRow, kind: str) -> None:
        self.running[change.policy] = self.running.get(change.policy, 0) + 1
        self.leaving += change.evicts
        self.trying.setdefault(kind, change.name)
        self.starts.append(self.now)

    def _circuit(self, change: ReconfigurationRow) -> Verdict | None:
        return Verdict(change.node, Reason.CircuitOpen, self.open_circuit) if self.open_circuit else None

    def taken_back(self, reshapes: Iterable[Reshape]) -> dict[str, Verdict]:
        """By node, why a reshape that no human would have to approve may not start whoever else does."""
        auto = (reshape for reshape in reshapes if self.policies[reshape.policy].mode is Mode.AUTO)
        found = ((reshape.node, self._reversal(reshape)) for reshape in auto)
        return {node: verdict for node, verdict in found if verdict is not None}

    def _reversal(self, change: ReconfigurationRow | Reshape) -> Verdict | None:
        found = reversal(self.snapshot, change, self.now)
        if found is None:
            return None
        self.wakes.append(found.until)
        message = (
            f"it would take back {found.earlier} while its pods still wait, and no pod has come since; "
            f"not before {_moment(found.until)}"
        )
        return Verdict(change.node, Reason.Reversal, message)

    def _budget(self, change: ReconfigurationRow, policy: Policy) -> Verdict | None:
        allowed = budgets.limit(policy.budgets, self.governed.get(policy.name, 0), self.now, change.cause)
        running = self.running.get(policy.name, 0)
        if running < allowed:
            return None
        if (turn := budgets.turn(policy.budgets, self.now)) is not None:
            self.wakes.append(turn)
        message = f"policy {policy.name} allows {allowed} nodes in a change; {running} are"
        return Verdict(change.node, Reason.BudgetExhausted, message)

    def _canary(self, change: ReconfigurationRow, policy: Policy, kind: str) -> Verdict | None:
        if not policy.canary or kind in self.proven or kind not in self.trying:
            return None
        message = f"{self.trying[kind]}, the first change of its kind ({kind or 'unknown'}), is not Done yet"
        return Verdict(change.node, Reason.CanaryPending, message)

    def _pace(self, change: ReconfigurationRow) -> Verdict | None:
        most = self.limits.starts_per_minute
        if len(self.starts) < most:
            return None
        self.wakes.append(self.starts[-most] + MINUTE)
        return Verdict(change.node, Reason.RateLimited, f"{most} changes have started within a minute")


def _moment(at: float) -> str:
    return rfc3339(math.ceil(at))
