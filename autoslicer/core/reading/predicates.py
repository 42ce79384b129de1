"""Which of a pod's scheduling constraints the core does not model; a pod that has one is promised nothing."""

from __future__ import annotations

from collections.abc import Iterator

from autoslicer.core.fields import Fields

UNKNOWN_PREDICATES = (
    "podAffinity",
    "podAntiAffinity",
    "topologySpreadConstraints",
    "persistentVolumeClaim",
    "volumes",
    "resourceClaims",
    "hostPorts",
    "podGroup",
    "migLabels",
)
"""Every constraint that kube-scheduler or a plugin filters nodes by and that the core does not work out.

* `podAffinity`, `podAntiAffinity`: required terms of the pod itself (preferred ones only rank nodes; the
  anti-affinity of pods that run already is modelled)
* `topologySpreadConstraints`: those with `whenUnsatisfiable: DoNotSchedule`
* `persistentVolumeClaim`: claims and generic ephemeral volumes, whose volumes may be bound to other nodes or
  not at all
* `volumes`: any other volume that may be limited in number or tied to a node (inline CSI and the in-tree
  disks)
* `resourceClaims`: dynamic resource allocation
* `hostPorts`: ports of the node
* `podGroup`: gangs, which are bound all or not at all: coscheduling, Volcano, Kueue, Koordinator and the
  native scheduling group
* `migLabels`: a node selector or affinity on a label that a change of layout changes
  (`nvidia.com/mig.config`, `nvidia.com/mig-*`)
"""

_GANG_LABELS = (
    "scheduling.x-k8s.io/pod-group",
    "pod-group.scheduling.sigs.k8s.io",
    "pod-group.scheduling.sigs.k8s.io/name",
    "pod-group.scheduling.sigs.k8s.io/min-available",
    "kueue.x-k8s.io/pod-group-name",
    "scheduling.k8s.io/group-name",
    "gang.scheduling.koordinator.sh/name",
)
_GANG_FIELDS = ("schedulingGroup", "workloadRef")
_LOCAL_VOLUMES = frozenset(
    {"configMap", "secret", "emptyDir", "hostPath", "downwardAPI", "projected", "nfs", "image", "gitRepo"}
)
_CHANGING_LABELS = ("nvidia.com/mig.config", "nvidia.com/mig-")


def unmodelled(metadata: Fields, spec: Fields) -> tuple[str, ...]:
    """The members of `UNKNOWN_PREDICATES` that the pod has, in their order.

    Raises:
        ValueError: a field has a type that no API server would accept.
    """
    found = {*_affinities(spec), *_volumes(spec), *_others(metadata, spec)}
    return tuple(name for name in UNKNOWN_PREDICATES if name in found)


def _affinities(spec: Fields) -> Iterator[str]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = spec.fields("affinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        if any(True for _ in affinity.fields(kind).each(required)):
            yield kind
    if any(c.text("whenUnsatisfiable") != "ScheduleAnyway" for c in spec.each("topologySpreadConstraints")):
        yield "topologySpreadConstraints"
    keys = list(spec.pairs("nodeSelector"))
    for term in affinity.fields("nodeAffinity").fields(required).each("nodeSelectorTerms"):
        keys += (expression.text("key") for expression in term.each("matchExpressions"))
    if any(key.startswith(_CHANGING_LABELS) for key in keys):
        yield "migLabels"


def _volumes(spec: Fields) -> Iterator[str]:
    for volume in spec.each("volumes"):
        sources = [key for key in volume.names() if key != "name" and volume.has(key)]
        if "persistentVolumeClaim" in sources or "ephemeral" in sources:
            yield "persistentVolumeClaim"
        elif not _LOCAL_VOLUMES.issuperset(sources):
            yield "volumes"


def _others(metadata: Fields, spec: Fields) -> Iterator[str]:
    if any(True for _ in spec.each("resourceClaims")):
        yield "resourceClaims"
    containers = (*spec.each("containers"), *spec.each("initContainers"))
    if any(_takes_port(container, spec) for container in containers):
        yield "hostPorts"
    marks = {**metadata.pairs("labels"), **metadata.pairs("annotations")}
    if any(marks.get(key) for key in _GANG_LABELS) or any(spec.has(key) for key in _GANG_FIELDS):
        yield "podGroup"


def _takes_port(container: Fields, spec: Fields) -> bool:
    """In the host's network every container port is a port of the node."""
    ports = list(container.each("ports"))
    return bool(ports) and (spec.flag("hostNetwork") or any(port.integer("hostPort") for port in ports))
