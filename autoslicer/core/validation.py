"""Does a change still hold, and is it proven: the questions that the steps ask of the cluster as it is now; nothing is solved again."""

from __future__ import annotations

from autoslicer.core import eligibility, evidence, fitting, layouts, names
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot


def pending(change: ReconfigurationRow, snapshot: Snapshot) -> tuple[PodRow, ...]:
    """The pods of `serves` that still wait for a node."""
    pods = (snapshot.pods.get(key) for key in change.serves)
    return tuple(pod for pod in pods if pod is not None and not pod.node and not pod.finished and not pod.terminating)


def bound_here(change: ReconfigurationRow, snapshot: Snapshot) -> tuple[PodRow, ...]:
    """The pods of `serves` that were bound to the change's node."""
    pods = (snapshot.pods.get(key) for key in change.serves)
    return tuple(pod for pod in pods if pod is not None and pod.node == change.node)
