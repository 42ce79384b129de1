"""A solution in the words of the cluster: which node gets which config, for which pods, and in what order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import is_

from autoslicer.core import configs
from autoslicer.core.causes import Cause
from autoslicer.core.nodes import evidence
from autoslicer.core.plan import Reshape
from autoslicer.core.planning.problem import Posed
from autoslicer.core.planning.sites import Site
from autoslicer.core.policy import Policy
from autoslicer.core.rows import ConfigEntry, ConfigMapRow, GpuTarget
from autoslicer.core.snapshot import Snapshot
from solver.known import Known, Occupied
from solver.problem import Pod
from solver.solution import By, Eviction


@dataclass(frozen=True, slots=True)
class Made:
    """A node's reshape with what it was made from, its config's entries and its place in the order."""

    site: Site
    occupied: Occupied
    held: ConfigMapRow | None
    reshape: Reshape
    entries: tuple[ConfigEntry, ...]
    precedence: tuple[object, ...]


def reshapes(snapshot: Snapshot, posed: Posed, known: Known, before: Mapping[str, Made]) -> dict[str, Made]:
    """The reshapes of a solution by node, in the order in which they are to be carried out.

    Those that evict nobody come first, for they may make the places to which the others' pods go. Of them
    those that serve more pods of the most important rank come first, then of the next; then those that change
    fewer GPUs; then by name.

    Args:
        snapshot: the cluster.
        posed: the problem.
        known: its solution.
        before: what this function returned; what was made from the same is taken from there.
    """
    changing = {name: occupied for name, occupied in known.nodes.items() if occupied.changes}
    # the known order first: where nothing has changed it is the right one
    names = [*(name for name in before if name in changing), *(changing.keys() - before.keys())]
    found = [
        _made(snapshot, posed, known.pods, name, changing[name], known.solution.evictions, before.get(name))
        for name in names
    ]
    if len(found) == len(before) and all(map(is_, found, before.values())):
        return dict(before)
    return {made.reshape.node: made for made in sorted(found, key=lambda made: made.precedence)}


def _made(
    snapshot: Snapshot,
    posed: Posed,
    pods: Mapping[str, Pod],
    name: str,
    occupied: Occupied,
    evictions: tuple[Eviction, ...],
    before: Made | None,
) -> Made:
    site = posed.sites.by_name[name]
    assert isinstance(site.policy, Policy), "only a node that one policy governs is changed"
    assert site.assessment is not None
    held = snapshot.config_maps.get(site.policy.config_map)
    if before is not None and before.site is site and before.occupied is occupied and before.held is held:
        return before
    layouts = {change.gpu: change.layout for change in occupied.changes}
    gpus = tuple(
        GpuTarget(gpu.index, gpu.layout, layouts.get(gpu.index, gpu.layout), gpu.index in layouts)
        for gpu in site.assessment.gpus
    )
    serves = sorted(pod for pod, by in occupied.pods.items() if by is By.RESHAPE)
    source, entries = evidence.config(site.row), configs.entries_of(gpus)
    target = target_name(held, source, entries)
    # what serves nobody can only be for slices that are to stay free
    cause = Cause.DEMAND if serves else Cause.HEADROOM
    leaving = [row for row in evictions if row.node == name]
    away = [row for row in leaving if row.to != name]
    after = {row.to for row in away if row.by is By.RESHAPE}
    reshape = Reshape(
        name,
        site.policy.name,
        source,
        target,
        gpus,
        tuple(serves),
        tuple(row.pod for row in leaving),
        cause,
        tuple(sorted(after)),
        tuple(sorted({row.to for row in away})),
    )
    return Made(site, occupied, held, reshape, entries, _precedence(pods, reshape))


def target_name(row: ConfigMapRow | None, source: str, entries: tuple[ConfigEntry, ...]) -> str:
    """The content's name; another where the label has that value already or the name has another content."""
    held = {} if row is None or row.configs is None else row.configs
    variant = 0
    while (name := configs.config_name(entries, variant)) == source or held.get(name, entries) != entries:
        variant += 1
    return name


def _precedence(pods: Mapping[str, Pod], reshape: Reshape) -> tuple[object, ...]:
    """What sorts it among all others; a rank of which it serves nobody counts as none of it."""
    served = Counter(pods[key].rank for key in reshape.serves)
    ranks = ((-rank.priority, -rank.starved, -count) for rank, count in sorted(served.items(), reverse=True))
    return (
        bool(reshape.evictions),
        (*ranks, (math.inf, 0, 0)),
        sum(gpu.changed for gpu in reshape.gpus),
        reshape.node,
    )
