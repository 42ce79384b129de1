"""A scenario's cluster as a document has it: groups of equal nodes, or the dump of a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from autoslicer.api.model import Model
from autoslicer.api.sentences import shown
from autoslicer.api.values import DNS_LABEL, LabelKey, LabelValue
from autoslicer.core import quantity
from autoslicer.core.names import FOREIGN_PREFIXES
from autoslicer.core.rows import Taint
from simulations.scenario.layouts import possible
from simulations.scenario.scenario import Node
from simulations.scenario.values import (
    File,
    NodeCpu,
    NodeMemory,
    Product,
    Seconds,
    closest,
    repeated,
    rule,
)

MOST_NODES = 10_000
_NAME = re.compile(DNS_LABEL)
_LONGEST_NAME = 63
_OURS = ("nvidia.com/", "kubernetes.io/hostname", *FOREIGN_PREFIXES)
"""labels that the simulator sets as the operator does, or that say that somebody else cuts the GPUs"""


def _free_labels(labels: dict[str, str]) -> dict[str, str]:
    taken = next((key for key in labels if key.startswith(_OURS)), None)
    if taken is not None:
        raise rule(f"{taken} is not for a scenario to set; leave out the labels of GPUs and of host names")
    return labels


def _later(joins: float) -> float | None:
    """Who joins at the start is there from the start."""
    return joins or None


class NodeTaint(Model):
    """A taint that keeps a workload's pods away: they tolerate none."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class NodeGroup(Model):
    """Equal nodes, each with GPUs of one model in one layout, that come and go together."""

    count: Annotated[int, Field(ge=1, le=MOST_NODES)] = Field(1, description="How many such nodes there are.")
    name: str = Field(description="Of the node; of several: name-0, name-1 and so on.")
    product: Product = Field(description="The GPUs, as nvidia.com/gpu.product spells them.")
    gpus: Annotated[int, Field(ge=1, le=32)] = Field(description="How many GPUs each node has.")
    config: str = Field(description="The operator's mig-parted config that every node begins with.")
    cpu: NodeCpu = Field("64", description="What pods can have of each node's cores.")
    memory: NodeMemory = Field("256Gi", description="What pods can have of each node's memory.")
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=64), AfterValidator(_free_labels)] = Field(
        {}, description="Labels besides those that the GPU Operator sets."
    )
    taints: Annotated[list[NodeTaint], Field(max_length=16)] = Field(
        [], description="Taints, which no pod of the workload tolerates."
    )
    agent: bool = Field(True, description="Whether a MigNode tells which GPU of the node a pod uses.")
    joins_at_seconds: Annotated[Seconds, AfterValidator(_later)] | None = Field(
        None,
        description="When each node is there with its slices, in the trace's time; absent: from the start.",
    )
    leaves_at_seconds: Seconds | None = Field(
        None,
        description="When each node is gone with all that runs there, in the trace's time; absent: never.",
    )

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str, info: ValidationInfo) -> str:
        longest = name if info.data.get("count") == 1 else f"{name}-{info.data.get('count', MOST_NODES) - 1}"
        if len(longest) > _LONGEST_NAME or not _NAME.fullmatch(name):
            right = f"lower-case letters, digits and dashes, at most {_LONGEST_NAME} with the node's number"
            raise rule(f"{shown(name)} is no node's name; it must be {right}")
        return name

    @field_validator("config")
    @classmethod
    def _is_possible(cls, config: str, info: ValidationInfo) -> str:
        product = info.data.get("product")
        if product is not None and config not in possible(product):
            near = closest(config, possible(product))
            raise rule(f"{shown(config)} is none of the operator's configs for {product}; some are {near}")
        return config

    @field_validator("leaves_at_seconds")
    @classmethod
    def _is_there_before(cls, leaves: float | None, info: ValidationInfo) -> float | None:
        joins = info.data.get("joins_at_seconds") or 0.0
        if leaves is not None and leaves <= joins:
            since = f"joinsAtSeconds, {joins:.15g}" if joins else "0, for the node is there from the start"
            raise rule(f"{leaves:.15g} is too early; it must be more than {since}")
        return leaves

    @property
    def names(self) -> tuple[str, ...]:
        """Of the nodes."""
        if self.count == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(self.count))

    def all(self) -> Iterator[Node]:
        """The nodes."""
        cpu, memory = quantity.parse("cpu", self.cpu), quantity.parse("memory", self.memory)
        taints = tuple(Taint(taint.key, taint.value, taint.effect) for taint in self.taints)
        for name in self.names:
            yield Node(
                name=name,
                product=self.product,
                gpus=self.gpus,
                config=self.config,
                cpu=cpu,
                memory=memory,
                labels=self.labels,
                taints=taints,
                agent=self.agent,
                joins=self.joins_at_seconds,
                leaves=self.leaves_at_seconds,
            )


class Cluster(Model):
    """Where the pods run."""

    nodes: Annotated[list[NodeGroup], Field(min_length=1, max_length=MOST_NODES)] | None = Field(
        None, description="The nodes, in groups of equal ones."
    )
    snapshot: File | None = Field(
        None, description="A dump of a real cluster, relative to the scenario's file; it stands for nodes."
    )

    @field_validator("nodes")
    @classmethod
    def _are_different(cls, groups: list[NodeGroup] | None) -> list[NodeGroup] | None:
        names = [name for group in groups or () for name in group.names]
        if len(names) > MOST_NODES:
            raise rule(f"there are {len(names)} nodes together; at most {MOST_NODES} are simulated")
        if twice := repeated(names):
            raise rule(f"the node {twice} is there twice; give the groups different names")
        return groups

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.nodes is None) == (self.snapshot is None):
            raise rule("must have either nodes or a snapshot, and not both")
        return self
