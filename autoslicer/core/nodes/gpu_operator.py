"""What NVIDIA's GPU Operator runs on a node: its namespace, its mig-manager, and which pods are its own."""

from __future__ import annotations

from autoslicer.core import names
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot

_USUAL_NAMESPACES = (names.DEFAULT_OPERATOR_NAMESPACE, "nvidia-gpu-operator", "gpu-operator-resources")
"""of the Helm chart, of OpenShift's catalogue and of releases before 1.9"""


def mig_manager(snapshot: Snapshot, node: str) -> PodRow | None:
    """The node's mig-manager pod; None where there is none, or where several namespaces claim to run it.

    A label proves nothing about a pod's owner, so that a pod in a namespace that a policy names, or in one of
    the operator's usual ones, comes first.
    """
    found = [
        pod
        for pod in snapshot.tenants.get(node, ())
        if pod.app == names.MIG_MANAGER_APP and pod.node and not pod.terminating
    ]
    first = [pod for pod in found if pod.namespace in _trusted(snapshot)] or found
    if len({pod.namespace for pod in first}) != 1:
        return None
    return max(first, key=lambda pod: (pod.ready, pod.created, pod.name))


def _trusted(snapshot: Snapshot) -> frozenset[str]:
    named = (policy.config_map[0] for policy in snapshot.policies.values())
    return frozenset((*named, *_USUAL_NAMESPACES))


def namespaces(snapshot: Snapshot, node: str) -> frozenset[str]:
    """The operator's namespace, or where the node has no mig-manager all that it may be."""
    pod = mig_manager(snapshot, node)
    return _trusted(snapshot) if pod is None else frozenset({pod.namespace})


def is_operators(snapshot: Snapshot, pod: PodRow) -> bool:
    """The pod is one of the operator's own: mig-manager, or of a DaemonSet in the operator's namespace."""
    if pod == mig_manager(snapshot, pod.node):
        return True
    return pod.daemon and pod.namespace in namespaces(snapshot, pod.node)
