"""Nominated nodes: which waiting pods are hinted to kube-scheduler, and which hints are taken back.

A slice that appears goes to the first pod that the scheduler tries, and that is the oldest, not the one for
which it was cut. The scheduler keeps room for a pod that is nominated to a node, against all pods of no
higher priority, provided that it knows of the nomination before the slice appears. It forgets it whenever it
tries the pod in vain, so that the hint has to be set again then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from autoslicer.core import fitting
from autoslicer.core.actions import Nominate
from autoslicer.core.demand import SCHEDULERS
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import FINAL, SUCCEEDED, Phase, condition, phase, reached
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow
from autoslicer.core.snapshot import TAKE_BACK_SECONDS

OLDEST_VERSION = (1, 35)
"""before this release of Kubernetes the scheduler takes nominations by others for its own, and drops them"""
REST_SECONDS = 1.0
"""from the end of our taint, which wakes every pod that waits, to the hints: a device plugin takes longer"""


def nomination(
    pod: PodRow,
    serving: Iterable[ReconfigurationRow],
    nodes: Mapping[str, NodeRow],
    policies: Mapping[str, Policy],
    now: float,
    *,
    coming: Collection[str] = (),
    settled: Collection[str] = (),
) -> Nominate | None:
    """The hint that the pod lacks, or that it has and must lose; None where all is well.

    A hint that somebody else has set is left alone.

    Args:
        pod: as it is now.
        serving: the changes that serve or have served it.
        nodes: by name.
        policies: by name.
        now: seconds since the epoch.
        coming: the changes, by name, whose nodes our taint is about to leave; before that no pod can take
            their slices.
        settled: those whose nodes it has left `REST_SECONDS` ago.
    """
    if pod.phase != "Pending" or pod.node or pod.terminating:
        return None
    found = sorted(serving, key=lambda change: change.name)
    promised = [change.node for change in found if _promises(change, nodes, policies, coming, settled)]
    if not _hears(pod):
        promised = []
    wanted = promised[0] if promised else ""
    if pod.nominated in (wanted, *promised):
        return None
    ours = any(change.node == pod.nominated and _void(change, pod, now) for change in found)
    if pod.nominated and not ours:
        return None
    return Nominate(pod.namespace, pod.name, pod.uid, pod.nominated, wanted)


def _hears(pod: PodRow) -> bool:
    """The scheduler that listens to hints tries the pod, and a slice is what it waits for."""
    listens = pod.scheduler in SCHEDULERS and not pod.gated and not pod.ignored
    return listens and bool(fitting.slices(pod.requests))


def _promises(
    change: ReconfigurationRow,
    nodes: Mapping[str, NodeRow],
    policies: Mapping[str, Policy],
    coming: Collection[str],
    settled: Collection[str],
) -> bool:
    """The change's slices are there or about to appear, and its pods are to have them."""
    node, policy = nodes.get(change.node), policies.get(change.policy)
    if node is None or node.uid != change.node_uid or fitting.closed(node) is not None:
        return False
    if policy is None or not policy.nominate:
        return False
    match phase(change):
        case Phase.LABELLED:
            return change.name in coming and _offers(node, change)
        case Phase.APPLIED:
            return change.name in settled or _offers(node, change)
        case Phase.VERIFIED:
            return True
        case _:
            return False


def _offers(node: NodeRow, change: ReconfigurationRow) -> bool:
    """The slices are there already: the device plugin came back in spite of our taint."""
    return evidence.advertised(node) == evidence.after(change.gpus)


def _void(change: ReconfigurationRow, pod: PodRow, now: float) -> bool:
    """The change promised the pod its node, and does so no more."""
    here = phase(change)
    if here is Phase.ROLLING_BACK:
        return True
    ended = reached(change, here)
    if here not in FINAL or ended is None or not pod.created <= ended > now - TAKE_BACK_SECONDS:
        return False
    why = condition(change.status, SUCCEEDED)
    # pods that come after the first one keep theirs until they are bound
    return not (here is Phase.DONE and why is not None and why.reason == Reason.Done)
