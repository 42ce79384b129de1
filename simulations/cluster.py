"""Builds a virtual cluster: nodes with GPUs and what runs there, our ConfigMap, pods that come and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoslicer.core import configs, names
from autoslicer.core.nodes import evidence
from autoslicer.core.policy import Policy
from autoslicer.core.rows import ConfigMapRow, NodeRow, PodRow, Taint
from simulations.agent import Agent
from simulations.clock import Clock
from simulations.device_plugin import DevicePlugin, discovered
from simulations.gpu import Gpu
from simulations.kubelet import Kubelet
from simulations.mig_manager import CLIENTS, MigManager
from simulations.pace import MEASURED, Pace
from simulations.projection import Projection
from simulations.scheduler import Scheduler
from simulations.successor import evict
from simulations.workload.job import Job
from simulations.world import World
from solver import geometry
from solver.profile_name import resource_name

START = 1_795_176_000.0
"""2026-11-20T12:00:00Z: when virtual time begins"""
GIB = 1 << 30


def unbroken(node: str) -> bool:
    """No run fails anywhere."""
    return False


@dataclass(slots=True)
class Cluster:
    """A virtual cluster with a scheduler and the policy's ConfigMap, and no node yet.

    Attributes:
        policy: the one that governs it.
        pace: how long things take there.
        breaks: asked of every run of a mig-manager, by node: whether it fails.
        operated: kube-scheduler, kubelets and what the GPU Operator installs run here; else there are only
            nodes, and somebody else binds and runs the pods.
        world: its API server and clock.
        gpus: of each node that is there or was, by name.
        managers: the mig-manager of each node, by name.
    """

    policy: Policy
    pace: Pace = MEASURED
    breaks: Callable[[str], bool] = unbroken
    operated: bool = True
    world: World = field(default_factory=lambda: World(Clock(START)))
    gpus: dict[str, tuple[Gpu, ...]] = field(default_factory=dict)
    managers: dict[str, MigManager] = field(default_factory=dict)
    file: Projection = field(init=False)

    def __post_init__(self) -> None:
        self.world.write(self.policy)
        namespace, name = self.policy.config_map
        self.file = Projection(self.world, namespace, name)
        size = len(configs.render(configs.DEFAULTS).encode())
        self.world.write(ConfigMapRow(namespace, name, "", configs.DEFAULTS, size))
        if self.operated:
            Scheduler(self.world, self.pace.schedule)

    def add_node(
        self,
        name: str,
        product: str,
        gpus: int,
        config: str,
        *,
        cpu: int = 64_000,
        memory: int = 256 * GIB,
        agent: bool = False,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Taint] = (),
    ) -> None:
        """A node whose GPUs have the layout of one of the operator's configs.

        Args:
            name: of the node.
            product: as `nvidia.com/gpu.product` spells it.
            gpus: how many.
            config: such as `all-7g.80gb`.
            cpu: in thousandths of a core.
            memory: in bytes.
            agent: a node agent reports what it sees.
            labels: beside those that the operator and the kubelet set.
            taints: that somebody has put there.
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
        capacity = {"cpu": cpu, "memory": memory, "pods": 110}
        told = {**(labels or {}), **discovered(_labels(name, product, gpus, config), made)}
        self.world.write(_node(name, told, tuple(taints), {**capacity, **offered}))
        if self.operated:
            self._populate(name, made, agent=agent)

    def remove_node(self, name: str) -> None:
        """The node is gone at once, with its agent's MigNode and with the pods there that have not ended.

        Their controllers make others, but for those of DaemonSets.
        """
        world = self.world
        world.delete(world.nodes[name])
        if (seen := world.mignodes.get(name)) is not None:
            world.delete(seen)
        for pod in [pod for pod in world.pods.values() if pod.node == name and not pod.finished]:
            if pod.daemon:
                world.delete(pod)
            else:
                evict(world, pod)

    def _populate(self, node: str, gpus: Sequence[Gpu], *, agent: bool) -> None:
        """What runs on a node: kubelet, device plugin, mig-manager and, where it is wanted, our agent."""
        namespace, config_map = self.policy.config_map
        manager = daemon(self.world, namespace, names.MIG_MANAGER_APP, config_map, node)
        self.world.write(manager)
        self.managers[node] = MigManager(
            self.world, node, gpus, manager.key, self.file, self.pace, lambda: self.breaks(node)
        )
        Kubelet(self.world, node, gpus, DevicePlugin(self.world, node, gpus, self.pace))
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
        self.admit(Job(key, 0.0, duration, {"cpu": cpu, **requests}, priority))

    def admit(self, job: Job) -> None:
        """Create the pod of a job now, whenever it was to arrive."""
        if job.duration is not None:
            self.world.durations[job.pod] = job.duration
        made = _pod(self.world, job.pod, {"pods": 1, **job.requests}, job.priority)
        self.world.write(replace(made, ends=job.duration is not None))


def daemon(world: World, namespace: str, app: str, config_map: str, node: str) -> PodRow:
    """A pod of one of the operator's DaemonSets, which runs on the node."""
    key = daemon_key(namespace, app, node)
    return _pod(world, key, {"pods": 1}, 0, app=app, config_map=config_map, on=node)


def daemon_key(namespace: str, app: str, node: str) -> str:
    """Of such a pod."""
    return f"{namespace}/{app}-{node}"


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


def _node(
    name: str, labels: Mapping[str, str], taints: tuple[Taint, ...], allocatable: Mapping[str, int]
) -> NodeRow:
    return NodeRow(
        name=name,
        uid=f"node-{name}",
        resource_version="",
        labels=labels,
        annotations={},
        taints=taints,
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
        uid=world.uid(key),
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
