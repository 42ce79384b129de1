"""A virtual cluster as a dump of a real one shows it, with the pods that run and wait there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from autoslicer.core import configs, names
from autoslicer.core.nodes import evidence, gpu_operator, idleness
from autoslicer.core.phases import live
from autoslicer.core.policy import Policy
from autoslicer.core.rows import ConfigEntry, ConfigMapRow, GpuTarget, NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from simulations import hardware
from simulations.agent import Agent
from simulations.arrivals import joins
from simulations.clock import Clock
from simulations.cluster import START, Cluster, daemon, daemon_key, unbroken
from simulations.device_plugin import DevicePlugin
from simulations.gpu import PROCESS, Gpu
from simulations.kubelet import START_SECONDS, Kubelet
from simulations.mig_manager import MigManager
from simulations.pace import MEASURED, Pace
from simulations.scheduler.informer import NAME
from simulations.world import World

GRACE_SECONDS = 30.0
"""Kubernetes' default: a pod that was being deleted is gone so long after the start"""
_PLUGIN = f"{names.GPU_DEPLOY_PREFIX}device-plugin"


class Note(NamedTuple):
    """What is otherwise here than in a dump, as a phrase that follows a count of several, and of one."""

    several: str
    one: str


@dataclass(slots=True)
class Restored:
    """A cluster from a dump.

    Attributes:
        cluster: as it is at the newest moment that the dump speaks of.
        notes: what is otherwise here than in the dump, or not known: of how many objects.
        running: pods that ask for slices and run already.
        waiting: pods that ask for slices and wait.
    """

    cluster: Cluster
    notes: Counter[Note] = field(default_factory=Counter)
    running: int = 0
    waiting: int = 0


_OTHER_CONFIG = Note(
    "nodes whose config means something else to the policy's ConfigMap",
    "node whose config means something else to the policy's ConfigMap",
)
_GETS_MANAGER = Note("nodes without a mig-manager get one", "node without a mig-manager gets one")
_READS_POLICYS = Note(
    "mig-managers read the policy's ConfigMap here", "mig-manager reads the policy's ConfigMap here"
)


def restore(
    snapshot: Snapshot,
    policy: Policy,
    pace: Pace = MEASURED,
    breaks: Callable[[str], bool] = unbroken,
    *,
    operated: bool = True,
) -> Restored:
    """The cluster of a dump, under another policy.

    Nodes, pods that have not ended, agents, changes and ConfigMaps are there as they were. A node whose
    layout the core does not believe, or that is not under `mixed`, takes pods with what it offers and is
    never cut.

    Args:
        snapshot: the dump.
        policy: that governs; those of the dump do not.
        pace: how long things take.
        breaks: see `Cluster`.
        operated: see `Cluster`.
    """
    world = World(Clock(snapshot.newest or START))
    world.resource_slices, world.obscured = snapshot.resource_slices, snapshot.obscured
    found = Restored(Cluster(policy, pace, breaks, operated, world))
    _Restoring(snapshot, found).run()
    return found


@dataclass(slots=True)
class _Restoring:
    """Carries a dump over, one kind after the other: what comes later reads what was written before."""

    snapshot: Snapshot
    found: Restored
    configs: dict[str, tuple[ConfigEntry, ...]] = field(default_factory=dict)
    adopted: dict[str, PodRow] = field(default_factory=dict)

    def run(self) -> None:
        world, snapshot = self.found.cluster.world, self.snapshot
        for node in snapshot.nodes.values():
            made = hardware.gpus(snapshot, node, world.clock.now)
            if made is not None:
                self.found.cluster.gpus[node.name] = made
            world.write(self._node(node))
        self._managers()
        for change in snapshot.changes.values():
            world.write(replace(change, policy=self.found.cluster.policy.name) if live(change) else change)
        for row in snapshot.mignodes.values():
            world.write(row)
        for pod in snapshot.pods.values():
            if not pod.finished:
                self._pod(self.adopted.get(pod.key, pod))
        for key in sorted(self.adopted.keys() - snapshot.pods.keys()):
            world.write(self.adopted[key])
        if self.found.cluster.operated:
            for name in snapshot.nodes:
                self._operate(name)
        self._note()

    def _node(self, node: NodeRow) -> NodeRow:
        """A node that offers slices has a device plugin, whoever deploys it."""
        paused = node.labels.get(_PLUGIN) == names.PAUSED
        if node.name not in self.found.cluster.gpus or paused:
            return node
        return replace(node, labels={**node.labels, _PLUGIN: "true"})

    def _managers(self) -> None:
        """Every node that can be cut has a mig-manager, which reads the policy's ConfigMap where it may.

        What a config's name means to a mig-manager it goes on to mean; where two differ, the first counts.
        """
        snapshot, cluster = self.snapshot, self.found.cluster
        own = snapshot.config_maps.get(cluster.policy.config_map)
        self.configs.update((own and own.configs) or {})
        for name, gpus in cluster.gpus.items():
            pod, label = gpu_operator.mig_manager(snapshot, name), evidence.config(snapshot.nodes[name])
            held = self._mounted(pod)
            for config, entries in held.items():
                self.configs.setdefault(config, entries)
            meant = held.get(label) or configs.DEFAULTS.get(label) or _entries(gpus)
            if label and self.configs.setdefault(label, meant) != meant and pod is not None:
                self.found.notes[_OTHER_CONFIG] += 1
                continue
            self._redirect(name, pod)
        for config, entries in configs.DEFAULTS.items():
            self.configs.setdefault(config, entries)
        for key, row in snapshot.config_maps.items():
            if key != cluster.policy.config_map:
                cluster.world.write(row)
        namespace, name = cluster.policy.config_map
        size = len(configs.render(self.configs).encode()) if own is None else own.size
        cluster.world.write(ConfigMapRow(namespace, name, "", self.configs, size))

    def _mounted(self, pod: PodRow | None) -> dict[str, tuple[ConfigEntry, ...]]:
        row = None if pod is None else self.snapshot.config_maps.get((pod.namespace, pod.config_map))
        return dict((row and row.configs) or {})

    def _redirect(self, node: str, pod: PodRow | None) -> None:
        """Let the node's mig-manager read the policy's ConfigMap."""
        cluster, notes = self.found.cluster, self.found.notes
        namespace, config_map = cluster.policy.config_map
        if pod is None:
            made = daemon(cluster.world, namespace, names.MIG_MANAGER_APP, config_map, node)
            self.adopted[made.key] = made
            notes[_GETS_MANAGER] += 1
        elif (pod.namespace, pod.config_map) != (namespace, config_map):
            self.adopted[pod.key] = replace(pod, config_map=config_map)
            notes[_READS_POLICYS] += 1

    def _pod(self, pod: PodRow) -> None:
        world = self.found.cluster.world
        world.write(pod)
        if pod.terminating:
            world.clock.after(GRACE_SECONDS, lambda: self._end(pod))
        elif pod.node and pod.phase == "Pending":
            world.clock.after(START_SECONDS, lambda: self._start(pod))

    def _end(self, deleted: PodRow) -> None:
        pod = self._same(deleted)
        if pod is not None:
            self.found.cluster.world.delete(pod)

    def _same(self, before: PodRow) -> PodRow | None:
        """The pod as it is now; None once it is gone, whoever has its name."""
        pod = self.found.cluster.world.pods.get(before.key)
        return pod if pod is not None and pod.uid == before.uid else None

    def _start(self, bound: PodRow) -> None:
        world = self.found.cluster.world
        pod = self._same(bound)
        if pod is not None and not pod.finished:
            world.write(replace(pod, phase="Running", ready=True))

    def _operate(self, node: str) -> None:
        """What runs on the node goes on."""
        cluster = self.found.cluster
        world, gpus = cluster.world, cluster.gpus.get(node)
        if gpus is None:
            Kubelet(world, node, (), None)
            return
        row = world.nodes[node]
        promised = evidence.promised(gpu.layout for gpu in gpus)
        running = bool(evidence.advertised(row)) or not promised
        Kubelet(world, node, gpus, DevicePlugin(world, node, gpus, cluster.pace, running))
        pod = gpu_operator.mig_manager(self.snapshot, node)
        namespace = cluster.policy.config_map[0]
        key = daemon_key(namespace, names.MIG_MANAGER_APP, node) if pod is None else pod.key
        manager = MigManager(world, node, gpus, key, cluster.file, cluster.pace, lambda: cluster.breaks(node))
        cluster.managers[node] = manager
        if not evidence.settled(row):
            manager.restart()
        agent = idleness.believed(self.snapshot, node, world.clock.now)
        if agent is not None:
            Agent(world, node, gpus, agent)

    def _note(self) -> None:
        """Count what is otherwise here than in the dump."""
        snapshot, notes, gpus = self.snapshot, self.found.notes, self.found.cluster.gpus
        waiting = [pod for pod in snapshot.pods.values() if not pod.node and pod.phase == "Pending"]
        asking = [pod for pod in waiting if idleness.asks_gpu(pod) and not pod.terminating]
        counted = {
            Note("malformed objects are left out", "malformed object is left out"): len(snapshot.skipped),
            Note(
                "policies do not count; the scenario's does", "policy does not count; the scenario's does"
            ): len(snapshot.policies),
            Note(
                "GPU nodes are never cut, for their layout is not known",
                "GPU node is never cut, for its layout is not known",
            ): sum(
                names.GPU_PRODUCT in row.labels and name not in gpus for name, row in snapshot.nodes.items()
            ),
            Note(
                "GPU instances are held by processes of no pod, until their node reboots",
                "GPU instance is held by a process of no pod, until its node reboots",
            ): sum(
                one.holder == PROCESS
                for found in gpus.values()
                for gpu in found
                for one in gpu.instances or ()
            ),
            Note(
                "changes are under way, which only autoslicer ends",
                "change is under way, which only autoslicer ends",
            ): sum(map(live, snapshot.changes.values())),
            Note(
                f"pods are being deleted; they are gone after {GRACE_SECONDS:.0f} s",
                f"pod is being deleted; it is gone after {GRACE_SECONDS:.0f} s",
            ): sum(pod.terminating and not pod.finished for pod in snapshot.pods.values()),
            Note(
                "waiting pods are scheduled without their constraints that are not simulated",
                "waiting pod is scheduled without its constraints that are not simulated",
            ): sum(bool(pod.unknown) for pod in asking),
            Note(
                "waiting pods are another scheduler's, or gated, and stay",
                "waiting pod is another scheduler's, or gated, and stays",
            ): sum(pod.gated or pod.scheduler != NAME for pod in asking),
        }
        notes.update({note: count for note, count in counted.items() if count})
        slices = [pod for pod in snapshot.pods.values() if joins(pod)]
        self.found.running = sum(bool(pod.node) for pod in slices)
        self.found.waiting = len(slices) - self.found.running


def _entries(gpus: tuple[Gpu, ...]) -> tuple[ConfigEntry, ...]:
    """The config that gives the GPUs the layouts that they have."""
    return configs.entries_of(GpuTarget(gpu.index, gpu.layout, gpu.layout, changed=False) for gpu in gpus)
