"""No back and forth: a layout that a GPU has just left is not given back to it for the same demand."""

from __future__ import annotations

from dataclasses import dataclass

from autoslicer.core.causes import Cause
from autoslicer.core.changes import validation
from autoslicer.core.phases import Phase, reached
from autoslicer.core.plan import Reshape
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot

REVERSAL_SECONDS = 3600.0
"""a layout counts as just left for so long after the change that left it was Done"""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What a change would take back: the earlier change, and until when that counts (seconds)."""

    earlier: str
    until: float


def reversal(snapshot: Snapshot, change: ReconfigurationRow | Reshape, now: float) -> Reversal | None:
    """The earlier change of the node that this one takes back without new demand; None where it does not.

    Demand is new where a pod that is served came after the earlier change was planned. And what the earlier
    change was for must still wait: once its pods are bound or gone, its layout serves nobody any more.
    """
    if change.cause is not Cause.DEMAND:
        return None
    pods = (snapshot.pods.get(key) for key in change.serves)
    newest = max((pod.created for pod in pods if pod is not None), default=0.0)
    for earlier in reversed(snapshot.history.get(change.node, ())):
        done = reached(earlier, Phase.DONE)
        if done is None or now >= done + REVERSAL_SECONDS or not _restores(change, earlier):
            continue
        if newest <= earlier.created and validation.pending(earlier, snapshot):
            return Reversal(earlier.name, done + REVERSAL_SECONDS)
    return None


def _restores(change: ReconfigurationRow | Reshape, earlier: ReconfigurationRow) -> bool:
    """A GPU gets back the layout that the earlier change took from it."""
    left = {gpu.index: gpu.before for gpu in earlier.gpus if gpu.changed}
    return any(gpu.changed and gpu.index in left and left[gpu.index] == gpu.after for gpu in change.gpus)
