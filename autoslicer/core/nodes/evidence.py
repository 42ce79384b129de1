"""What a node's labels and allocatable, and its MigNode, say about mig-manager's run and its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from autoslicer.core import names
from autoslicer.core.rows import GpuTarget, MigNodeRow, NodeRow
from solver.problem import Counts, counts


def config(node: NodeRow) -> str:
    """The value of `nvidia.com/mig.config`, or empty."""
    return node.labels.get(names.MIG_CONFIG, "")


def state(node: NodeRow) -> str:
    """The value of `nvidia.com/mig.config.state`, or empty."""
    return node.labels.get(names.MIG_CONFIG_STATE, "")


def settled(node: NodeRow) -> bool:
    """mig-manager is not in the middle of a run."""
    return state(node) not in ("pending", "rebooting")


def rebooting(node: NodeRow) -> bool:
    """mig-manager waits for a reboot of the node, and goes on by itself afterwards."""
    return state(node) == "rebooting"


def paused(node: NodeRow) -> tuple[str, ...]:
    """The `nvidia.com/gpu.deploy.*` labels that mig-manager has paused, sorted.

    An admin's "false" is none of them.
    """
    return tuple(
        sorted(
            key
            for key, value in node.labels.items()
            if key.startswith(names.GPU_DEPLOY_PREFIX) and value.startswith("paused")
        )
    )


def left_paused(node: NodeRow) -> tuple[str, ...]:
    """Those of the paused labels that mig-manager has paused, sorted; a driver upgrade pauses others."""
    return tuple(key for key in paused(node) if node.labels[key] == names.PAUSED)


def resting(node: NodeRow) -> bool:
    """mig-manager is not in the middle of a run, and none of its GPU clients is away."""
    return settled(node) and not paused(node)


def advertised(node: NodeRow) -> Counts:
    """What the device plugin offers now, by resource name.

    Zero entries do not count: a real node keeps them for profiles that vanished.
    """
    return counts(
        (resource, amount)
        for resource, amount in node.allocatable.items()
        if resource.startswith(names.MIG_RESOURCE_PREFIX) or resource == names.GPU_RESOURCE
    )


def promised(layouts: Iterable[Counts | None]) -> Counts:
    """What a node with these GPU layouts offers under the strategy `mixed`, by resource name.

    A GPU without MIG is one `nvidia.com/gpu`.
    """
    total: Counter[str] = Counter()
    for layout in layouts:
        if layout is None:
            total[names.GPU_RESOURCE] += 1
        else:
            for profile, amount in layout:
                total[names.MIG_RESOURCE_PREFIX + profile.replace("+", ".")] += amount
    return counts(total)


def before(gpus: Iterable[GpuTarget]) -> Counts:
    """What the node offered before the change, by resource name."""
    return promised(gpu.before for gpu in gpus)


def after(gpus: Iterable[GpuTarget]) -> Counts:
    """What the node offers once the change is verified, by resource name."""
    return promised(gpu.after for gpu in gpus)


def discovered(node: NodeRow) -> Counts | None:
    """The slices that GPU feature discovery has labelled, by resource name.

    None where it is switched off on this node.
    """
    if node.labels.get(f"{names.GPU_DEPLOY_PREFIX}gpu-feature-discovery") == "false":
        return None
    found = {
        key.removesuffix(".count"): int(value)
        for key, value in node.labels.items()
        if key.startswith(names.MIG_RESOURCE_PREFIX)
        and key.endswith(".count")
        and value.isascii()
        and value.isdigit()
    }
    return counts(found)


def shows(mignode: MigNodeRow, gpus: Iterable[GpuTarget]) -> bool:
    """The agent's reading has exactly the layouts that the change promised, GPU by GPU."""
    seen = {
        gpu.index: counts(Counter(instance.profile for instance in gpu.instances))
        if gpu.mig_enabled
        else None
        for gpu in mignode.gpus
    }
    return seen == {gpu.index: gpu.after for gpu in gpus}
