"""The cluster around one change, as rows that move freely: what hypothesis plays with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from autoslicer.core import configs, names, reading
from autoslicer.core.actions import (
    Action,
    AddTaint,
    DeletePod,
    Publish,
    RemoveTaint,
    RestoreClients,
    SetConfig,
    TouchPod,
)
from autoslicer.core.causes import Cause
from autoslicer.core.changes import marks
from autoslicer.core.phases import Phase
from autoslicer.core.policy import Idle
from autoslicer.core.rows import (
    ConfigEntry,
    ConfigMapRow,
    GpuTarget,
    MigNodeRow,
    NodeRow,
    PodRow,
    ReconfigurationRow,
    Taint,
)
from autoslicer.core.snapshot import Snapshot
from tests.build import NOON, Layout, mignode, pod
from tests.core.stages import AFTER, BEFORE, MIG_MANAGER, NODE, discovered, stage

PLUGIN = f"gpu-operator/{names.PLUGIN_APP}-{NODE}"
OPERANDS = (MIG_MANAGER, PLUGIN)
"""the keys of the GPU Operator's pods on the node"""
TARGET, SOURCE = "autoslicer-000000000000", "all-7g.80gb"
LAYOUTS: Mapping[str, list[Layout]] = {
    "before": BEFORE,
    "after": AFTER,
    "nothing": [],
    "emptied": [{}, AFTER[1]],
    "something": [{"2g.20gb": 1}],
}


@dataclass(frozen=True)
class World:
    """The cluster around one change, as it happens to be; every method gives another one.

    `found` is the word for the layout from which the change was planned.
    """

    node: NodeRow | None
    pods: Mapping[str, PodRow]
    config_map: ConfigMapRow | None
    policies: Mapping[str, Any]
    agent: MigNodeRow | None = None
    found: str = "before"

    def snapshot(self, change: ReconfigurationRow) -> Snapshot:
        """The world with the change in it."""
        maps = [] if self.config_map is None else [self.config_map]
        return Snapshot(
            nodes={} if self.node is None else {NODE: self.node},
            pods=self.pods,
            config_maps={(found.namespace, found.name): found for found in maps},
            mignodes={} if self.agent is None else {NODE: self.agent},
            policies=self.policies,
            changes={change.name: change},
        )

    @property
    def taints(self) -> list[str]:
        """The values of our taints on the node."""
        taints = () if self.node is None else self.node.taints
        return [taint.value for taint in taints if taint.key == names.TAINT]

    @property
    def marks(self) -> set[str]:
        """The marks that keep autoscalers away, and the note of those that are ours."""
        annotations = {} if self.node is None else self.node.annotations
        return annotations.keys() & {*names.DO_NOT_DISRUPT, names.MARKS}

    @property
    def busy(self) -> bool:
        """A pod is on the node."""
        return any(row.node == NODE for key, row in self.pods.items() if key not in OPERANDS)

    def with_node(self, **fields: Any) -> World:
        """With these fields of the node, where there is one."""
        return self if self.node is None else replace(self, node=replace(self.node, **fields))

    def labelled(self, labels: Mapping[str, str]) -> World:
        """With these labels on the node as well."""
        return self if self.node is None else self.with_node(labels={**self.node.labels, **labels})

    def annotated(self, config: str) -> World:
        """With our annotation."""
        return self.noted({names.APPLIED_CONFIG: config or None})

    def noted(self, annotations: Mapping[str, str | None]) -> World:
        """With these annotations of the node; None takes one away."""
        if self.node is None:
            return self
        found = {**self.node.annotations, **annotations}
        return self.with_node(annotations={key: value for key, value in found.items() if value is not None})

    def tainted(self, value: str) -> World:
        """With our taint, or without it."""
        return self.with_node(taints=(Taint(names.TAINT, value, "NoSchedule"),) if value else ())

    def with_pod(self, key: str, made: PodRow | None) -> World:
        """With that pod, or without one of that key."""
        others = {other: row for other, row in self.pods.items() if other != key}
        return replace(self, pods=others if made is None else {**others, key: made})

    def touched(self, value: str) -> World:
        """With the annotation on mig-manager's pod, where there is one."""
        manager = self.pods.get(MIG_MANAGER)
        return self if manager is None else self.with_pod(MIG_MANAGER, replace(manager, published=value))

    def holding(self, name: str, entries: tuple[ConfigEntry, ...]) -> World:
        """With that config in the ConfigMap, where there is one."""
        if self.config_map is None:
            return self
        configs = {**(self.config_map.configs or {}), name: entries}
        return replace(self, config_map=replace(self.config_map, configs=configs))

    def offering(self, word: str, *, discovery: bool) -> World:
        """With what the device plugin offers for some layouts, and perhaps what discovery labels then."""
        if self.node is None:
            return self
        other = offers()[self.found if word == "before" else word]
        moved = self.with_node(allocatable=other.allocatable)
        if not discovery:
            return moved
        kept = {key: value for key, value in self.node.labels.items() if not _counts(key)}
        return moved.with_node(labels={**kept, **{k: v for k, v in other.labels.items() if _counts(k)}})

    def obeyed(self, action: Action) -> World:
        """After the action was carried out."""
        match action:
            case AddTaint():
                return self.tainted(action.value).noted(marks.setting(action.marks))
            case RemoveTaint():
                return self.tainted("").noted(marks.removing(action.marks))
            case Publish() if self.config_map is not None:
                held = {**action.configs, **(self.config_map.configs or {})}
                return replace(self, config_map=replace(self.config_map, configs=held))
            case TouchPod():
                return self.touched(action.value)
            case SetConfig():
                pending = {names.MIG_CONFIG: action.config, names.MIG_CONFIG_STATE: "pending"}
                return self.labelled(pending).annotated(action.config)
            case RestoreClients():
                return self.labelled(dict.fromkeys(action.clients, "true"))
            case DeletePod():
                return self.with_pod(f"{action.namespace}/{action.name}", None)
            case _:
                return self


def _counts(label: str) -> bool:
    return label.startswith(names.MIG_RESOURCE_PREFIX) and label.endswith(".count")


@cache
def beginning(here: Phase, cause: Cause = Cause.DEMAND) -> tuple[World, ReconfigurationRow]:
    """The world in which a change of that cause has just entered the phase, and the change."""
    made = stage(here)
    found = made.snapshot
    [config_map] = found.config_maps.values()
    [plain] = found.policies.values()
    world, row = World(found.nodes[NODE], found.pods, config_map, found.policies), made.change
    if cause is Cause.DEMAND:
        return world, row
    row = replace(row, cause=cause, serves=())
    if cause is Cause.DRIFT:
        return _drifted(world, here), replace(row, gpus=_lost(row.gpus))
    wants = {Cause.HEADROOM: {"headroom": (("1g.10gb", 1),)}, Cause.IDLE: {"idle": Idle(600.0, TARGET)}}
    return replace(world, policies={plain.name: replace(plain, **wants[cause])}), row


def _lost(gpus: tuple[GpuTarget, ...]) -> tuple[GpuTarget, ...]:
    """What a change is for that makes anew what its GPUs have lost."""
    return tuple(replace(gpu, before=()) if gpu.changed else gpu for gpu in gpus)


def _drifted(world: World, here: Phase) -> World:
    """The old label means the new layout, and until ours is set the GPUs that are to change are empty."""
    plugin = pod(PLUGIN).labels({"app": names.PLUGIN_APP}).daemon().on(NODE, at=NOON - 3600)
    row = reading.pod(plugin.condition("Ready", "True").raw)
    drifted = replace(world.with_pod(PLUGIN, row), found="emptied")
    drifted = drifted.holding(SOURCE, configs.entries_of(beginning(Phase.WAITING)[1].gpus))
    offers_old = here not in (Phase.LABELLED, Phase.APPLIED, Phase.VERIFIED)
    return drifted.offering("before", discovery=True) if offers_old else drifted


@cache
def offers() -> Mapping[str, NodeRow]:
    """A node with each of the layouts."""
    base = stage(Phase.VERIFIED).objects["node"]
    found = {}
    for word, layouts in LAYOUTS.items():
        found[word] = reading.node(discovered(base.layout(*layouts, name=TARGET), *layouts).raw)
    return found


@cache
def agent(word: str) -> MigNodeRow:
    """What an agent sees."""
    made = mignode(NODE)
    for layout in LAYOUTS[word]:
        made = made.gpu(layout)
    return reading.mig_node(made.raw)


@cache
def walker() -> PodRow:
    """A pod that came to the node past the taint."""
    return reading.pod(pod("team/c").wants({"7g.80gb": 1}).on(NODE).raw)
