"""What a failed wait says: everything that helps to see why something did not happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import urllib3

from tests.cluster import operator
from tests.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.cluster.fixture import Cluster

SHOWN = ("nvidia.com/mig.config", "nvidia.com/gpu.deploy.device-plugin", "nvidia.com/gpu.deploy.gpu-feature")


def describe(cluster: Cluster) -> str:
    """Nodes with labels, taints and slices; pods; changes; the ends of the logs."""
    lines = [f"directory {cluster.directory}"]
    try:
        lines += [*_nodes(cluster), *_pods(cluster), *_changes(cluster)]
    except (ApiError, urllib3.exceptions.HTTPError, OSError) as error:
        lines.append(f"the API server does not answer: {error}")
    lines += cluster.played.errors[:1]
    if cluster.played.trouble:
        lines.append(f"the last trouble of the played parts: {cluster.played.trouble}")
    for node in list(cluster.played.nodes.values()):
        lines.append(f"NVML of {node.name}: {node.gpus.layout()}")
        if node.mig_manager.log.exists():
            lines += [f"--- {node.mig_manager.log}", *_end(node.mig_manager.log.read_text(errors="replace"))]
    return "\n".join([*lines, cluster.control_plane.logs()])


def _end(text: str) -> list[str]:
    return text.splitlines()[-15:]


def _nodes(cluster: Cluster) -> Iterator[str]:
    for found in cluster.api.list("/api/v1/nodes"):
        name, labels = found["metadata"]["name"], found["metadata"].get("labels", {})
        shown = {key: value for key, value in labels.items() if key.startswith(SHOWN)}
        yield f"node {name}: {cluster.slices(name)} taints {cluster.taints(name)} {shown}"


def _pods(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.api.list("/api/v1/pods"):
        meta, status, where = pod["metadata"], pod["status"], pod["spec"].get("nodeName")
        if meta["namespace"] in (cluster.namespace, "default", operator.NAMESPACE):
            waits = [
                c.get("message") for c in status.get("conditions", []) if c.get("reason") == "Unschedulable"
            ]
            ends = "terminating" if "deletionTimestamp" in meta else ""
            words = (status.get("phase"), "on", where, status.get("reason", ""), *waits, ends)
            yield f"pod {meta['namespace']}/{meta['name']}: {' '.join(map(str, filter(None, words)))}"


def _changes(cluster: Cluster) -> Iterator[str]:
    for change in cluster.list_if_served("/apis/autoslicer.dev/v1alpha1/migreconfigurations"):
        status = change.get("status", {})
        steps = [(step["phase"], step.get("message")) for step in status.get("steps", [])]
        yield f"change {change['metadata']['name']}: {steps} {status.get('conditions')}"
