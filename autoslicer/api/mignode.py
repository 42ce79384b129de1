"""MigNode: what the node agent sees of a node's GPUs, which no label and no resource count can say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from autoslicer.api.model import Model
from autoslicer.api.values import (
    ATOMIC,
    Count,
    GpuUuid,
    Metadata,
    MigUuid,
    PciDevice,
    PodNames,
    Profile,
    Timestamp,
    keyed_by,
)

Mode = Literal["Enabled", "Disabled"]
# No GPU has more memory slices than the twelve of an RTX PRO 6000; see solver.geometry.
MemorySlices = Annotated[int, Field(ge=1, le=12)]
Start = Annotated[int, Field(ge=0, le=11)]


class MigMode(Model):
    """MIG mode of a GPU that has one."""

    current: Mode = Field(description="The mode that is in force.")
    pending: Mode = Field(description="The mode after the next reset of the GPU.")


class GpuProfile(Model):
    """A GPU instance profile that the GPU offers."""

    name: Profile = Field(description="The profile's name.")
    id: Count = Field(description="NVML's id of the profile on this GPU.")
    size: MemorySlices = Field(description="Memory slices that an instance takes.")
    starts: Annotated[list[Start], Field(max_length=12, json_schema_extra=ATOMIC)] = Field(
        description="Memory slices at which an instance may start."
    )
    max_count: Annotated[int, Field(ge=0, le=8)] = Field(description="Instances that an empty GPU can hold.")


class Instance(Model):
    """A GPU instance that exists."""

    profile: Profile = Field(description="The profile that it was created with.")
    start: Start = Field(description="The first memory slice that it takes.")
    size: MemorySlices = Field(description="The memory slices that it takes.")
    uuid: MigUuid | None = Field(
        None, description="The UUID of its MIG device; absent where it has no compute instance."
    )
    pods: PodNames = Field(description="Pods that kubelet has given it to, as namespace/name.")
    processes: Count | None = Field(
        None, description="Processes that run on it; absent where NVML could not say, which counts as in use."
    )


class Gpu(Model):
    """A GPU of the node."""

    index: Count = Field(description="NVML's index of the GPU.")
    uuid: GpuUuid = Field(description="The GPU's UUID.")
    product: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="The GPU's model, spelled as the label nvidia.com/gpu.product."
    )
    pci_device_id: PciDevice = Field(description="PCI device and vendor id, such as 0x233010DE.")
    mig_mode: MigMode | None = Field(None, description="MIG mode; absent where the GPU has none.")
    profiles: Annotated[list[GpuProfile], Field(max_length=32, json_schema_extra=keyed_by("name"))] | None = (
        Field(None, description="Profiles on offer; absent where NVML could not say.")
    )
    instances: Annotated[list[Instance], Field(max_length=8, json_schema_extra=ATOMIC)] = Field(
        description="The GPU instances that exist."
    )


class MigNodeStatus(Model):
    """What the agent saw; only the agent writes it."""

    observed_at: Timestamp = Field(description="When the GPUs were looked at.")
    driver_version: Annotated[str, Field(min_length=1, max_length=32)] = Field(
        description="The NVIDIA driver's version."
    )
    gpus: Annotated[list[Gpu], Field(max_length=32, json_schema_extra=keyed_by("index"))] = Field(
        description="Every GPU of the node."
    )


class MigNode(Model):
    """What the GPUs of the node of the same name hold, as the node's agent sees it."""

    api_version: Literal["autoslicer.dev/v1alpha1"]
    kind: Literal["MigNode"]
    metadata: Metadata
    status: MigNodeStatus | None = Field(None, description="What the agent saw; only the agent writes it.")
