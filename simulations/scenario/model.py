"""A scenario as a document has it: the cluster, what is asked of it, and how time passes there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from autoslicer.api.model import Model
from autoslicer.api.policy import PolicySpec
from autoslicer.api.sentences import shown
from autoslicer.core.policy import Mode
from simulations.pace import QUICKEST
from simulations.scenario.cluster import Cluster
from simulations.scenario.values import Part, Seconds, Seed, repeated, rule
from simulations.scenario.workload import Workload

STRATEGIES = ("autoslicer", "static", "first-fit", "best-fit", "nos", "hami", "dra")
"""what a scenario can compare"""


def _known(name: str) -> str:
    if name not in STRATEGIES:
        raise rule(f"{shown(name)} is no strategy; they are {', '.join(STRATEGIES)}")
    return name


Strategy = Annotated[str, AfterValidator(_known)]


class TimingModel(Model):
    """How long things take, and how often they fail."""

    schedule_seconds: Seconds = Field(0.25, description="From what makes a pod schedulable to its binding.")
    apply_seconds: Annotated[Seconds, Field(ge=QUICKEST)] = Field(
        30.0, description="From the label to mig-manager's success; 5 where GPUs are cut at once."
    )
    plugin_seconds: Seconds = Field(
        15.0, description="From a node that takes the device plugin again to slices in allocatable."
    )
    reboot_seconds: Seconds = Field(
        0.0,
        description="How long a node is away that is rebooted to switch the MIG mode of an Ampere GPU;"
        " 0 where such a GPU is reset instead.",
    )
    failure_rate: Part = Field(0.0, description="The part of mig-manager's runs that fail.")


class ScenarioModel(Model):
    """What is simulated."""

    api_version: Literal["autoslicer.dev/v1alpha1"]
    kind: Literal["Scenario"]
    cluster: Cluster = Field(description="Where the pods run.")
    workload: Workload = Field(description="What is asked of the cluster.")
    policy: PolicySpec = Field(description="As a MigAutoscalingPolicy's spec.")
    timing: TimingModel = Field(TimingModel(), description="How long things take, and how often they fail.")
    compare: Annotated[list[Strategy], Field(min_length=1)] = Field(
        ["autoslicer", "static"],
        description="The strategies, each of which meets the same jobs in the same cluster.",
    )
    seed: Seed = Field(1, description="Of everything that is drawn.")

    @field_validator("policy")
    @classmethod
    def _acts(cls, policy: PolicySpec) -> PolicySpec:
        if policy.mode is not Mode.AUTO:
            raise rule("mode must be Auto: nobody approves changes in a simulation")
        return policy

    @field_validator("compare")
    @classmethod
    def _are_different(cls, names: list[str]) -> list[str]:
        if twice := repeated(names):
            raise rule(f"{twice} is there twice; name each strategy once")
        return names
