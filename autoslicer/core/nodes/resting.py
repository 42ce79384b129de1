"""How long a node rests after a change: a cooldown after one that was Done, a pause after one that failed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import takewhile

from autoslicer.core.phases import SUCCEEDED, Phase, condition, live, phase, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy, governing
from autoslicer.core.reasons import Reason
from autoslicer.core.recommendations import ENDED_BY
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339

RETRY_SECONDS = 30.0
"""a node whose last change was cancelled rests so long, and twice as long for each one before it that was
cancelled as well: a plan that keeps failing its validation causes no stream of changes"""


def rest(snapshot: Snapshot, node: str, cooldown: float) -> float | None:
    """Until when (seconds) a node rests after its last change; None where it had none that asks for it.

    Args:
        snapshot: the cluster.
        node: its name.
        cooldown: how long after a change that was Done, in seconds.
    """
    last = next(_newest(snapshot, node), None)
    at = None if last is None else reached(last, phase(last))
    if last is None or at is None:
        return None
    match phase(last):
        case Phase.DONE:
            return at + cooldown
        case Phase.CANCELLED:
            failures = sum(1 for _ in takewhile(_failed, _newest(snapshot, node)))
            return at + RETRY_SECONDS * 2.0 ** max(0, failures - 1)
        case _:
            return None


def refusal(snapshot: Snapshot, node: str, policy: Policy, now: float) -> Verdict | None:
    """That the node rests under the policy; None where it does not."""
    until = rest(snapshot, node, policy.cooldown_seconds)
    if until is None or until <= now:
        return None
    return Verdict(node, Reason.Cooldown, f"node {node} rests until {rfc3339(math.ceil(until))}")


def resting(snapshot: Snapshot, policies: Mapping[str, Policy], now: float) -> dict[str, Verdict]:
    """Every governed node that a plan had better leave alone because it rests, by name.

    A recommendation that nobody took up says nothing against its node.
    """
    longest = max((policy.cooldown_seconds for policy in policies.values()), default=0.0)
    found: dict[str, Verdict] = {}
    for name in snapshot.history:
        until = rest(snapshot, name, longest)
        if until is None or until <= now or name not in snapshot.nodes:
            continue
        last = next(_newest(snapshot, name))
        if not last.approved and not _failed(last):
            continue
        policy = governing(policies, snapshot.nodes[name])
        if isinstance(policy, Policy) and (verdict := refusal(snapshot, name, policy, now)) is not None:
            found[name] = verdict
    return found


def _newest(snapshot: Snapshot, node: str) -> Iterator[ReconfigurationRow]:
    """The node's changes that have ended, newest first."""
    return (change for change in reversed(snapshot.history.get(node, ())) if not live(change))


def _failed(change: ReconfigurationRow) -> bool:
    """It was cancelled although somebody still needed it; nobody's approval is no failure."""
    if phase(change) is not Phase.CANCELLED:
        return False
    why = condition(change.status, SUCCEEDED)
    if why is None:
        return change.approved
    return why.reason != Reason.ServedElsewhere and (change.approved or why.reason not in ENDED_BY)
