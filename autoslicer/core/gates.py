"""What holds a change back although the plan is right: suspension, apply path, cooldown, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoslicer.core import eligibility
from autoslicer.core.phases import Phase, phase, started
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339

RETRY_SECONDS = 30.0
"""a node whose last change was cancelled rests so long, so that a plan that keeps failing its validation
causes no storm"""


def limit(policy: Policy, governed: int) -> int:
    """How many of the policy's nodes may be in a change at once.

    Percentages of the governed nodes round up.
    """
    allowed = governed
    for budget in policy.budgets:
        number = -(-governed * int(budget[:-1]) // 100) if budget.endswith("%") else int(budget)
        allowed = min(allowed, number)
    return allowed


@dataclass(slots=True)
class Gates:
    """The gates of one cycle.

    Each change that passes uses up budget, so they are asked in the order of carrying out.
    """

    snapshot: Snapshot
    policies: Mapping[str, Policy]
    governed: Mapping[str, int]
    now: float
    running: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for change in self.snapshot.changes.values():
            if started(change):
                self.running[change.policy] = self.running.get(change.policy, 0) + 1

    def pass_through(self, node: str, policy_name: str) -> Verdict | None:
        """Why a change of this node may not start now.

        None when it may, and then its share of the budget is taken.
        """
        policy = self.policies.get(policy_name)
        if policy is None:
            return Verdict(node, Reason.NotGoverned, f"policy {policy_name} is gone")
        if policy.suspend:
            return Verdict(node, Reason.Suspended, f"policy {policy_name} is suspended")
        held = eligibility.apply_path(self.snapshot, node, policy) or self._resting(node, policy)
        if held is not None:
            return held
        allowed, running = limit(policy, self.governed.get(policy_name, 0)), self.running.get(policy_name, 0)
        if running >= allowed:
            return Verdict(
                node,
                Reason.BudgetExhausted,
                f"policy {policy_name} allows {allowed} nodes in a change; {running} are",
            )
        self.running[policy_name] = running + 1
        return None

    def _resting(self, node: str, policy: Policy) -> Verdict | None:
        until = rest(self.snapshot, node, policy)
        if until is None or until <= self.now:
            return None
        return Verdict(node, Reason.Cooldown, f"node {node} rests until {rfc3339(until)}")


def last_change(snapshot: Snapshot, node: str) -> ReconfigurationRow | None:
    """The newest ended change of a node, by the time of its end."""
    ended = [
        change
        for change in snapshot.changes.values()
        if change.node == node
        and change.status.steps
        and not started(change)
        and phase(change) is not Phase.WAITING
    ]
    return max(ended, key=lambda change: (change.status.steps[-1].at, change.name), default=None)


def rest(snapshot: Snapshot, node: str, policy: Policy) -> float | None:
    """Until when (seconds) a node rests after its last change; None where it had none that asks for it."""
    last = last_change(snapshot, node)
    if last is None:
        return None
    seconds = {Phase.DONE: policy.cooldown_seconds, Phase.CANCELLED: RETRY_SECONDS}.get(phase(last))
    return None if seconds is None else last.status.steps[-1].at + seconds
