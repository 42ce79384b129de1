"""mig-manager's run for a change: was it seen to start, and is the success that is reported its own."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core import evidence
from autoslicer.core.rows import ChangeStatus, NodeRow, ReconfigurationRow
from autoslicer.core.transition import condition, with_condition

LATE_SUCCESS_SECONDS = 10.0
"""a success whose start nobody saw counts when it lasts so long: a new run replaces an earlier run's success
within a second"""

RUN_STARTED = "RunStarted"
"""condition: True once our run of mig-manager was seen, Unknown once it reported success without having been
seen"""

QUIET = "Quiet"
"""condition: whether mig-manager rests, after somebody has replaced our label"""


def watched(change: ReconfigurationRow, node: NodeRow, now: float) -> ReconfigurationRow:
    """The change with a note of when its run was first seen, or first reported success without that."""
    return replace(change, status=_noted(change.status, node, now))


def _noted(status: ChangeStatus, node: NodeRow, now: float) -> ChangeStatus:
    run = condition(status, RUN_STARTED)
    if run is not None and run.status == "True":
        return status
    if evidence.paused(node):
        message = "mig-manager paused the GPU clients"
        return with_condition(status, RUN_STARTED, "True", "ClientsPaused", message, now)
    if run is None and evidence.state(node) == "success":
        message = "success without a start that was seen"
        return with_condition(status, RUN_STARTED, "Unknown", "NotSeen", message, now)
    return status


def applied(change: ReconfigurationRow, node: NodeRow, now: float) -> bool:
    """mig-manager's success is that of our run, and the old layout is no longer offered."""
    if evidence.state(node) != "success" or evidence.paused(node):
        return False
    offered = evidence.advertised(node)
    if offered == evidence.after(change.gpus):
        return True
    if offered and offered == evidence.before(change.gpus):
        return False
    run, trusted = condition(change.status, RUN_STARTED), trusted_at(change)
    return (run is not None and run.status == "True") or (trusted is not None and now >= trusted)


def untouched(change: ReconfigurationRow, node: NodeRow) -> bool:
    """The node offers the old layout, with nothing paused: the run has cut nothing."""
    offered = evidence.advertised(node)
    return bool(offered) and offered == evidence.before(change.gpus) and not evidence.paused(node)


def settling(change: ReconfigurationRow, node: NodeRow, now: float) -> tuple[ReconfigurationRow, float]:
    """The change with a note of whether mig-manager is quiet, and when that can be trusted (seconds).

    After a label was replaced in the middle of a run, that run's success stands there for a moment before the
    next run begins.
    """
    quiet = evidence.settled(node) and not evidence.paused(node)
    message = "the label is not ours any more"
    value = "True" if quiet else "False"
    noted = replace(change, status=with_condition(change.status, QUIET, value, "Relabelled", message, now))
    since = condition(noted.status, QUIET)
    return noted, since.since + LATE_SUCCESS_SECONDS if quiet and since is not None else float("inf")


def trusted_at(change: ReconfigurationRow) -> float | None:
    """When a success whose start was not seen counts as that of our run (seconds); None where none waits."""
    run = condition(change.status, RUN_STARTED)
    return run.since + LATE_SUCCESS_SECONDS if run is not None and run.status == "Unknown" else None
