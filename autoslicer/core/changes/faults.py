"""What went wrong with a change after its label was set: one reason for each thing that mends differently."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from autoslicer.core import names
from autoslicer.core.changes import applying
from autoslicer.core.changes.attempts import asked
from autoslicer.core.nodes import evidence, gpu_operator, idleness
from autoslicer.core.phases import Phase, condition, reached
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import MigGpuRow, NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, counts

OVERDUE = frozenset({Reason.ApplyStuck, Reason.ApplyPathMissing, Reason.NotReady})
"""faults of a run whose deadline is over: a label may be set although mig-manager has not settled"""
LAST_ATTEMPT = "LastAttempt"
"""condition: False with the reason why the last attempt did not succeed"""


def last(change: ReconfigurationRow) -> Verdict:
    """Why the last attempt did not succeed, as the status tells."""
    noted = condition(change.status, LAST_ATTEMPT)
    if noted is None or noted.reason not in list(Reason):
        return Verdict(change.node, Reason.ApplyFailed, "mig-manager failed")
    return Verdict(change.node, Reason(noted.reason), noted.message)


def failed(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> Verdict:
    """Why mig-manager reports failed, as far as the node shows it."""
    name, offered = asked(change).name, evidence.advertised(node)
    if applying.untouched(change, node) and not applying.seen_to_start(change.status):
        message = f"mig-manager refused {name} and touched no GPU: its file had no such config yet"
        return Verdict(node.name, Reason.ConfigLag, message)
    lost = _lost(change, snapshot, now)
    if lost and not any(lost.values()):
        message = f"mig-manager failed to make {name} and left GPU {min(lost)} empty: the driver refused it"
        return Verdict(node.name, Reason.LayoutRefused, message)
    known = (evidence.before(change.gpus), evidence.after(change.gpus))
    if lost or (offered and offered not in known):
        held = f"GPU {min(lost)} holds {_written(lost[min(lost)])}" if lost else _written(offered)
        message = f"mig-manager failed in the middle of {name}: what is left is {held}"
        return Verdict(node.name, Reason.PartialDestruction, message)
    return Verdict(node.name, Reason.ApplyFailed, f"mig-manager reports failed for {name}")


def overdue(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot) -> Verdict:
    """Why mig-manager has not come to an end within the deadline, as far as the node shows it."""
    name, state = asked(change).name, evidence.state(node)
    if not node.ready:
        return Verdict(node.name, Reason.NotReady, f"the node was lost while {name} was being applied")
    if state == "success" and evidence.paused(node):
        message = f"mig-manager reports success for {name}, and {evidence.paused(node)[0]} stays paused"
        return Verdict(node.name, Reason.ClientsPaused, message)
    if state == "success":
        message = f"mig-manager reports success for {name}, but the node still offers the old layout"
        return Verdict(node.name, Reason.StaleSuccess, message)
    pod = gpu_operator.mig_manager(snapshot, node.name)
    if pod is None or not pod.ready:
        message = f"mig-manager's pod is {'gone' if pod is None else 'not ready'}; {name} was not applied"
        return Verdict(node.name, Reason.ApplyPathMissing, message)
    message = f"mig-manager did not finish {name}; its state is {state or 'absent'}"
    return Verdict(node.name, Reason.ApplyStuck, message)


def cleared(change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float) -> bool:
    """mig-manager's success has emptied the GPUs for certain, so that no slices are to be waited for.

    An agent saw that a while after the success; or device plugin and GPU feature discovery, which both were
    away for the run, agree on it.
    """
    agent, done = snapshot.mignodes.get(change.node), reached(change, Phase.APPLIED)
    if agent is not None and done is not None and agent.observed > done + applying.LATE_SUCCESS_SECONDS:
        lost = _lost(change, snapshot, now)
        return bool(lost) and not any(lost.values())
    offered = evidence.advertised(node)
    slices = tuple((resource, amount) for resource, amount in offered if resource != names.GPU_RESOURCE)
    told = bool(slices) and evidence.discovered(node) == slices
    return told and offered == _emptied(change) != evidence.before(change.gpus)


def unproven(
    change: ReconfigurationRow, node: NodeRow, snapshot: Snapshot, now: float, missing: str
) -> Verdict:
    """Why the node does not show the layout that mig-manager reported success for.

    Args:
        change: that was applied.
        node: of the change.
        snapshot: the cluster.
        now: seconds since the epoch.
        missing: what does not show it, in a sentence.
    """
    offered, found, lost = evidence.advertised(node), evidence.discovered(node), _lost(change, snapshot, now)
    seen_empty = bool(lost) and not any(lost.values())
    if seen_empty or (offered == _emptied(change) and (offered or found == ())):
        message = f"mig-manager reports success for {asked(change).name}, but has emptied the GPUs"
        return Verdict(node.name, Reason.LayoutCleared, message)
    if not offered:
        message = f"the device plugin has not come back: {missing}"
        return Verdict(node.name, Reason.PluginMissing, message)
    return Verdict(node.name, Reason.VerificationFailed, missing)


def _lost(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> dict[int, Counts]:
    """The changed GPUs that an agent, since the label, saw with neither layout; with what they hold."""
    agent, labelled = snapshot.mignodes.get(change.node), reached(change, Phase.LABELLED)
    if agent is None or labelled is None or agent.observed <= labelled:
        return {}
    if now - agent.observed > idleness.STALE_SECONDS:
        return {}
    seen = {gpu.index: _layout(gpu) for gpu in agent.gpus}
    return {
        gpu.index: held
        for gpu in change.gpus
        if gpu.changed and (held := seen.get(gpu.index)) is not None and held not in (gpu.before, gpu.after)
    }


def _emptied(change: ReconfigurationRow) -> Counts:
    """What the node offers where the GPUs that were to change have no instances."""
    return evidence.after(replace(gpu, after=()) if gpu.changed else gpu for gpu in change.gpus)


def _layout(gpu: MigGpuRow) -> Counts | None:
    return counts(Counter(found.profile for found in gpu.instances)) if gpu.mig_enabled else None


def _written(held: Counts) -> str:
    return ", ".join(f"{count} x {name}" for name, count in held) or "nothing"
