"""Where the API server keeps what autoslicer reads and writes."""

from __future__ import annotations

from autoslicer.cluster.client import segment

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
_OURS = "/apis/autoslicer.dev/v1alpha1"
POLICIES = f"{_OURS}/migautoscalingpolicies"
CHANGES = f"{_OURS}/migreconfigurations"
MIG_NODES = f"{_OURS}/mignodes"
RESOURCE_SLICES = "/apis/resource.k8s.io/v1/resourceslices"


def one(collection: str, name: str) -> str:
    """One object of a collection."""
    return f"{collection}/{segment(name)}"


def pod(namespace: str, name: str) -> str:
    """One pod."""
    return f"/api/v1/namespaces/{segment(namespace)}/pods/{segment(name)}"


def lease(namespace: str, name: str) -> str:
    """One Lease."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{segment(namespace)}/leases/{segment(name)}"


def config_maps(namespace: str) -> str:
    """The ConfigMaps of a namespace."""
    return f"/api/v1/namespaces/{segment(namespace)}/configmaps"


def events(namespace: str) -> str:
    """The events of a namespace."""
    return f"/apis/events.k8s.io/v1/namespaces/{segment(namespace)}/events"
