"""What the core keeps of each Kubernetes object: small frozen rows, independent of where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoslicer.core.causes import Cause
from autoslicer.core.recovery import Recovery
from solver.problem import Counts

Resources = Mapping[str, int]
"""Amounts by resource name: cpu in thousandths of a core, memory and storage in bytes, everything else in
units."""


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint; `value` is empty where the object has none."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Toleration:
    """A pod's toleration.

    Empty `key` with operator Exists tolerates all, empty `effect` means all effects.
    """

    key: str
    operator: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression of a node selector: In, NotIn, Exists, DoesNotExist, Gt or Lt.

    `field` is true for matchFields.
    """

    key: str
    operator: str
    values: tuple[str, ...]
    field: bool = False


@dataclass(frozen=True, slots=True)
class Repulsion:
    """A required anti-affinity term: it keeps pods off the nodes that share a label's value.

    Attributes:
        selector: requirements on the other pod's labels, all of which must be met.
        namespaces: of the other pod; None for every namespace.
        topology: the node label that draws the boundary.
    """

    selector: tuple[Requirement, ...]
    namespaces: frozenset[str] | None
    topology: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node.

    Attributes:
        allocatable: what the kubelet offers, in the units of `Resources`.
        ready: the Ready condition is True.
        annotations: only those that autoslicer reads (its own and other owners' marks).
    """

    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    ready: bool
    terminating: bool
    allocatable: Resources


@dataclass(frozen=True, slots=True)
class PodRow:
    """A pod.

    Attributes:
        node: `spec.nodeName`, or empty.
        created: seconds since the epoch.
        requests: effective requests by the scheduler's formula (containers, init containers, sidecars,
            overhead), with `pods: 1`.
        selector: `spec.nodeSelector` as pairs.
        affinity: required node affinity: terms are ORed, the requirements of a term are ANDed; None where
            the pod has none.
        nominated: `status.nominatedNodeName`, or empty.
        unschedulable_since: when the scheduler last turned PodScheduled to False/Unschedulable (seconds);
            None when it has not.
        tried: PodScheduled exists at all.
        bound_at: when PodScheduled turned True (seconds); None when unknown.
        unknown: predicates that the core does not model, by name; a pod that has any is promised nothing.
        hidden_gpu_use: may use GPUs without asking (NVIDIA runtime class, NVIDIA_VISIBLE_DEVICES or a
            resource claim, without a GPU request).
        config_map: for a mig-manager pod, the ConfigMap that it mounts for mig-parted, or empty.
        image: of a mig-manager pod; empty for every other.
        daemon: a DaemonSet controls it.
        controller: the kind of the object that controls it, or empty.
        undisturbed: it is marked not to be evicted for the sake of the cluster.
        ends: it comes to an end by itself, for its containers are not restarted for ever (restartPolicy).
        repels: the required anti-affinity that it holds against other pods.
        key: `namespace/name`.
    """

    namespace: str
    name: str
    uid: str
    created: float
    phase: str
    node: str
    terminating: bool
    gated: bool
    scheduler: str
    priority: int
    requests: Resources
    selector: tuple[tuple[str, str], ...]
    affinity: tuple[tuple[Requirement, ...], ...] | None
    tolerations: tuple[Toleration, ...]
    nominated: str
    tried: bool
    unschedulable_since: float | None
    bound_at: float | None
    ignored: bool
    unknown: tuple[str, ...]
    hidden_gpu_use: bool
    app: str = ""
    config_map: str = ""
    image: str = ""
    published: str = ""
    ready: bool = False
    daemon: bool = False
    controller: str = ""
    undisturbed: bool = False
    ends: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    repels: tuple[Repulsion, ...] = ()
    key: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # one string for everybody who finds the pod by it
        object.__setattr__(self, "key", f"{self.namespace}/{self.name}")

    @property
    def finished(self) -> bool:
        """Succeeded or Failed: it holds nothing any more."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One entry of a mig-parted config: `devices` is None for all.

    `filter` holds PCI ids, empty for none; `mig_devices` is empty where MIG is off.
    """

    devices: tuple[int, ...] | None
    filter: tuple[str, ...]
    mig_enabled: bool
    mig_devices: Counts


@dataclass(frozen=True, slots=True)
class ConfigMapRow:
    """A mig-parted ConfigMap.

    Attributes:
        configs: by name; None where its `config.yaml` is missing or breaks mig-parted's rules.
        size: in bytes.
    """

    namespace: str
    name: str
    resource_version: str
    configs: Mapping[str, tuple[ConfigEntry, ...]] | None
    size: int


@dataclass(frozen=True, slots=True)
class NvmlProfile:
    """A profile as NVML reports it."""

    name: str
    id: int
    size: int
    starts: tuple[int, ...]
    max_count: int


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """A GPU instance that exists now.

    Attributes:
        pods: that hold it, by key.
        processes: on it; -1 where that is unknown, which counts as in use.
    """

    profile: str
    start: int
    size: int
    uuid: str
    pods: tuple[str, ...]
    processes: int


@dataclass(frozen=True, slots=True)
class MigGpuRow:
    """One GPU in a MigNode. `profiles` is empty where NVML could not say.

    `mode_settled` is false while a mode change waits for a reset.
    """

    index: int
    uuid: str
    product: str
    pci: str
    mig_enabled: bool
    profiles: tuple[NvmlProfile, ...]
    instances: tuple[InstanceRow, ...]
    mode_settled: bool = True


@dataclass(frozen=True, slots=True)
class MigNodeRow:
    """What the node agent saw at `observed` (seconds since the epoch)."""

    name: str
    observed: float
    driver: str
    gpus: tuple[MigGpuRow, ...]


@dataclass(frozen=True, slots=True)
class ResourceSliceRow:
    """A DRA ResourceSlice: whose driver publishes devices of which node (empty: no single node)."""

    name: str
    driver: str
    node: str


@dataclass(frozen=True, slots=True)
class GpuTarget:
    """One GPU in a change: its multisets before and after; None where its MIG mode is off."""

    index: int
    before: Counts | None
    after: Counts | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A phase that was reached, when (seconds) and what is worth telling of it."""

    phase: str
    at: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A KEP-1623 condition.

    `since` is lastTransitionTime in seconds, `generation` is observedGeneration (0: none).
    """

    type: str
    status: str
    reason: str
    message: str
    since: float = 0.0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class ChangeStatus:
    """The status of a MigReconfiguration; an empty phase means Waiting.

    `attempt` counts how often the layout was asked for; until `quarantined_until` its node is left alone.
    """

    phase: str = ""
    started: float | None = None
    deadline: float | None = None
    attempt: int = 1
    steps: tuple[Step, ...] = ()
    conditions: tuple[Condition, ...] = ()
    quarantined_until: float | None = None


@dataclass(frozen=True, slots=True)
class ReconfigurationRow:
    """A MigReconfiguration: one durable change of one node.

    With `reserve` the node is kept for `serves` until the pods on its GPUs have ended, see `reserved`.
    """

    name: str
    uid: str
    resource_version: str
    created: float
    node: str
    node_uid: str
    policy: str
    plan_digest: str
    source: str
    target: str
    gpus: tuple[GpuTarget, ...]
    serves: tuple[str, ...]
    evicts: tuple[str, ...]
    recovery: Recovery
    approved: bool
    status: ChangeStatus = field(default_factory=ChangeStatus)
    cause: Cause = Cause.DEMAND
    kind: str = ""
    approved_by: str = ""
    reserve: bool = False
