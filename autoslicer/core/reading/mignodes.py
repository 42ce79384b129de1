"""MigNodes and DRA ResourceSlices, as the core reads them: what others say about a node's GPUs."""

from __future__ import annotations

from autoslicer.core.fields import Fields, root
from autoslicer.core.rows import InstanceRow, MigGpuRow, MigNodeRow, NvmlProfile, ResourceSliceRow

UNKNOWN_PROCESSES = -1


def mig_node(obj: object) -> MigNodeRow:
    """The row of a MigNode; one without a status was observed never and lists no GPU.

    Raises:
        ValueError: a field has a type or value that the schema does not allow.
    """
    top = root(obj, "MigNode")
    status = top.fields("status")
    gpus = sorted((_gpu(gpu) for gpu in status.each("gpus")), key=lambda gpu: gpu.index)
    if [gpu.index for gpu in gpus] != list(range(len(gpus))):
        raise ValueError(f"{top.what}: status.gpus must have the indices 0 to {len(gpus) - 1}")
    return MigNodeRow(
        name=top.fields("metadata").required("name"),
        observed=status.time("observedAt") or 0.0,
        driver=status.text("driverVersion"),
        gpus=tuple(gpus),
    )


def _gpu(gpu: Fields) -> MigGpuRow:
    mode = gpu.fields("migMode")
    current, pending = mode.text("current", "Disabled"), mode.text("pending", "Disabled")
    for name, value in (("current", current), ("pending", pending)):
        if value not in ("Enabled", "Disabled"):
            raise ValueError(f"{mode.what}: {mode.at(name)} must be Enabled or Disabled")
    return MigGpuRow(
        index=gpu.count("index"),
        uuid=gpu.text("uuid"),
        product=gpu.required("product"),
        pci=gpu.text("pciDeviceId"),
        mig_enabled=current == "Enabled",
        profiles=tuple(
            NvmlProfile(
                name=profile.required("name"),
                id=profile.count("id"),
                size=profile.count("size"),
                starts=profile.integers("starts"),
                max_count=profile.count("maxCount"),
            )
            for profile in gpu.each("profiles")
        ),
        instances=tuple(
            InstanceRow(
                profile=instance.required("profile"),
                start=instance.count("start"),
                size=instance.count("size"),
                uuid=instance.text("uuid"),
                pods=instance.texts("pods"),
                processes=instance.count("processes") if instance.has("processes") else UNKNOWN_PROCESSES,
            )
            for instance in gpu.each("instances")
        ),
        mode_settled=current == pending,
    )


def resource_slice(obj: object) -> ResourceSliceRow:
    """The row of a resource.k8s.io ResourceSlice.

    Raises:
        ValueError: a field has a type that no API server would accept.
    """
    top = root(obj, "ResourceSlice")
    spec = top.fields("spec")
    return ResourceSliceRow(
        top.fields("metadata").required("name"), spec.required("driver"), spec.text("nodeName")
    )
