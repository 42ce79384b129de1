"""What the core wants done, as data; a writer above carries it out in order, each under its precondition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoslicer.core.rows import ChangeStatus, Condition, ConfigEntry, ReconfigurationRow


@dataclass(frozen=True, slots=True)
class CreateChange:
    """Create the MigReconfiguration; 409 means that another controller was first, and is no error."""

    change: ReconfigurationRow


@dataclass(frozen=True, slots=True)
class DeleteChange:
    """Delete a final MigReconfiguration that is older than the newest few of its node.

    Precondition: its uid.
    """

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class WriteChangeStatus:
    """Write the status of a MigReconfiguration under its resourceVersion."""

    name: str
    resource_version: str
    status: ChangeStatus


@dataclass(frozen=True, slots=True)
class AddTaint:
    """Add our taint with this value to the node; precondition: the node's resourceVersion.

    Attributes:
        marks: annotations for autoscalers, set in the same write to "true" and noted as ours.
    """

    node: str
    resource_version: str
    value: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveTaint:
    """Remove our taint, whatever its value, where there is one; precondition: the node's resourceVersion.

    Attributes:
        marks: annotations for autoscalers that are ours and go in the same write, with the note that they
            are; None where they stay.
    """

    node: str
    resource_version: str
    marks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """Add the configs to the ConfigMap where they are missing; what is there stays.

    Names are content hashes: a name that is there with other content is an error of somebody else's, and is
    not overwritten.
    """

    namespace: str
    name: str
    configs: Mapping[str, tuple[ConfigEntry, ...]]


@dataclass(frozen=True, slots=True)
class TouchPod:
    """Set one annotation of a mig-manager pod, so that the kubelet projects its ConfigMap at once.

    Precondition: its uid.
    """

    namespace: str
    name: str
    uid: str
    annotation: str
    value: str


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Label the node with the config, its state with pending, and annotate the config, all in one patch.

    Precondition: the node's resourceVersion.
    """

    node: str
    resource_version: str
    config: str


@dataclass(frozen=True, slots=True)
class Leaver:
    """A pod that is to be evicted."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask for the eviction of all these pods, each with its own grace period.

    Where something keeps one of them, such as a disruption budget, none is evicted: they would go in vain.

    Precondition: their uids.
    """

    pods: tuple[Leaver, ...]


@dataclass(frozen=True, slots=True)
class Nominate:
    """Hint to kube-scheduler that the pod belongs on the node; an empty `node` takes the hint back.

    Precondition: the pod's uid, that it is not bound, and that its hint is `before` (empty: it has none).
    """

    namespace: str
    name: str
    uid: str
    before: str
    node: str


@dataclass(frozen=True, slots=True)
class RestoreClients:
    """Set labels `nvidia.com/gpu.deploy.*`, which mig-manager has left paused, to true.

    Precondition: the node's resourceVersion.
    """

    node: str
    resource_version: str
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a pod of the GPU Operator, so that its DaemonSet makes another; precondition: its uid."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class NoteOnNode:
    """Set an annotation of ours on the node, or take it away where the value is empty.

    Precondition: the node's resourceVersion.
    """

    node: str
    resource_version: str
    annotation: str
    value: str


@dataclass(frozen=True, slots=True)
class Report:
    """An event on an object (kind Pod, Node, MigReconfiguration or MigAutoscalingPolicy).

    At most one per object and reason while nothing changes.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """The status of a policy.

    It is written only where something other than a time differs from what is there.
    """

    name: str
    generation: int
    conditions: tuple[Condition, ...]
    governed: int
    reshaping: int
    quarantined: int
    drifted: int
    pending: int
    lacking: int
    servable: int
    plan_digest: str
    plan_status: str
    plan_gap: float


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Nothing to do before this time (seconds since the epoch) unless something changes."""

    at: float


Action = (
    CreateChange
    | DeleteChange
    | WriteChangeStatus
    | AddTaint
    | RemoveTaint
    | Publish
    | TouchPod
    | SetConfig
    | Evict
    | Nominate
    | RestoreClients
    | DeletePod
    | NoteOnNode
    | Report
    | PolicyStatus
    | WakeAt
)
