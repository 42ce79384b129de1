"""Fluent builders of raw Kubernetes objects: what `kubectl get -o json` would print, small and valid.

Every method returns a new builder, so that a test can vary a common one. `dump` makes a List of them.

>>> dump(node("a").gpus(2, H100).config("all-7g.80gb"), pod("ns/x").wants({"1g.10gb": 1}))["kind"]
'List'
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from autoslicer.core import configs
from autoslicer.core.rows import ConfigEntry
from autoslicer.core.times import rfc3339
from solver.profile_name import resource_name

H100 = "NVIDIA-H100-80GB-HBM3"
A100 = "NVIDIA-A100-SXM4-40GB"
A30 = "NVIDIA-A30"
PCI = {H100: "0x233010DE", A100: "0x20B010DE", A30: "0x20B710DE"}
NOON = 1795176000.0
"""2026-11-20T12:00:00Z: the time at which the builders' world stands still"""

Layout = Mapping[str, int] | None
"""GPU instances by profile; None where MIG mode is off."""


@dataclass(frozen=True)
class Builder:
    """A raw object under construction."""

    raw: dict[str, Any]

    def set(self, path: str, value: Any) -> Self:
        """Give the field at a dotted path a value; objects on the way are made."""
        raw = copy.deepcopy(self.raw)
        *parents, last = path.split(".")
        inner = raw
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = value
        return type(self)(raw)

    def put(self, path: str, items: Mapping[str, Any]) -> Self:
        """Add entries to the map at a dotted path."""
        return self.set(path, {**self.get(path, {}), **items})

    def add(self, path: str, item: Any) -> Self:
        """Append to the list at a dotted path."""
        return self.set(path, [*self.get(path, []), item])

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a dotted path."""
        inner: Any = self.raw
        for key in path.split("."):
            if key not in inner:
                return default
            inner = inner[key]
        return inner

    def labels(self, labels: Mapping[str, str]) -> Self:
        """Add labels."""
        return self.put("metadata.labels", labels)

    def annotations(self, annotations: Mapping[str, str]) -> Self:
        """Add annotations."""
        return self.put("metadata.annotations", annotations)

    def condition(self, kind: str, status: str, reason: str = "", at: float = NOON) -> Self:
        """Set a condition, in the place of one of the same type."""
        others = [c for c in self.get("status.conditions", []) if c["type"] != kind]
        stamp = rfc3339(at)
        found = {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": stamp}
        return self.set("status.conditions", [*others, found])

    def created(self, at: float) -> Self:
        """Created at that time."""
        return self.set("metadata.creationTimestamp", rfc3339(at))

    def deleting(self, at: float = NOON) -> Self:
        """Deleted, but not gone."""
        return self.set("metadata.deletionTimestamp", rfc3339(at))


class Node(Builder):
    """A node with GPUs, labelled as the GPU Operator and GPU feature discovery do it under `mixed`."""

    def gpus(self, count: int, product: str = H100) -> Self:
        """That many GPUs, MIG off until a config or layout is given."""
        labels = {
            "nvidia.com/gpu.product": product,
            "nvidia.com/gpu.count": str(count),
            "nvidia.com/mig.capable": "true",
            "nvidia.com/mig.strategy": "mixed",
            "nvidia.com/gpu.deploy.mig-manager": "true",
        }
        return self.labels(labels).layout(*[None] * count, name="all-disabled")

    def config(self, name: str, state: str = "success") -> Self:
        """One of the GPU Operator's own configs, applied."""
        labels = self.raw["metadata"]["labels"]
        pcis = [PCI[labels["nvidia.com/gpu.product"]]] * int(labels["nvidia.com/gpu.count"])
        resolved = configs.resolve(configs.DEFAULTS[name], pcis)
        layouts = [None if layout is None else dict(layout) for _, layout in sorted(resolved.items())]
        return self.layout(*layouts, name=name, state=state)

    def layout(self, *layouts: Layout, name: str, state: str = "success") -> Self:
        """One layout a GPU, with what the plugin offers then; `name` is the config's, whatever it holds."""
        kept = {
            r: v for r, v in self.get("status.allocatable", {}).items() if not r.startswith("nvidia.com/")
        }
        labels = {"nvidia.com/mig.config": name, "nvidia.com/mig.config.state": state}
        return self.set("status.allocatable", {**kept, **offered(*layouts)}).labels(labels)

    def allocatable(self, resources: Mapping[str, str]) -> Self:
        """Set amounts that the kubelet offers."""
        return self.put("status.allocatable", resources)

    def taint(self, key: str, effect: str = "NoSchedule", value: str = "") -> Self:
        """Add a taint."""
        return self.add("spec.taints", {"key": key, "value": value, "effect": effect})

    def cordoned(self) -> Self:
        """Cordoned by a human."""
        return self.set("spec.unschedulable", True)

    def not_ready(self) -> Self:
        """Its kubelet is not ready."""
        return self.condition("Ready", "False", "KubeletNotReady")


class Pod(Builder):
    """A pod that the scheduler found no node for, until it is bound."""

    def wants(self, slices: Mapping[str, int]) -> Self:
        """MIG slices by profile, as limits of its first container."""
        return self.resources({resource_name(profile): str(count) for profile, count in slices.items()})

    def resources(self, amounts: Mapping[str, str]) -> Self:
        """Limits of its first container."""
        containers = copy.deepcopy(self.raw["spec"]["containers"])
        containers[0].setdefault("resources", {}).setdefault("limits", {}).update(amounts)
        return self.set("spec.containers", containers)

    def on(self, name: str, at: float = NOON - 60) -> Self:
        """Bound to the node and running."""
        bound = self.set("spec.nodeName", name).set("status.phase", "Running")
        return bound.condition("PodScheduled", "True", at=at)

    def phase(self, phase: str) -> Self:
        """In that phase."""
        return self.set("status.phase", phase)

    def priority(self, priority: int) -> Self:
        """With that priority."""
        return self.set("spec.priority", priority)

    def untried(self) -> Self:
        """As in a manifest: the scheduler has not seen it."""
        return type(self)({key: value for key, value in self.raw.items() if key != "status"})

    def unschedulable(self, at: float) -> Self:
        """Found unschedulable at that time."""
        return self.condition("PodScheduled", "False", "Unschedulable", at)

    def nominated(self, name: str) -> Self:
        """Nominated to a node."""
        return self.set("status.nominatedNodeName", name)

    def selector(self, labels: Mapping[str, str]) -> Self:
        """With a node selector."""
        return self.set("spec.nodeSelector", dict(labels))

    def affinity(self, *terms: Mapping[str, Any]) -> Self:
        """With a required node affinity."""
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
        return self.set("spec.affinity.nodeAffinity", required)

    def tolerates(self, key: str = "", operator: str = "Exists", value: str = "", effect: str = "") -> Self:
        """With a toleration."""
        toleration = {"key": key, "operator": operator, "value": value, "effect": effect}
        return self.add("spec.tolerations", {name: text for name, text in toleration.items() if text})

    def repels(self, labels: Mapping[str, str], topology: str = "kubernetes.io/hostname") -> Self:
        """With a required anti-affinity."""
        term = {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": topology}
        path = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        return self.add(path, term)

    def daemon(self) -> Self:
        """Owned by a DaemonSet."""
        owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": True}
        return self.set("metadata.ownerReferences", [owner])


class MigNode(Builder):
    """What a node's agent saw."""

    def gpu(
        self,
        layout: Layout,
        *,
        pods: Mapping[str, list[str]] | None = None,
        processes: int = 0,
        product: str = H100,
    ) -> Self:
        """The next GPU, with its instances in no special place.

        Args:
            layout: its instances by profile.
            pods: for a profile, the pods that hold its instances, one after the other.
            processes: on each instance that no pod is listed for.
            product: its model.
        """
        index = len(self.get("status.gpus", []))
        instances: list[dict[str, Any]] = []
        for profile, count in (layout or {}).items():
            holders = (pods or {}).get(profile, [])
            for number in range(count):
                uuid = f"MIG-{self.raw['metadata']['name']}-{index}-{len(instances)}"
                held = [holders[number]] if number < len(holders) else []
                row = {"profile": profile, "start": 0, "size": 1, "uuid": uuid, "pods": held}
                instances.append({**row, "processes": 1 if held else processes})
        mode = "Disabled" if layout is None else "Enabled"
        row = {
            "index": index,
            "uuid": f"GPU-{self.raw['metadata']['name']}-{index}",
            "product": product,
            "pciDeviceId": PCI[product],
            "migMode": {"current": mode, "pending": mode},
            "instances": instances,
        }
        return self.add("status.gpus", row)

    def observed(self, at: float) -> Self:
        """Looked at then."""
        return self.set("status.observedAt", rfc3339(at))


def offered(*layouts: Layout) -> dict[str, str]:
    """What the device plugin offers for these layouts under `mixed`."""
    total: Counter[str] = Counter()
    for layout in layouts:
        total.update(
            {"nvidia.com/gpu": 1} if layout is None else {resource_name(p): n for p, n in layout.items()}
        )
    return {resource: str(amount) for resource, amount in sorted(total.items())}


def node(name: str) -> Node:
    """A Ready node with 64 cpus, 256Gi and room for 110 pods."""
    metadata = {
        "name": name,
        "uid": f"node-{name}",
        "resourceVersion": "1",
        "creationTimestamp": rfc3339(NOON - 86400),
    }
    labels = {"kubernetes.io/hostname": name}
    allocatable = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
    raw = {"apiVersion": "v1", "kind": "Node", "metadata": {**metadata, "labels": labels}, "spec": {}}
    return Node({**raw, "status": {"allocatable": allocatable}}).condition("Ready", "True", "KubeletReady")


def pod(key: str) -> Pod:
    """A pod `namespace/name` that asks for nothing and was found unschedulable ten minutes ago."""
    namespace, _, name = key.rpartition("/")
    metadata = {
        "name": name,
        "namespace": namespace or "default",
        "uid": f"pod-{key}",
        "resourceVersion": "1",
    }
    spec = {
        "containers": [{"name": "main", "image": "example.com/app"}],
        "schedulerName": "default-scheduler",
    }
    raw = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Pending"},
    }
    return Pod(raw).created(NOON - 600).unschedulable(NOON - 600)


def mignode(name: str) -> MigNode:
    """A MigNode that was observed just now and lists no GPU yet."""
    raw = {"apiVersion": "autoslicer.dev/v1alpha1", "kind": "MigNode", "metadata": {"name": name}}
    return MigNode({**raw, "status": {"driverVersion": "580.95.05"}}).observed(NOON)


def policy(name: str = "default", selector: Mapping[str, str] | None = None) -> Builder:
    """A policy in mode Auto without windows, budgets, canary and cooldown, over all nodes that can do MIG."""
    labels = dict(selector or {"nvidia.com/mig.capable": "true"})
    spec = {
        "nodeSelector": {"matchLabels": labels},
        "mode": "Auto",
        "trigger": {"pendingSeconds": 0, "batchIdleSeconds": 0, "batchMaxSeconds": 0},
        "disruption": {"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0, "canary": False},
    }
    metadata = {"name": name, "uid": f"policy-{name}", "generation": 1}
    return Builder(
        {
            "apiVersion": "autoslicer.dev/v1alpha1",
            "kind": "MigAutoscalingPolicy",
            "metadata": metadata,
            "spec": spec,
        }
    )


def config_map(
    held: Mapping[str, tuple[ConfigEntry, ...]],
    name: str = "autoslicer-mig-parted-config",
    namespace: str = "gpu-operator",
) -> Builder:
    """A ConfigMap with these mig-parted configs."""
    metadata = {"name": name, "namespace": namespace, "resourceVersion": "1"}
    data = {"config.yaml": configs.render(held)}
    return Builder({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def mig_manager(
    name: str, config_map: str = "autoslicer-mig-parted-config", namespace: str = "gpu-operator"
) -> Pod:
    """The mig-manager pod of a node, running, with that ConfigMap mounted."""
    container = {
        "name": "nvidia-mig-manager",
        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}],
        "volumeMounts": [{"name": "mig-parted-config", "mountPath": "/mig-parted-config"}],
    }
    volume = {"name": "mig-parted-config", "configMap": {"name": config_map}}
    made = pod(f"{namespace}/nvidia-mig-manager-{name}").labels({"app": "nvidia-mig-manager"}).daemon()
    made = made.set("spec.containers", [container]).set("spec.volumes", [volume])
    return made.set("spec.runtimeClassName", "nvidia").on(name, at=NOON - 3600).condition("Ready", "True")


def change(
    name: str,
    before: list[Layout],
    after: list[Layout],
    *,
    number: int = 1,
    phase: str = "",
    serves: tuple[str, ...] = (),
    cause: str = "Demand",
) -> Builder:
    """The node's MigReconfiguration with that number, in that phase; without one its status is empty."""
    gpus = [
        {"index": index, "from": old, "to": new, "changed": old != new}
        for index, (old, new) in enumerate(zip(before, after, strict=True))
    ]
    spec = {
        "node": {"name": name, "uid": f"node-{name}"},
        "policy": "default",
        "planDigest": f"sha256:{'0' * 64}",
        "cause": cause,
        "from": "all-7g.80gb",
        "to": "autoslicer-000000000000",
        "gpus": gpus,
        "serves": list(serves),
        "evicts": [],
        "recovery": {"pendingDeadlineSeconds": 1800},
        "approved": True,
    }
    metadata = {"name": f"{name}-{number}", "uid": f"change-{name}-{number}", "resourceVersion": "1"}
    raw = {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "MigReconfiguration",
        "metadata": metadata,
        "spec": spec,
    }
    made = Builder(raw).created(NOON - 30)
    if not phase:
        return made
    steps = [{"phase": phase, "at": rfc3339(NOON - 20), "message": ""}]
    return made.set("status", {"phase": phase, "startedAt": rfc3339(NOON - 25), "attempt": 1, "steps": steps})


def resource_slice(name: str, driver: str = "gpu.nvidia.com") -> Builder:
    """A ResourceSlice that a DRA driver publishes for the node."""
    metadata = {"name": f"{name}-{driver}"}
    spec = {
        "driver": driver,
        "nodeName": name,
        "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
    }
    return Builder(
        {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": metadata, "spec": spec}
    )


def dump(*builders: Builder) -> dict[str, Any]:
    """The List that kubectl would print of these objects."""
    return {"apiVersion": "v1", "kind": "List", "items": [copy.deepcopy(builder.raw) for builder in builders]}
