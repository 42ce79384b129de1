"""What kubectl would print of a virtual world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoslicer.cluster import documents
from autoslicer.core import configs, names
from autoslicer.core.rows import (
    ConfigMapRow,
    MigGpuRow,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    Requirement,
    Taint,
)
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339

Document = dict[str, Any]


def dumped(snapshot: Snapshot) -> Document:
    """The List of all objects but the policies."""
    items = [
        *map(_node, snapshot.nodes.values()),
        *map(_pod, snapshot.pods.values()),
        *map(_config_map, snapshot.config_maps.values()),
        *map(_mignode, snapshot.mignodes.values()),
        *map(_change, snapshot.changes.values()),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _amounts(amounts: Mapping[str, int]) -> dict[str, str]:
    return {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in amounts.items()}


def _taints(taints: Sequence[Taint]) -> list[Document]:
    return [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in taints]


def _node(row: NodeRow) -> Document:
    metadata = {
        "name": row.name,
        "uid": row.uid,
        "resourceVersion": row.resource_version,
        "labels": dict(row.labels),
        "annotations": dict(row.annotations),
    }
    ready = {"type": "Ready", "status": "True" if row.ready else "False"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": {"taints": _taints(row.taints), "unschedulable": row.unschedulable},
        "status": {"conditions": [ready], "allocatable": _amounts(row.allocatable)},
    }


def _pod(row: PodRow) -> Document:
    metadata: Document = {
        "namespace": row.namespace,
        "name": row.name,
        "uid": row.uid,
        "creationTimestamp": rfc3339(row.created),
        "labels": {**row.labels, **({"app": row.app} if row.app else {})},
        "annotations": {names.PUBLISHED: row.published} if row.published else {},
    }
    if row.daemon:
        metadata["ownerReferences"] = [{"kind": "DaemonSet", "name": "d"}]
    requests = {name: amount for name, amount in row.requests.items() if name != "pods"}
    container: Document = {"name": "main", "resources": {"limits": _amounts(requests)}}
    spec: Document = {
        "containers": [container],
        "schedulerName": row.scheduler,
        "priority": row.priority,
        "nodeSelector": dict(row.selector),
    }
    if row.node:
        spec["nodeName"] = row.node
    if row.config_map:
        container["volumeMounts"] = [{"name": "config", "mountPath": "/mig-parted-config"}]
        spec["volumes"] = [{"name": "config", "configMap": {"name": row.config_map}}]
    if row.affinity is not None:
        terms = [{"matchExpressions": [_expression(one) for one in term]} for term in row.affinity]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        spec["affinity"] = {"nodeAffinity": required}
    status = {"phase": row.phase, "conditions": _conditions(row), "nominatedNodeName": row.nominated}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _expression(found: Requirement) -> Document:
    return {"key": found.key, "operator": found.operator, "values": list(found.values)}


def _conditions(row: PodRow) -> list[Document]:
    found = [{"type": "Ready", "status": "True" if row.ready else "False"}]
    if row.bound_at is not None:
        bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": rfc3339(row.bound_at)}
        return [*found, bound]
    if row.unschedulable_since is not None:
        since = rfc3339(row.unschedulable_since)
        waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        return [*found, {**waits, "lastTransitionTime": since}]
    return found


def _config_map(row: ConfigMapRow) -> Document:
    metadata = {"namespace": row.namespace, "name": row.name, "resourceVersion": row.resource_version}
    data = {} if row.configs is None else {"config.yaml": configs.render(row.configs)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _mignode(row: MigNodeRow) -> Document:
    status = {
        "observedAt": rfc3339(row.observed),
        "driverVersion": row.driver,
        "gpus": [_gpu(gpu) for gpu in row.gpus],
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "MigNode",
        "metadata": {"name": row.name},
        "status": status,
    }


def _gpu(row: MigGpuRow) -> Document:
    mode = "Enabled" if row.mig_enabled else "Disabled"
    instances = [
        {
            "profile": instance.profile,
            "start": instance.start,
            "size": instance.size,
            "uuid": instance.uuid,
            "pods": list(instance.pods),
            "processes": instance.processes,
        }
        for instance in row.instances
    ]
    return {
        "index": row.index,
        "uuid": row.uuid,
        "product": row.product,
        "pciDeviceId": row.pci,
        "migMode": {"current": mode, "pending": mode},
        "instances": instances,
    }


def _change(row: ReconfigurationRow) -> Document:
    made = documents.change(row, row.node_uid)
    metadata = {
        "uid": row.uid,
        "resourceVersion": row.resource_version,
        "creationTimestamp": rfc3339(row.created),
    }
    made["metadata"] = {**made["metadata"], **metadata}
    made["status"] = {
        key: value for key, value in documents.change_status(row.status).items() if value is not None
    }
    return made
