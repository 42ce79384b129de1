"""How a node's GPUs are cut now: what the agent saw or the config says, where allocatable agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product as combinations

from autoslicer.core import configs, names
from autoslicer.core.fitting import slices
from autoslicer.core.nodes import evidence, gpu_operator
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ConfigEntry, MigGpuRow, MigNodeRow, NodeRow
from autoslicer.core.snapshot import Snapshot
from solver import geometry
from solver.geometry import Geometry
from solver.problem import Counts, Gpu, counts

MOST_GPUS = 32
"""more GPUs than any node has; a larger count is a mistake"""
_LARGEST = 32
"""NVML reports no profile with more memory units, places or instances"""


def present(snapshot: Snapshot, node: NodeRow, mignode: MigNodeRow | None) -> tuple[Gpu, ...] | Verdict:
    """Every GPU with its geometry and layout, none of them changeable yet; or why that is not known.

    Args:
        snapshot: the cluster.
        node: a node under `mig.strategy=mixed`.
        mignode: what its agent saw, where that can be believed.
    """
    geometries = hardware(node, mignode)
    if isinstance(geometries, Verdict):
        return geometries
    if (unsettled := _unsettled(node, mignode)) is not None:
        return unsettled
    found = _configured(snapshot, node, len(geometries)) if mignode is None else _Readings((_seen(mignode),))
    if isinstance(found, Verdict):
        return found
    offered = evidence.advertised(node)
    agreeing = sorted(
        {layouts for layouts in found.layouts if evidence.promised(layouts) == offered}, key=repr
    )
    if not agreeing:
        source = "the config" if mignode is None else "the agent"
        wanted = " or ".join(sorted({_written(evidence.promised(layouts)) for layouts in found.layouts}))
        message = f"{source} says {wanted}, but allocatable says {_written(offered)}"
        return Verdict(node.name, Reason.LayoutDrift, message)
    if len(agreeing) > 1:
        return Verdict(
            node.name, Reason.LayoutUnknown, f"{evidence.config(node)} can be read in several ways"
        )
    return _gpus(node, geometries, agreeing[0])


@dataclass(frozen=True, slots=True)
class _Readings:
    """What the GPUs may hold, one reading after the other: a layout for each GPU."""

    layouts: tuple[tuple[Counts | None, ...], ...]


def agrees(node: NodeRow, mignode: MigNodeRow) -> bool:
    """The agent sees exactly what the node offers."""
    return bool(mignode.gpus) and evidence.promised(_seen(mignode)) == evidence.advertised(node)


def _gpus(
    node: NodeRow, geometries: Sequence[Geometry], layouts: Sequence[Counts | None]
) -> tuple[Gpu, ...] | Verdict:
    for index, (model, layout) in enumerate(zip(geometries, layouts, strict=True)):
        if layout is not None and not model.legal(layout):
            message = f"GPU {index} holds {_written(layout)}, which the table of {model.model} does not allow"
            return Verdict(node.name, Reason.UnknownGeometry, message)
    return tuple(
        Gpu(index, model, layout, changeable=False)
        for index, (model, layout) in enumerate(zip(geometries, layouts, strict=True))
    )


def hardware(node: NodeRow, mignode: MigNodeRow | None) -> tuple[Geometry, ...] | Verdict:
    """What each GPU of the node can be cut into, by index; or why that is not known."""
    product, count = node.labels.get(names.GPU_PRODUCT, ""), node.labels.get(names.GPU_COUNT, "")
    if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST_GPUS):
        return Verdict(
            node.name, Reason.UnknownGeometry, f"{names.GPU_COUNT} is {count!r}, not a number of GPUs"
        )
    if mignode is None:
        model = geometry.by_product(product, frozenset(slices(node.allocatable)))
        if model is None:
            message = f"the geometry of {names.GPU_PRODUCT} {product!r} with its profiles is not known"
            return Verdict(node.name, Reason.UnknownGeometry, message)
        return (model,) * int(count)
    found: list[Geometry] = []
    for gpu in mignode.gpus:
        reported = _reported(gpu)
        if reported is None:
            message = f"the geometry of GPU {gpu.index}, {gpu.product}, is not known"
            return Verdict(node.name, Reason.UnknownGeometry, message)
        found.append(reported)
    return tuple(found)


def _unsettled(node: NodeRow, mignode: MigNodeRow | None) -> Verdict | None:
    """What makes a reading of the layout worthless."""
    if not evidence.config(node):
        return Verdict(node.name, Reason.LayoutUnknown, f"{names.MIG_CONFIG} is absent: there is no way back")
    if mignode is None:
        return None
    waiting = [gpu.index for gpu in mignode.gpus if not gpu.mode_settled]
    if waiting:
        return Verdict(node.name, Reason.LayoutUnknown, f"the MIG mode of GPU {waiting[0]} waits for a reset")
    count = node.labels[names.GPU_COUNT]
    if len(mignode.gpus) == int(count):
        return None
    message = f"the agent sees {len(mignode.gpus)} GPUs, but {names.GPU_COUNT} is {count}"
    return Verdict(node.name, Reason.LayoutDrift, message)


def _reported(gpu: MigGpuRow) -> Geometry | None:
    """What NVML says the GPU can hold, else the table."""
    if not gpu.profiles:
        return geometry.by_product(gpu.product, frozenset(instance.profile for instance in gpu.instances))
    sizes = ((p.size, p.max_count, len(p.starts), *p.starts) for p in gpu.profiles)
    if max(len(gpu.profiles), *(max(size) for size in sizes)) > _LARGEST:
        return None
    rows = (
        {"name": p.name, "id": p.id, "size": p.size, "starts": p.starts, "maxCount": p.max_count}
        for p in gpu.profiles
    )
    try:
        return geometry.from_nvml(gpu.product, rows)
    except ValueError:
        return None


def _seen(mignode: MigNodeRow) -> tuple[Counts | None, ...]:
    return tuple(
        counts(Counter(instance.profile for instance in gpu.instances)) if gpu.mig_enabled else None
        for gpu in mignode.gpus
    )


def _configured(snapshot: Snapshot, node: NodeRow, gpus: int) -> _Readings | Verdict:
    """What the config that the label names gives to the GPUs.

    A device filter asks for a PCI id, of which a product may have several; each of them gives a reading.
    """
    name = evidence.config(node)
    if evidence.state(node) != "success":
        state = evidence.state(node) or "absent"
        return Verdict(node.name, Reason.LayoutUnknown, f"{names.MIG_CONFIG_STATE} is {state}")
    if next(_entries(snapshot, node, name), None) is None:
        return Verdict(node.name, Reason.LayoutUnknown, f"no ConfigMap of the operator has the config {name}")
    try:
        readings = _resolved(snapshot, node, name, gpus)
    except ValueError as error:
        return Verdict(node.name, Reason.LayoutUnknown, f"{name}: {error}")
    if not readings:
        return Verdict(node.name, Reason.LayoutUnknown, f"the config {name} does not speak of every GPU")
    return _Readings(tuple(readings))


def meanings(snapshot: Snapshot, node: NodeRow, name: str, gpus: int) -> set[tuple[Counts | None, ...]]:
    """What a config's name may mean for the node's GPUs, by index; empty where it is not known."""
    try:
        return _resolved(snapshot, node, name, gpus)
    except ValueError:
        return set()


def _resolved(snapshot: Snapshot, node: NodeRow, name: str, gpus: int) -> set[tuple[Counts | None, ...]]:
    readings: set[tuple[Counts | None, ...]] = set()
    pcis = geometry.pci_ids(node.labels.get(names.GPU_PRODUCT, "")) or ("",)
    for entries, pci in combinations(sorted(set(_entries(snapshot, node, name)), key=repr), pcis):
        layouts = configs.resolve(entries, (pci,) * gpus)
        if len(layouts) == gpus:
            readings.add(tuple(layouts[index] for index in range(gpus)))
    return readings


def _entries(snapshot: Snapshot, node: NodeRow, name: str) -> Iterator[tuple[ConfigEntry, ...]]:
    """What a config's name means: in the ConfigMap that mig-manager mounts, else by the operator's own.

    A ConfigMap in any other namespace is a tenant's and is never believed.
    """
    pod = gpu_operator.mig_manager(snapshot, node.name)
    believed = gpu_operator.namespaces(snapshot, node.name)
    held = {
        key: row.configs[name]
        for key, row in snapshot.config_maps.items()
        if key[0] in believed and row.configs is not None and name in row.configs
    }
    mounted = None if pod is None else held.get((pod.namespace, pod.config_map))
    if mounted is not None:
        yield mounted
    elif pod is None and held:
        yield from held.values()
    elif name in configs.DEFAULTS:
        yield configs.DEFAULTS[name]


def _written(layout: Iterable[tuple[str, int]]) -> str:
    parts = [f"{count} x {name.removeprefix(names.MIG_RESOURCE_PREFIX)}" for name, count in layout]
    return " + ".join(parts) or "nothing"
