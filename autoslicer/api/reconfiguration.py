"""MigReconfiguration: one change of one node's MIG layout, as an object that outlives the controller."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from autoslicer.api.conditions import Conditions
from autoslicer.api.model import VALIDATIONS, Model, Rule, immutable
from autoslicer.api.policy import Recovery
from autoslicer.api.values import (
    ATOMIC,
    SUBDOMAIN,
    ConfigName,
    Count,
    Digest,
    Instances,
    Metadata,
    ObjectName,
    PodNames,
    Text,
    Timestamp,
    Word,
    keyed_by,
)
from autoslicer.core.causes import Cause
from autoslicer.core.phases import Phase

# The controller acts on an approval at once, and from Labelled on a change must be finished: taking an
# approval back would promise a stop that nothing can keep. Deleting the object stops a change that waits.
APPROVED_ONCE: dict[str, Any] = {
    VALIDATIONS: [
        {
            "rule": "self || !oldSelf",
            "message": "approved must stay true; to stop a change that waits, delete it",
        }
    ]
}


class NodeReference(Model):
    """The node, told from a later one of the same name."""

    # 251 and not 253, so that "<node>-<n>" can be the name of the object itself
    name: Annotated[str, Field(pattern=SUBDOMAIN, max_length=251)] = Field(description="The node's name.")
    uid: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="The node's metadata.uid.")


class GpuChange(Model):
    """One GPU before and after."""

    rules: ClassVar = (
        Rule(
            "self.changed || (has(self.from) == has(self.to) && (!has(self.from) || self.from == self.to))",
            "changed must be true where from and to differ",
            lambda gpu: gpu.changed or gpu.before == gpu.after,
            ".changed",
        ),
    )

    index: Count = Field(description="NVML's index of the GPU on its node.")
    before: Instances | None = Field(
        alias="from", description="GPU instances a profile when planned; null where MIG mode is off."
    )
    after: Instances | None = Field(
        alias="to", description="GPU instances a profile afterwards; null where MIG mode is off."
    )
    changed: bool = Field(
        description="Whether the GPU's instances are destroyed and created anew; else it stays as it is."
    )


def _lists_every_gpu(spec: ReconfigurationSpec) -> bool:
    return sorted(gpu.index for gpu in spec.gpus) == list(range(len(spec.gpus)))


class ReconfigurationSpec(Model):
    """The plan's command; immutable but for the approval."""

    rules: ClassVar = (
        Rule(
            "self.from != self.to",
            "to must differ from from: mig-manager does nothing where the label keeps its value",
            lambda spec: spec.before != spec.after,
            ".to",
        ),
        Rule(
            "self.gpus.all(gpu, gpu.index < size(self.gpus))",
            "gpus must list every GPU of the node, with the indices 0 to n-1",
            _lists_every_gpu,
            ".gpus",
        ),
        Rule(
            "!self.serves.exists(pod, pod in self.evicts)",
            "evicts must not name a pod that serves names too",
            lambda spec: not set(spec.serves) & set(spec.evicts),
            ".evicts",
        ),
        Rule(
            "self.cause == 'Demand' || size(self.serves) == 0",
            "serves must be empty where cause is not Demand",
            lambda spec: spec.cause is Cause.DEMAND or not spec.serves,
            ".serves",
        ),
    )

    node: NodeReference = Field(description="The node that is changed.", json_schema_extra=immutable("node"))
    policy: ObjectName = Field(
        description="The MigAutoscalingPolicy that the change was planned under.",
        json_schema_extra=immutable("policy"),
    )
    plan_digest: Digest = Field(
        description="Identifies the snapshot that the change was planned from.",
        json_schema_extra=immutable("planDigest"),
    )
    cause: Annotated[Cause, Word] = Field(
        Cause.DEMAND,
        description="What the change is for. Demand: pods that wait for slices. "
        "Headroom: slices that the policy wants free. Idle: what nodes get that nobody uses. "
        "Drift: what the node's label asks for and its GPUs have lost.",
        json_schema_extra=immutable("cause"),
    )
    before: ConfigName = Field(
        alias="from",
        description="The node's label nvidia.com/mig.config when planned; what a rollback returns to.",
        json_schema_extra=immutable("from"),
    )
    after: ConfigName = Field(
        alias="to",
        description="What nvidia.com/mig.config becomes: the name of the new layout's config.",
        json_schema_extra=immutable("to"),
    )
    gpus: Annotated[list[GpuChange], Field(min_length=1, max_length=32)] = Field(
        description="Every GPU of the node, changed or not.",
        json_schema_extra={**keyed_by("index"), **immutable("gpus")},
    )
    serves: PodNames = Field(
        description="The pods that the change is for, as namespace/name.",
        json_schema_extra=immutable("serves"),
    )
    evicts: PodNames = Field(
        description="The pods that must leave the node for it, as namespace/name.",
        json_schema_extra=immutable("evicts"),
    )
    reserve: bool = Field(
        False,
        description="Whether the node is kept for the pods in serves until those on its GPUs have ended.",
        json_schema_extra=immutable("reserve"),
    )
    recovery: Recovery = Field(
        description="The policy's recovery when planned; the policy may be gone by the time it is needed.",
        json_schema_extra=immutable("recovery"),
    )
    approved: bool = Field(
        False,
        description="Whether the change may be carried out; true from the start in mode Auto.",
        json_schema_extra=APPROVED_ONCE,
    )


class Step(Model):
    """A phase that was reached."""

    phase: Annotated[Phase, Word] = Field(description="The phase.")
    at: Timestamp = Field(description="When it was reached.")
    message: Text = Field(description="What was seen or done.")


class ReconfigurationStatus(Model):
    """How far the change has come; only the controller writes it."""

    phase: Annotated[Phase, Word] | None = Field(
        None, description="The step reached last, or the end that the change came to."
    )
    started_at: Timestamp | None = Field(None, description="When the first step was taken.")
    deadline: Timestamp | None = Field(None, description="When the present phase must be over.")
    attempt: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How often the layout has been asked for, this time included."
    )
    steps: Annotated[list[Step], Field(max_length=64, json_schema_extra=ATOMIC)] | None = Field(
        None, description="The phases reached, in order, each with its time."
    )
    conditions: Conditions | None = Field(
        None,
        description="Succeeded: Unknown while under way, True at Done, False with a reason at any other end. "
        "LastAttempt: why the last attempt failed. Quarantined: the node is left alone.",
    )
    quarantined_until: Timestamp | None = Field(
        None, description="Until when the node is left alone after this change, which failed."
    )


def _is_the_nodes_nth(change: MigReconfiguration) -> bool:
    prefix = re.escape(change.spec.node.name)
    return re.fullmatch(rf"{prefix}-[1-9][0-9]*", change.metadata.name) is not None


class MigReconfiguration(Model):
    """One change of one node's MIG layout: the plan's command, its approval and how far it has come."""

    # Two planners that number the same change alike get 201 and 409: the name is the fence between them.
    rules: ClassVar = (
        Rule(
            "self.metadata.name.startsWith(self.spec.node.name + '-') && "
            "self.metadata.name.substring(size(self.spec.node.name) + 1).matches('^[1-9][0-9]*$')",
            "metadata.name must be spec.node.name, a dash and the number of the change, counted from 1",
            _is_the_nodes_nth,
        ),
    )

    api_version: Literal["autoslicer.dev/v1alpha1"]
    kind: Literal["MigReconfiguration"]
    metadata: Metadata
    spec: ReconfigurationSpec = Field(description="The plan's command; immutable but for the approval.")
    status: ReconfigurationStatus | None = Field(
        None, description="How far the change has come; only the controller writes it."
    )
