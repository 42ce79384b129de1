"""MigAutoscalingPolicy: which nodes may be reshaped, when, and how many at a time."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from autoslicer.api.conditions import Conditions
from autoslicer.api.model import Model, Rule
from autoslicer.api.values import (
    ATOMIC,
    Causes,
    Count,
    Deadline,
    Digest,
    Duration,
    LabelKey,
    LabelValue,
    Metadata,
    Namespace,
    NodeCount,
    ObjectName,
    Profile,
    Profiles,
    Schedule,
    Seconds,
    Timestamp,
    Word,
    keyed_by,
)
from autoslicer.core.policy import Eviction, Mode, Weight
from autoslicer.core.reading.policies import MOST_HEADROOM
from autoslicer.core.recovery import MOST_ATTEMPTS
from solver.solution import Status


class Requirement(Model):
    """One requirement of a label selector."""

    rules: ClassVar = (
        Rule(
            "self.operator in ['In', 'NotIn'] ? size(self.values) > 0 : size(self.values) == 0",
            "values must name at least one value for In and NotIn, and none for Exists and DoesNotExist",
            lambda requirement: (requirement.operator in ("In", "NotIn")) == bool(requirement.values),
            ".values",
        ),
    )

    key: LabelKey = Field(description="The label that the requirement is about.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label relates to values: In, NotIn, Exists or DoesNotExist."
    )
    values: Annotated[list[LabelValue], Field(max_length=64, json_schema_extra=ATOMIC)] = Field(
        [], description="The values for In and NotIn; else empty."
    )


class NodeSelector(Model):
    """A label selector over nodes that asks for something."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})
    rules: ClassVar = (
        Rule(
            "size(self.matchLabels) + size(self.matchExpressions) > 0",
            'nodeSelector must ask for something, such as matchLabels {"nvidia.com/mig.capable": "true"}: '
            "an empty one would govern every node",
            lambda selector: bool(selector.match_labels or selector.match_expressions),
        ),
    )

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(
        {}, description="Labels that a node must carry, each with exactly this value."
    )
    match_expressions: Annotated[list[Requirement], Field(max_length=32, json_schema_extra=ATOMIC)] = Field(
        [], description="Requirements that a node must meet, all of them."
    )


class ConfigMapReference(Model):
    """The ConfigMap that holds the generated mig-parted configs."""

    namespace: Namespace = Field("gpu-operator", description="The GPU Operator's namespace.")
    name: ObjectName = Field(
        "autoslicer-mig-parted-config",
        description="The ConfigMap's name; ClusterPolicy's migManager.config.name must be the same.",
    )


class Layouts(Model):
    """Which layouts a plan may give to a GPU, and where they are written."""

    rules: ClassVar = (
        Rule(
            "!self.allowedProfiles.exists(profile, profile in self.deniedProfiles)",
            "deniedProfiles must not name a profile that allowedProfiles names too",
            lambda layouts: not set(layouts.allowed_profiles) & set(layouts.denied_profiles),
            ".deniedProfiles",
        ),
    )

    source: Literal["Generated"] = Field(
        "Generated",
        description="Where layouts come from. Generated: one config a layout, written into configMap.",
    )
    config_map: ConfigMapReference = Field(
        ConfigMapReference(), description="The ConfigMap that generated configs are written into."
    )
    allowed_profiles: Profiles = Field(
        [], description="The only profiles that a changed GPU may get; empty: every profile the GPU has."
    )
    denied_profiles: Profiles = Field([], description="Profiles that a changed GPU must not get.")
    allow_mode_change: bool = Field(
        False,
        description="Whether MIG mode may be switched; it clears every GPU and so asks for an idle node.",
    )


class Trigger(Model):
    """When pods that wait for a slice lead to a plan."""

    rules: ClassVar = (
        Rule(
            "self.batchMaxSeconds >= self.batchIdleSeconds",
            "batchMaxSeconds must be at least batchIdleSeconds",
            lambda trigger: trigger.batch_max_seconds >= trigger.batch_idle_seconds,
            ".batchMaxSeconds",
        ),
    )

    pending_seconds: Seconds = Field(
        30, description="How long a pod must be unschedulable before it counts as demand."
    )
    batch_idle_seconds: Seconds = Field(
        10, description="How long no further pod may come before the ones gathered are planned for together."
    )
    batch_max_seconds: Seconds = Field(60, description="How long pods are gathered at most.")


class Objective(Model):
    """What of several plans is the better one; policies whose nodes can serve a common pod must agree."""

    weight: Annotated[Weight, Word] = Field(
        Weight.REQUESTS,
        description="What a served pod counts for among those of its priority. Requests: one. "
        "Slices: the compute slices that it asks for.",
    )
    starvation_seconds: Seconds = Field(
        3600,
        description="How long after its creation a waiting pod goes before the others of its priority; "
        "0 for never.",
    )


class Budget(Model):
    """A limit on the nodes that are being changed at once."""

    rules: ClassVar = (
        Rule(
            "has(self.schedule) == has(self.duration)",
            "schedule and duration must be given together, or neither of them",
            lambda budget: (budget.schedule is None) == (budget.duration is None),
            ".schedule",
        ),
    )

    nodes: NodeCount = Field(
        description="How many governed nodes may be in a change at once: a number, or a percentage that is "
        "rounded up; 0 lets none start."
    )
    schedule: Schedule | None = Field(
        None,
        description="When the limit begins to count, as a cron schedule in UTC: minute, hour, day of month, "
        "month and day of week, or a word such as @daily. Without it the limit always counts.",
    )
    duration: Duration | None = Field(
        None,
        description="How long the limit counts each time that the schedule comes up: hours and minutes, such "
        "as 8h, 90m or 1h30m.",
    )
    reasons: Causes | None = Field(
        None,
        description="The causes of the changes that are held back; none named: all. Changes of every cause "
        "use the budget up.",
    )


class Reserve(Model):
    """Nodes that are kept for pods which starve, because others always take the slices that get free."""

    after_seconds: Seconds = Field(
        0,
        description="How long after its creation a waiting pod starves, so that a node may be reserved for "
        "it; 0 for never.",
    )
    timeout_seconds: Deadline = Field(
        1200,
        description="How long the pods on the GPUs that the starved ones need may take to end. No other pod "
        "comes to the node meanwhile; after that the node is given back as it was.",
    )
    nodes: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How many of the policy's nodes may be reserved at once."
    )


class Disruption(Model):
    """How much may be disturbed, and for what gain."""

    eviction: Annotated[Eviction, Word] = Field(
        Eviction.NEVER,
        description="WhenServed: running pods of lower priority may be evicted where the same plan has a "
        "place for their replacements; disruption budgets are respected. Never: no pod is.",
    )
    drain_timeout_seconds: Seconds = Field(
        600, description="How long evicted pods may take to leave before the change is given up."
    )
    budgets: Annotated[list[Budget], Field(min_length=1, max_length=16, json_schema_extra=ATOMIC)] = Field(
        [Budget(nodes="10%")], description="Limits; of those that count now the strictest decides."
    )
    canary: bool = Field(
        True,
        description="Whether the first change of a kind of node (GPU model, driver version, mig-manager's "
        "image) must be Done before others of that kind start.",
    )
    cooldown_seconds: Seconds = Field(600, description="How long a node rests after a change that is Done.")
    reserve: Reserve = Field(
        Reserve(),
        description="Whether nodes in use are kept for pods that starve until their GPUs are idle.",
    )
    min_benefit: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How many pods a change of a node must serve at least."
    )


class Headroom(Model):
    """Slices that are to stay free for pods to come."""

    profile: Profile = Field(description="The profile, as NVIDIA spells it.")
    free: Annotated[int, Field(ge=1, le=MOST_HEADROOM)] = Field(
        description="How many slices of it are to be free on the policy's nodes together."
    )


class Idle(Model):
    """What nodes get that nobody has used for long."""

    rules: ClassVar = (
        Rule(
            "self.afterSeconds == 0 || self.config != ''",
            "config must name a config where afterSeconds is not 0",
            lambda idle: not idle.after_seconds or bool(idle.config),
            ".config",
        ),
    )

    after_seconds: Seconds = Field(
        0, description="How long a node must have been idle to get another layout; 0 for never."
    )
    config: LabelValue = Field(
        "", description="The mig-parted config that idle nodes get, such as all-7g.80gb; any that they know."
    )


def _each_once(wanted: list[Headroom]) -> list[Headroom]:
    profiles = [entry.profile for entry in wanted]
    if repeated := sorted({profile for profile in profiles if profiles.count(profile) > 1}):
        raise PydanticCustomError("repeated", "must not name {profile} twice", {"profile": repeated[0]})
    return wanted


class Recovery(Model):
    """What happens to a change that does not come to its end by itself."""

    pending_deadline_seconds: Deadline = Field(
        1800,
        description="How long mig-manager may take to apply a layout, and then the node to show it.",
    )
    max_attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] = Field(
        2, description="How often a layout is asked for at most; after a failure under another name."
    )
    quarantine_seconds: Seconds = Field(
        1800, description="How long a node is left alone after a change that failed."
    )
    delete_operator_pods: bool = Field(
        False,
        description="Whether pods of the GPU Operator that are stuck or tell an old story may be deleted.",
    )


class PolicyRecovery(Recovery):
    """What happens to changes that do not end by themselves, and to layouts that do not stay."""

    repair_drift: bool = Field(
        True,
        description="Whether an idle node whose layout is not as its label asks is given it again, "
        "and with deleteOperatorPods a device plugin or feature discovery that tells an old story restarted.",
    )


class Scheduling(Model):
    """How kube-scheduler is helped to bind pods where they were promised a place."""

    nominate: bool = Field(
        True,
        description="Whether status.nominatedNodeName of the pods that a change serves is set just before "
        "their slices appear, so that no other pod takes them; needs Kubernetes 1.35.",
    )


class PolicySpec(Model):
    """What the user wants."""

    node_selector: NodeSelector = Field(description="The nodes that the policy governs.")
    mode: Annotated[Mode, Word] = Field(
        Mode.RECOMMEND,
        description="Recommend: every MigReconfiguration waits for approval. Auto: none does.",
    )
    suspend: bool = Field(
        False, description="Whether no new change may start; plans go on, a change under way is finished."
    )
    layouts: Layouts = Field(
        Layouts(), description="Which layouts a plan may give to a GPU, and where they are written."
    )
    trigger: Trigger = Field(Trigger(), description="When pods that wait for a slice lead to a plan.")
    objective: Objective = Field(
        Objective(),
        description="What makes a plan the better one; policies that can serve a common pod must agree.",
    )
    disruption: Disruption = Field(Disruption(), description="How much may be disturbed, and for what gain.")
    headroom: Annotated[
        list[Headroom],
        AfterValidator(_each_once),
        Field(max_length=16, json_schema_extra=keyed_by("profile")),
    ] = Field(
        [],
        description="Slices to keep free for pods to come, as far as every pod that waits is served first.",
    )
    idle: Idle = Field(Idle(), description="What nodes get that nobody has used for long.")
    recovery: PolicyRecovery = Field(
        PolicyRecovery(),
        description="What happens to changes that do not end by themselves, and to layouts that do not stay.",
    )
    scheduling: Scheduling = Field(
        Scheduling(),
        description="How kube-scheduler is helped to bind pods where they were promised a place.",
    )


class NodeCounts(Model):
    """The nodes of the policy."""

    governed: Count = Field(description="Nodes that the policy governs.")
    reshaping: Count = Field(description="Nodes that are in a change.")
    quarantined: Count = Field(0, description="Nodes that are left alone after a change that failed.")
    drifted: Count = Field(
        0,
        description="Nodes of which label, mig-manager, agent and device plugin tell different stories.",
    )


class PodCounts(Model):
    """The pods that ask for MIG slices."""

    pending: Count = Field(description="Pods that wait for a slice.")
    lacking: Count = Field(description="Those that no free slice serves.")
    servable: Count = Field(description="Those that the last plan serves by a change of the policy's nodes.")


class LastPlan(Model):
    """The newest plan, in short."""

    digest: Digest = Field(description="Identifies the snapshot that was planned for.")
    time: Timestamp = Field(description="When the plan last came out different.")
    status: Annotated[Status, Word] = Field(
        description="Optimal: proven best. Feasible: within gap of it. Fallback: greedy, the search failed."
    )
    gap: Annotated[float, Field(ge=0, le=1)] = Field(
        description="How far the pods served may be from the best, as a part of it."
    )


class PolicyStatus(Model):
    """What the controller saw; only the controller writes it."""

    observed_generation: Count | None = Field(
        None, description="metadata.generation of the policy that this status was computed from."
    )
    conditions: Conditions | None = Field(
        None,
        description="Ready: the policy is in force. Degraded: so many changes have failed that none starts.",
    )
    nodes: NodeCounts | None = Field(None, description="The nodes of the policy, counted.")
    pods: PodCounts | None = Field(None, description="The pods that ask for MIG slices, counted.")
    last_plan: LastPlan | None = Field(None, description="The newest plan, in short.")


class MigAutoscalingPolicy(Model):
    """Which nodes' MIG layouts may change for pods that wait for a slice, when, and how many at a time."""

    # every change carries the policy's name as a label
    rules: ClassVar = (
        Rule(
            "size(self.metadata.name) <= 63",
            "metadata.name must be at most 63 characters long",
            lambda policy: len(policy.metadata.name) <= 63,
        ),
    )

    api_version: Literal["autoslicer.dev/v1alpha1"]
    kind: Literal["MigAutoscalingPolicy"]
    metadata: Metadata
    spec: PolicySpec = Field(description="What the user wants.")
    status: PolicyStatus | None = Field(
        None, description="What the controller saw; only the controller writes it."
    )
