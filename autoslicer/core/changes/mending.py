"""The last resorts for a node whose change is given up: clients by hand, the taint, mig-manager's pod.

Then the change ends Quarantined, or RolledBack where the old layout turns out to be there after all.
"""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core.actions import Action, DeletePod, RestoreClients, WakeAt
from autoslicer.core.changes import applying, attempts
from autoslicer.core.changes.faults import OVERDUE, last
from autoslicer.core.changes.transition import Result, deadline, end, lift, with_condition
from autoslicer.core.nodes import evidence, gpu_operator
from autoslicer.core.phases import Phase, condition
from autoslicer.core.plan import Verdict
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

MEND_SECONDS = 120.0
"""so long the slices may take to come back once the clients were restored and the taint was lifted"""
GIVEN_UP = "GivenUp"
"""condition: since when nothing is tried any more but to leave the node in order"""


def begun(change: ReconfigurationRow) -> bool:
    """The change is given up already."""
    return condition(change.status, GIVEN_UP) is not None


def give_up(
    change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float, why: Verdict
) -> Result:
    """Leave the node in order, as far as that is possible in time, and end.

    What is tried is the same whatever was done before, so that it is noted first since when it is tried.
    """
    noted = condition(change.status, GIVEN_UP)
    if noted is None:
        status = with_condition(change.status, GIVEN_UP, "True", why.reason, why.message, now)
        return status, (WakeAt(now),)
    if _begun_again(change, node) and now < deadline(change):
        return change.status, (WakeAt(deadline(change)),)
    why = replace(why, message=noted.message)
    manager = gpu_operator.mig_manager(snapshot, node.name)
    renewed = _may_renew(change, node) and (manager is None or manager.created >= noted.since)
    until = noted.since + (change.recovery.pending_deadline if renewed else MEND_SECONDS)
    if now >= until:
        return end(change, node, now, Phase.QUARANTINED, why)
    action = _remedy(change, node, manager, noted.since)
    if action is not None:
        return change.status, (action, WakeAt(until))
    if renewed or _returning(change, node):
        return change.status, (WakeAt(until),)
    return end(change, node, now, Phase.QUARANTINED, why)


def _remedy(change: ReconfigurationRow, node: NodeRow, manager: PodRow | None, since: float) -> Action | None:
    """What to do next, one thing after the other; None where all is done that may be done.

    A run of another process than the one that was given up is left to pause and resume its clients.
    """
    clients = evidence.left_paused(node)
    another = manager is None or manager.created >= since
    if (
        clients
        and not evidence.rebooting(node)
        and (evidence.settled(node) or (not another and _overdue(change, since)))
    ):
        return RestoreClients(node.name, node.resource_version, clients)
    for taint in lift(node):
        return taint
    if not _may_renew(change, node) or manager is None or another:
        return None
    if evidence.state(node) == "success" or evidence.advertised(node):
        return None
    return DeletePod(manager.namespace, manager.name, manager.uid)


def _may_renew(change: ReconfigurationRow, node: NodeRow) -> bool:
    """mig-manager's pod may be deleted: the next one applies the label, which asks for the old layout."""
    return change.recovery.delete_operator_pods and attempts.leads_back(change, evidence.config(node))


def _begun_again(change: ReconfigurationRow, node: NodeRow) -> bool:
    """mig-manager is making the old layout after all: pods would lose what they are bound to meanwhile."""
    return attempts.leads_back(change, evidence.config(node)) and evidence.state(node) == "pending"


def _overdue(change: ReconfigurationRow, since: float) -> bool:
    """The deadline of the run was over when the change was given up."""
    return since >= deadline(change) or last(change).reason in OVERDUE


def _returning(change: ReconfigurationRow, node: NodeRow) -> bool:
    """The label asks for what is there, and the device plugin may still come back with it."""
    asked = attempts.leads_back(change, evidence.config(node))
    return asked and evidence.state(node) == "success" and not applying.untouched(change, node)
