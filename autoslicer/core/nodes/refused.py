"""Layouts that a driver has refused on idle GPUs, or emptied them for: not planned again for its kind.

That is read from the changes that are kept, so that deleting the object of such a change allows its layout
again, and so does another driver. Where GPUs of one change got different layouts nobody can tell which of
them was refused, and none is planned again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autoslicer.core.nodes import kinds
from autoslicer.core.phases import SUCCEEDED, Phase, condition, phase
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, Gpu

_REFUSED = frozenset({Reason.LayoutRefused, Reason.LayoutCleared})
_ENDS = frozenset({Phase.ROLLED_BACK, Phase.QUARANTINED})


def by_kind(snapshot: Snapshot) -> dict[str, frozenset[Counts]]:
    """The layouts that were refused, by the GPU model and driver of the node, and mig-manager's image."""
    found: dict[str, frozenset[Counts]] = {}
    for change in snapshot.changes.values():
        if change.kind and refused(change):
            made = {gpu.after for gpu in change.gpus if gpu.changed and gpu.after is not None}
            found[change.kind] = found.get(change.kind, frozenset()) | made
    return found


def refused(change: ReconfigurationRow) -> bool:
    """The change ended because the driver would not make its layout."""
    if phase(change) not in _ENDS:
        return False
    why = condition(change.status, SUCCEEDED)
    return why is not None and why.reason in _REFUSED


def of_node(snapshot: Snapshot, node: NodeRow, known: Mapping[str, frozenset[Counts]]) -> frozenset[Counts]:
    """The layouts that are not planned on this node; another mig-manager changes nothing about them."""
    if not known:
        return frozenset()
    hardware = kinds.hardware(snapshot, node)
    alike = (layouts for kind, layouts in known.items() if f"{kind} ".startswith(f"{hardware} "))
    return frozenset[Counts]().union(*alike)


def without(gpus: tuple[Gpu, ...], layouts: frozenset[Counts]) -> tuple[Gpu, ...]:
    """The GPUs, none of which can be cut into these layouts."""
    if all(gpu.geometry.refused == layouts for gpu in gpus):
        return gpus
    return tuple(replace(gpu, geometry=gpu.geometry.refusing(layouts)) for gpu in gpus)
