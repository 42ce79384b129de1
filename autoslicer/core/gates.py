"""What holds a change back although the plan is right: suspension, cooldown, apply path, budgets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from autoslicer.core import budgets, eligibility
from autoslicer.core.causes import Cause
from autoslicer.core.phases import Phase, live, phase, reached, started
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339
from autoslicer.core.transition import SUCCEEDED, condition

RETRY_SECONDS = 30.0
"""a node whose last change was cancelled rests so long, and twice as long for each one before it that was
cancelled as well: a plan that keeps failing its validation causes no stream of changes"""


@dataclass(slots=True)
class Gates:
    """The gates of one cycle.

    Each change that passes uses up budget, so they are asked in the order of carrying out.

    Attributes:
        snapshot: the cluster.
        policies: by name.
        governed: how many nodes each policy governs.
        now: seconds since the epoch.
        running: how many nodes are in a change or may begin one, by policy.
        wakes: when what was refused may pass by the time alone (seconds since the epoch).
    """

    snapshot: Snapshot
    policies: Mapping[str, Policy]
    governed: Mapping[str, int]
    now: float
    running: dict[str, int] = field(default_factory=dict)
    wakes: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for change in self.snapshot.changes.values():
            if started(change):
                self.running[change.policy] = self.running.get(change.policy, 0) + 1

    def closed(self, node: str, policy_name: str) -> Verdict | None:
        """Why no change of this node may even be proposed; None where one may."""
        policy = self.policies.get(policy_name)
        if policy is None:
            return Verdict(node, Reason.NotGoverned, f"policy {policy_name} is gone")
        until = rest(self.snapshot, node, policy)
        if until is not None and until > self.now:
            return Verdict(node, Reason.Cooldown, f"node {node} rests until {rfc3339(math.ceil(until))}")
        if policy.suspend:
            return Verdict(node, Reason.Suspended, f"policy {policy_name} is suspended")
        return None

    def pass_through(self, node: str, policy_name: str, cause: Cause = Cause.DEMAND) -> Verdict | None:
        """Why a change of this node may not start now.

        None when it may, and then its share of the budget is taken.
        """
        if (closed := self.closed(node, policy_name)) is not None:
            return closed
        policy = self.policies[policy_name]
        if (broken := eligibility.apply_path(self.snapshot, node, policy)) is not None:
            return broken
        allowed = budgets.limit(policy.budgets, self.governed.get(policy_name, 0), self.now, cause)
        if (running := self.running.get(policy_name, 0)) >= allowed:
            self._wake(budgets.turn(policy.budgets, self.now))
            message = f"policy {policy_name} allows {allowed} nodes in a change; {running} are"
            return Verdict(node, Reason.BudgetExhausted, message)
        self.running[policy_name] = running + 1
        return None

    def _wake(self, at: float | None) -> None:
        if at is not None:
            self.wakes.append(at)


def rest(snapshot: Snapshot, node: str, policy: Policy) -> float | None:
    """Until when (seconds) a node rests after its last change; None where it had none that asks for it."""
    ended = [change for change in snapshot.history.get(node, ()) if not live(change)]
    at = reached(ended[-1], phase(ended[-1])) if ended else None
    if at is None:
        return None
    match phase(ended[-1]):
        case Phase.DONE:
            return at + policy.cooldown_seconds
        case Phase.CANCELLED:
            return at + RETRY_SECONDS * 2.0 ** max(0, _failures(ended) - 1)
        case _:
            return None


def _failures(ended: Sequence[ReconfigurationRow]) -> int:
    """How many of the newest changes were cancelled in a row although somebody still needed them."""
    return sum(1 for _ in takewhile(_failed, reversed(ended)))


def _failed(change: ReconfigurationRow) -> bool:
    why = condition(change.status, SUCCEEDED)
    return phase(change) is Phase.CANCELLED and (why is None or why.reason != Reason.ServedElsewhere)
