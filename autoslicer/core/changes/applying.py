"""mig-manager's run for a change: was it seen to start, and is the success that is reported its own."""

from __future__ import annotations

import math
from dataclasses import replace

from autoslicer.core.changes.transition import with_condition
from autoslicer.core.nodes import evidence, gpu_operator
from autoslicer.core.phases import condition
from autoslicer.core.rows import ChangeStatus, NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts

LATE_SUCCESS_SECONDS = 10.0
"""a success whose start nobody saw counts when it lasts so long: a new run replaces an earlier run's success
within a second"""
AWAY_SECONDS = 120.0
"""mig-manager's pod is given so long to come back: for a restart, or an upgrade of the operator"""

RUN_STARTED = "RunStarted"
"""condition: True once our run of mig-manager was seen, Unknown once it reported success without having been
seen"""

WAY_BACK_STARTED = "WayBackStarted"
"""condition: the same of the run that gives the node its old layout again"""

AWAY = "ManagerAway"
"""condition: True since mig-manager has had no pod that is ready"""

QUIET = "Quiet"
"""condition: whether mig-manager rests, after somebody has replaced our label"""

ANSWERED = "Answered"
"""condition: whether mig-manager rests, after a label of ours overtook a run"""

LEFT_PAUSED = "ClientsLeftPaused"
"""condition: True since mig-manager has said success with GPU clients still paused"""


def watched(
    change: ReconfigurationRow, node: NodeRow, now: float, run: str = RUN_STARTED
) -> ReconfigurationRow:
    """The change with a note of what its run has shown.

    That is when it was first seen, or first reported success without that, and since when it is over with
    clients still paused.
    """
    status = _left_paused(_started(change.status, node, now, run), node, now)
    return replace(change, status=status)


def _started(status: ChangeStatus, node: NodeRow, now: float, run: str) -> ChangeStatus:
    known = condition(status, run)
    if known is not None and known.status == "True":
        return status
    if evidence.paused(node):
        message = "mig-manager paused the GPU clients"
        return with_condition(status, run, "True", "ClientsPaused", message, now)
    if known is None and evidence.state(node) == "success":
        message = "success without a start that was seen"
        return with_condition(status, run, "Unknown", "NotSeen", message, now)
    return status


def _left_paused(status: ChangeStatus, node: NodeRow, now: float) -> ChangeStatus:
    over = evidence.state(node) == "success" and bool(evidence.left_paused(node))
    if not over and condition(status, LEFT_PAUSED) is None:
        return status
    message = "mig-manager said success and left GPU clients paused" if over else "nothing is left paused"
    return with_condition(status, LEFT_PAUSED, "True" if over else "False", "ClientsPaused", message, now)


def with_absence(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> ReconfigurationRow:
    """The change with a note of since when mig-manager has had no pod on the node that is ready.

    On a node that is away itself, as in a reboot, nobody can be missed.
    """
    pod, node = gpu_operator.mig_manager(snapshot, change.node), snapshot.nodes[change.node]
    away = (pod is None or not pod.ready) and node.ready and not evidence.rebooting(node)
    if not away and condition(change.status, AWAY) is None:
        return change
    message = "no mig-manager pod is ready on the node" if away else "mig-manager's pod is not missed"
    value, reason = ("True", "NoReadyPod") if away else ("False", "NotMissed")
    return replace(change, status=with_condition(change.status, AWAY, value, reason, message, now))


def missed_at(status: ChangeStatus) -> float | None:
    """When nobody is left who could finish the run (seconds); None while mig-manager is there."""
    away = condition(status, AWAY)
    return away.since + AWAY_SECONDS if away is not None and away.status == "True" else None


def seen_to_start(status: ChangeStatus, run: str = RUN_STARTED) -> bool:
    """The run was seen at work."""
    known = condition(status, run)
    return known is not None and known.status == "True"


def taken_up(change: ReconfigurationRow, node: NodeRow) -> bool:
    """mig-manager has answered to the label of the present attempt, or was seen at work on it."""
    answered = evidence.settled(node) and bool(evidence.state(node))
    return answered or seen_to_start(change.status)


def applied(change: ReconfigurationRow, node: NodeRow, now: float) -> bool:
    """mig-manager's success is that of our run, and the old layout is no longer offered."""
    wanted, other = evidence.after(change.gpus), evidence.before(change.gpus)
    return _succeeded(change.status, node, now, RUN_STARTED, wanted, other)


def way_back_applied(change: ReconfigurationRow, node: NodeRow, now: float) -> bool:
    """The same of the run that gives the node its old layout again."""
    wanted, other = evidence.before(change.gpus), evidence.after(change.gpus)
    return _succeeded(change.status, node, now, WAY_BACK_STARTED, wanted, other)


def _succeeded(
    status: ChangeStatus, node: NodeRow, now: float, run: str, wanted: Counts, other: Counts
) -> bool:
    if evidence.state(node) != "success" or evidence.paused(node):
        return False
    offered = evidence.advertised(node)
    if offered == wanted:
        return True
    if offered and offered == other:
        return False
    trusted = trusted_at(status, run)
    return seen_to_start(status, run) or (trusted is not None and now >= trusted)


def untouched(change: ReconfigurationRow, node: NodeRow) -> bool:
    """The node offers the old layout, with nothing paused: the run has cut nothing."""
    offered = evidence.advertised(node)
    return bool(offered) and offered == evidence.before(change.gpus) and not evidence.paused(node)


def settling(change: ReconfigurationRow, node: NodeRow, now: float) -> tuple[ReconfigurationRow, float]:
    """The change with a note of whether mig-manager is quiet, and when that can be trusted (seconds).

    After a label was replaced in the middle of a run, that run's success stands there for a moment before the
    next run begins.
    """
    return _lasting(change, QUIET, evidence.resting(node), "Relabelled", now)


def answered(change: ReconfigurationRow, node: NodeRow, now: float) -> tuple[ReconfigurationRow, float]:
    """The change with a note of whether mig-manager is done, and when that can be trusted (seconds).

    As `settling`, for a label of our own that overtook a run: that run may have failed, its clients paused.
    """
    return _lasting(change, ANSWERED, evidence.settled(node), "Overtaken", now)


def _lasting(
    change: ReconfigurationRow, kind: str, now_so: bool, reason: str, now: float
) -> tuple[ReconfigurationRow, float]:
    message = "a label has replaced the one that was at work"
    value = "True" if now_so else "False"
    noted = replace(change, status=with_condition(change.status, kind, value, reason, message, now))
    since = condition(noted.status, kind)
    return noted, since.since + LATE_SUCCESS_SECONDS if now_so and since is not None else math.inf


def trusted_at(status: ChangeStatus, run: str = RUN_STARTED) -> float | None:
    """When a success whose start was not seen counts as that of our run (seconds); None where none waits."""
    known = condition(status, run)
    return known.since + LATE_SUCCESS_SECONDS if known is not None and known.status == "Unknown" else None


def abandoned_at(status: ChangeStatus) -> float | None:
    """When clients that a success left paused count as left for good (seconds); None where none are."""
    left = condition(status, LEFT_PAUSED)
    return left.since + LATE_SUCCESS_SECONDS if left is not None and left.status == "True" else None
