"""Builds a virtual cluster: nodes with GPUs and what runs there, our ConfigMap, pods that come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoslicer.core import configs, names
from autoslicer.core.nodes import evidence
from autoslicer.core.policy import Policy
from autoslicer.core.rows import ConfigMapRow, NodeRow, PodRow
from simulations.agent import Agent
from simulations.clock import Clock
from simulations.device_plugin import DevicePlugin, discovered
from simulations.gpu import Gpu
from simulations.kubelet import Kubelet
from simulations.mig_manager import CLIENTS, MigManager
from simulations.scheduler import Scheduler
from simulations.world import World
from solver import geometry
from solver.profile_name import resource_name

START = 1_795_176_000.0
"""2026-11-20T12:00:00Z: when virtual time begins"""
GIB = 1 << 30


@dataclass(slots=True)
class Cluster:
    """A virtual cluster with a scheduler and the policy's ConfigMap, and no node yet.

    Attributes:
        policy: the one that governs it.
        world: its API server and clock.
        gpus: of each node, by name.
        managers: the mig-manager of each node, by name.
    """

    policy: Policy
    world: World = field(default_factory=lambda: World(Clock(START)))
    gpus: dict[str, tuple[Gpu, ...]] = field(default_factory=dict)
    managers: dict[str, MigManager] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.write(self.policy)
        namespace, name = self.policy.config_map
        size = len(configs.render(configs.DEFAULTS).encode())
        self.world.write(ConfigMapRow(namespace, name, "", configs.DEFAULTS, size))
        Scheduler(self.world)

    def add_node(
        self,
        name: str,
        product: str,
        gpus: int,
        config: str,
        *,
        cpu: int = 64,
        memory: int = 256,
        agent: bool = False,
    ) -> None:
        """A node whose GPUs have the layout of one of the operator's configs.

        Args:
            name: of the node.
            product: as `nvidia.com/gpu.product` spells it.
            gpus: how many.
            config: such as `all-7g.80gb`.
            cpu: cores.
            memory: in GiB.
            agent: a node agent reports what it sees.
        """
        model = geometry.by_product(product)
        if model is None:
            raise ValueError(f"no GPU is called {product!r}")
        layouts = configs.resolve(configs.DEFAULTS[config], geometry.pci_ids(product)[:1] * gpus)
        made = tuple(Gpu(name, index, model) for index in range(gpus))
        for gpu in made:
            layout = layouts[gpu.index]
            gpu.set_mode(enabled=layout is not None)
            if layout is not None:
                gpu.cut(layout)
        self.gpus[name] = made
        offered = dict(evidence.promised(gpu.layout for gpu in made))
        capacity = {"cpu": cpu * 1000, "memory": memory * GIB, "pods": 110}
        self.world.write(
            _node(name, discovered(_labels(name, product, gpus, config), made), {**capacity, **offered})
        )
        self._populate(name, made, agent=agent)

    def _populate(self, node: str, gpus: Sequence[Gpu], *, agent: bool) -> None:
        """What runs on a node: kubelet, device plugin, mig-manager and, where it is wanted, our agent."""
        namespace, config_map = self.policy.config_map
        app = names.MIG_MANAGER_APP
        manager = _pod(
            self.world, f"{namespace}/{app}-{node}", {"pods": 1}, 0, app=app, config_map=config_map, on=node
        )
        self.world.write(manager)
        self.managers[node] = MigManager(self.world, node, gpus, manager.key, configs.DEFAULTS)
        Kubelet(self.world, node, gpus, DevicePlugin(self.world, node, gpus))
        if agent:
            Agent(self.world, node, gpus)

    def submit(
        self,
        key: str,
        slices: Mapping[str, int],
        *,
        cpu: int = 0,
        priority: int = 0,
        duration: float | None = None,
    ) -> None:
        """Create a pod now.

        Args:
            key: namespace/name.
            slices: that it asks for, by profile.
            cpu: in thousandths of a core.
            priority: higher ones come first.
            duration: how long it runs (seconds); None for ever.
        """
        requests = {resource_name(profile): amount for profile, amount in slices.items()}
        if duration is not None:
            self.world.durations[key] = duration
        self.world.write(_pod(self.world, key, {"pods": 1, "cpu": cpu, **requests}, priority))


def _labels(name: str, product: str, gpus: int, config: str) -> dict[str, str]:
    """As the GPU Operator and GPU feature discovery set them under the strategy `mixed`."""
    return {
        "kubernetes.io/hostname": name,
        names.MIG_CAPABLE: "true",
        names.MIG_STRATEGY: "mixed",
        names.GPU_PRODUCT: product,
        names.GPU_COUNT: str(gpus),
        names.MIG_CONFIG: config,
        names.MIG_CONFIG_STATE: "success",
        **{f"{names.GPU_DEPLOY_PREFIX}{client}": "true" for client in ("mig-manager", *CLIENTS)},
    }


def _node(name: str, labels: Mapping[str, str], allocatable: Mapping[str, int]) -> NodeRow:
    return NodeRow(
        name=name,
        uid=f"node-{name}",
        resource_version="",
        labels=labels,
        annotations={},
        taints=(),
        unschedulable=False,
        ready=True,
        terminating=False,
        allocatable=allocatable,
    )


def _pod(
    world: World,
    key: str,
    requests: Mapping[str, int],
    priority: int,
    *,
    app: str = "",
    config_map: str = "",
    on: str = "",
) -> PodRow:
    """A pod that was created just now; with a node it runs there already."""
    namespace, _, name = key.partition("/")
    return PodRow(
        namespace=namespace,
        name=name,
        uid=f"pod-{key}",
        created=world.stamp(),
        phase="Running" if on else "Pending",
        node=on,
        terminating=False,
        gated=False,
        scheduler="default-scheduler",
        priority=priority,
        requests={resource: amount for resource, amount in requests.items() if amount},
        selector=(),
        affinity=None,
        tolerations=(),
        nominated="",
        tried=bool(on),
        unschedulable_since=None,
        bound_at=world.stamp() if on else None,
        ignored=False,
        unknown=(),
        hidden_gpu_use=False,
        app=app,
        config_map=config_map,
        ready=bool(on),
        daemon=bool(app),
    )
