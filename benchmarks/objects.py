"""What was drawn as Kubernetes objects: as `kubectl get nodes,pods,mignodes -A -o json` prints them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from autoslicer.core.times import rfc3339
from benchmarks.hardware import DrawnNode, Slice, Tenant
from benchmarks.workload import DrawnPod
from solver import geometry
from solver.profile_name import resource_name

Object = dict[str, Any]

NOON = 1_795_176_000.0
"""2026-11-20T12:00:00Z: when the cluster was looked at"""
PADDED_BYTES = 8192
"""what an object of a busy cluster weighs"""
_CLIENTS = (
    "container-toolkit", "dcgm", "dcgm-exporter", "device-plugin", "driver", "gpu-feature-discovery",
    "mig-manager", "node-status-exporter", "operator-validator",
)  # fmt: skip


def node(drawn: DrawnNode) -> Object:
    """The node, labelled as the GPU Operator and GPU feature discovery do it under the strategy `mixed`."""
    offered = Counter(resource_name(part.profile) for gpu in drawn.gpus for part in gpu)
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": drawn.name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": drawn.zone,
        "example.com/pool": drawn.pool,
        "nvidia.com/cuda.driver-version.full": "580.95.05",
        "nvidia.com/gpu.count": str(len(drawn.gpus)),
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": drawn.model.product,
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.config": drawn.config,
        "nvidia.com/mig.config.state": "success",
        "nvidia.com/mig.strategy": "mixed",
        **{f"nvidia.com/gpu.deploy.{client}": "true" for client in _CLIENTS},
        **{f"{resource}.count": str(count) for resource, count in sorted(offered.items())},
    }
    amounts = {
        "cpu": str(drawn.model.cpu),
        "ephemeral-storage": "1800Gi",
        "memory": f"{drawn.model.memory}Gi",
        "nvidia.com/gpu": "0",
        "pods": "110",
        **{resource: str(count) for resource, count in sorted(offered.items())},
    }
    spec: Object = {"providerID": f"example://{drawn.name}"}
    if drawn.tainted:
        spec["taints"] = [{"key": "example.com/reserved", "value": "true", "effect": "NoSchedule"}]
    ready = _condition("Ready", "True", "KubeletReady", NOON - 86_400)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": drawn.name,
            "uid": f"node-{drawn.name}",
            "creationTimestamp": rfc3339(NOON - 864_000),
            "labels": labels,
            "annotations": {},
        },
        "spec": spec,
        "status": {"allocatable": amounts, "capacity": amounts, "conditions": [ready]},
    }


def tenants(drawn: DrawnNode) -> Iterator[Object]:
    """The pods that run on the node, each of which holds one slice."""
    for index, tenant in enumerate(drawn.tenants):
        yield _pod(
            namespace="running",
            name=_tenant_name(drawn, index),
            priority=tenant.priority,
            requests=_tenant_requests(tenant),
            created=NOON - 7200 - index * 60,
            spec={"nodeName": drawn.name},
            condition=_condition("PodScheduled", "True", "", NOON - 7190 - index * 60),
            phase="Running",
        )


def _tenant_name(drawn: DrawnNode, index: int) -> str:
    return f"job-{drawn.name}-{index:02}"


def _tenant_requests(tenant: Tenant) -> dict[str, str]:
    return {"cpu": str(tenant.cpu), "memory": f"{tenant.memory}Gi", resource_name(tenant.profile): "1"}


def pending(drawn: DrawnPod) -> Object:
    """A pod that the scheduler found no node for."""
    template = drawn.template
    spec: Object = {}
    if template.selector:
        spec["nodeSelector"] = dict(template.selector)
    if template.zones:
        zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": list(template.zones)}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    if template.tolerant:
        spec["tolerations"] = [{"key": "example.com/reserved", "operator": "Exists", "effect": "NoSchedule"}]
    slices = {resource_name(profile): str(count) for profile, count in template.slices}
    requests = {"cpu": f"{template.cpu}m", "memory": f"{template.memory}Mi", **slices}
    created = NOON - drawn.age
    return _pod(
        namespace=template.namespace,
        name=f"{template.name}-{drawn.number:05}",
        priority=template.priority,
        requests=requests,
        created=created,
        spec=spec,
        condition=_condition("PodScheduled", "False", "Unschedulable", created + 1),
        phase="Pending",
    )


def _pod(
    *,
    namespace: str,
    name: str,
    priority: int,
    requests: dict[str, str],
    created: float,
    spec: Object,
    condition: Object,
    phase: str,
) -> Object:
    app = name.rpartition("-")[0]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": app,
        "uid": f"owner-{app}",
        "controller": True,
    }
    devices = {resource: amount for resource, amount in requests.items() if "/" in resource}
    container: Object = {
        "name": "main",
        "image": "registry.example.com/model:1.4.2",
        "resources": {"limits": devices, "requests": requests},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"pod-{namespace}-{name}",
            "creationTimestamp": rfc3339(created),
            "labels": {"app": app},
            "annotations": {},
            "ownerReferences": [owner],
        },
        "spec": {
            "containers": [container],
            "priority": priority,
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            **spec,
        },
        "status": {"phase": phase, "conditions": [condition]},
    }


def _condition(kind: str, status: str, reason: str, at: float) -> Object:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": rfc3339(at)}


def mignode(drawn: DrawnNode) -> Object:
    """What the node's agent reports: every GPU, its profiles, its instances and the pods on them."""
    profiles = [
        {
            "name": p.name,
            "id": p.gi_id or 0,
            "size": p.size,
            "starts": list(p.starts),
            "maxCount": p.max_count,
        }
        for p in drawn.model.geometry.profiles
    ]
    pci = geometry.pci_ids(drawn.model.product)[0]
    gpus = [
        {
            "index": index,
            "uuid": f"GPU-{drawn.name}-{index}",
            "product": drawn.model.product,
            "pciDeviceId": pci,
            "migMode": {"current": "Enabled", "pending": "Enabled"},
            "profiles": profiles,
            "instances": [_instance(drawn, index, part) for part in gpu],
        }
        for index, gpu in enumerate(drawn.gpus)
    ]
    return {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "MigNode",
        "metadata": {
            "name": drawn.name,
            "uid": f"mignode-{drawn.name}",
            "creationTimestamp": rfc3339(NOON - 86_400),
        },
        "status": {"observedAt": rfc3339(NOON), "driverVersion": "580.95.05", "gpus": gpus},
    }


def _instance(drawn: DrawnNode, gpu: int, part: Slice) -> Object:
    held = part.holder is not None
    return {
        "profile": part.profile,
        "start": part.start,
        "size": part.size,
        "uuid": f"MIG-{drawn.name}-{gpu}-{part.start}",
        "pods": [f"running/{_tenant_name(drawn, part.holder)}"] if part.holder is not None else [],
        "processes": int(held),
    }


def padded(item: Object) -> Object:
    """The object with what live ones carry beside what a plan reads, until it weighs `PADDED_BYTES`.

    Half of it is managedFields; the rest are annotations, and for a pod environment variables.
    """
    metadata = item["metadata"]
    missing = PADDED_BYTES - len(json.dumps(item, separators=(",", ":")))
    if missing <= 0:
        return item
    fields = {
        f"f:field-{n:03}": {f"k:key-{n:03}": {".": {}, "f:value": {}}} for n in range(missing // 2 // 52)
    }
    entry = {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "v1",
        "time": metadata["creationTimestamp"],
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    metadata["managedFields"] = [entry]
    if item["kind"] == "Pod":
        variables = [
            {"name": f"SETTING_{n:03}", "value": f"value-{n:03}-{metadata['name']}"}
            for n in range(missing // 4 // 64)
        ]
        item["spec"]["containers"][0]["env"] = variables
    missing = PADDED_BYTES - len(json.dumps(item, separators=(",", ":"))) - 40
    metadata.setdefault("annotations", {})["example.com/last-applied"] = (metadata["name"] + " ") * (
        max(0, missing) // (len(metadata["name"]) + 1)
    )
    return item
