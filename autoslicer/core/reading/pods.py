"""Pods, as the core reads them."""

from __future__ import annotations

from collections.abc import Iterator

from autoslicer.core import names
from autoslicer.core.fields import Fields, root
from autoslicer.core.reading.nodes import holds
from autoslicer.core.reading.predicates import unmodelled
from autoslicer.core.reading.requests import effective
from autoslicer.core.reading.selectors import label_selector, node_terms
from autoslicer.core.rows import PodRow, Repulsion, Resources, Toleration

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_MIG_PARTED_MOUNT = "/mig-parted-config"
"""where the GPU Operator's DaemonSet (assets/state-mig-manager) mounts mig-parted's ConfigMap"""


def pod(obj: object) -> PodRow:
    """The row of a v1 Pod.

    Raises:
        ValueError: a field has a type or value that no API server would accept.
    """
    top = root(obj, "Pod")
    metadata, spec, status = top.fields("metadata"), top.fields("spec"), top.fields("status")
    labels = metadata.labels("labels")
    annotations = metadata.pairs("annotations")
    requests = effective(spec, status)
    scheduled = next((c for c in status.each("conditions") if c.text("type") == "PodScheduled"), None)
    since = None if scheduled is None else scheduled.time("lastTransitionTime")
    status_of = "" if scheduled is None else f"{scheduled.text('status')}/{scheduled.text('reason')}"
    app = labels.get("app", "")
    return PodRow(
        namespace=metadata.text("namespace") or "default",
        name=metadata.required("name"),
        uid=metadata.text("uid"),
        created=metadata.time("creationTimestamp") or 0.0,
        phase=status.text("phase") or "Pending",
        node=spec.text("nodeName"),
        terminating=metadata.has("deletionTimestamp"),
        gated=any(True for _ in spec.each("schedulingGates")),
        scheduler=spec.text("schedulerName") or "default-scheduler",
        priority=spec.integer("priority"),
        requests=requests,
        selector=tuple(spec.pairs("nodeSelector").items()),
        affinity=node_terms(spec.fields("affinity").fields("nodeAffinity"), _REQUIRED),
        tolerations=tuple(_toleration(toleration) for toleration in spec.each("tolerations")),
        nominated=status.text("nominatedNodeName"),
        tried=scheduled is not None,
        unschedulable_since=(since or 0.0) if status_of == "False/Unschedulable" else None,
        bound_at=since if status_of.startswith("True/") else None,
        ignored=annotations.get(names.IGNORE) == "true",
        unknown=unmodelled(metadata, spec),
        hidden_gpu_use=_hidden_gpu_use(spec, requests),
        app=app,
        config_map=_mounted_config_map(spec) if app == names.MIG_MANAGER_APP else "",
        image=_image(spec) if app == names.MIG_MANAGER_APP else "",
        published=annotations.get(names.PUBLISHED, ""),
        ready=holds(status, "Ready"),
        daemon=any(o.text("kind") == "DaemonSet" for o in metadata.each("ownerReferences")),
        controller=next(
            (o.text("kind") for o in metadata.each("ownerReferences") if o.flag("controller")), ""
        ),
        undisturbed=any(annotations.get(key) == value for key, value in names.UNDISTURBED.items()),
        ends=spec.text("restartPolicy") in ("Never", "OnFailure"),
        labels=labels,
        repels=tuple(_repulsions(metadata, spec)),
    )


def _toleration(fields: Fields) -> Toleration:
    return Toleration(
        key=fields.text("key"),
        operator=fields.text("operator") or "Equal",
        value=fields.text("value"),
        effect=fields.text("effect"),
    )


def _repulsions(metadata: Fields, spec: Fields) -> Iterator[Repulsion]:
    """A term without a label selector concerns no pod.

    One over a namespace selector counts for every namespace: the labels of namespaces are not read.
    """
    own = metadata.text("namespace") or "default"
    for term in spec.fields("affinity").fields("podAntiAffinity").each(_REQUIRED):
        selector, topology = label_selector(term.fields("labelSelector")), term.required("topologyKey")
        if term.has("labelSelector"):
            somewhere = frozenset(term.texts("namespaces") or (own,))
            yield Repulsion(selector, None if term.has("namespaceSelector") else somewhere, topology)


def _hidden_gpu_use(spec: Fields, requests: Resources) -> bool:
    """It may see GPUs although it asks for no NVIDIA resource: by runtime class, environment or claim."""
    if any(resource.startswith("nvidia.com/") for resource in requests):
        return False
    if spec.text("runtimeClassName").startswith("nvidia") or any(True for _ in spec.each("resourceClaims")):
        return True
    return any(
        variable.text("name") == "NVIDIA_VISIBLE_DEVICES" and _shows_devices(variable)
        for kind in ("containers", "initContainers")
        for container in spec.each(kind)
        for variable in container.each("env")
    )


def _shows_devices(variable: Fields) -> bool:
    """The NVIDIA runtime hides every device for `void`, `none` and nothing; other sources are not known."""
    return variable.has("valueFrom") or variable.text("value") not in ("", "void", "none")


def _image(spec: Fields) -> str:
    return next((container.text("image") for container in spec.each("containers")), "")


def _mounted_config_map(spec: Fields) -> str:
    mounted = {
        mount.text("name")
        for container in spec.each("containers")
        for mount in container.each("volumeMounts")
        if mount.text("mountPath").rstrip("/") == _MIG_PARTED_MOUNT
    }
    volumes = (volume for volume in spec.each("volumes") if volume.text("name") in mounted)
    return next((name for v in volumes if (name := v.fields("configMap").text("name"))), "")
