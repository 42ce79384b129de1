"""The virtual device plugin and GPU feature discovery of a node: gone while paused, back a little later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoslicer.core import names
from autoslicer.core.nodes import evidence
from autoslicer.core.rows import NodeRow
from simulations.gpu import Gpu
from simulations.mig_manager import TOLERATED
from simulations.pace import MEASURED, Pace
from simulations.world import Row, World

STOP_SECONDS = 1.0
"""from the paused label to a pod that is gone"""
DISCOVERY_SECONDS = 1.5
"""from then to the labels of GPU feature discovery"""


@dataclass(slots=True)
class DevicePlugin:
    """Offers the GPU instances of one node to its kubelet, while its DaemonSet's pod runs there.

    The pod goes when `nvidia.com/gpu.deploy.device-plugin` is not "true". It cannot be scheduled again under
    a taint that the DaemonSet does not tolerate, ours included. While it is away the kubelet offers no slice.
    It ends with a node that goes away, and comes again after it.
    """

    world: World
    node: str
    gpus: Sequence[Gpu]
    pace: Pace = MEASURED
    running: bool = True
    _moving: bool = False

    def __post_init__(self) -> None:
        self.world.watch(self._notice, self.node)
        self._notice(None, self.world.nodes[self.node])

    def _notice(self, old: Row | None, new: Row | None) -> None:
        if isinstance(new, NodeRow) and not new.ready:
            self.running = False
        elif isinstance(new, NodeRow) and not self._moving and self._wanted() != self.running:
            self._moving = True
            seconds = STOP_SECONDS if self.running else self.pace.plugin
            self.world.on_node(self.node, seconds, self._move)

    def _wanted(self) -> bool:
        """Whether the pod should be there; a taint keeps it from coming and does not drive it away."""
        node = self.world.nodes[self.node]
        if not node.ready:
            return self.running
        deployed = node.labels.get(f"{names.GPU_DEPLOY_PREFIX}device-plugin") == "true"
        barred = any(not taint.key.startswith(TOLERATED) for taint in node.taints)
        return deployed and (self.running or not barred)

    def _move(self) -> None:
        self._moving = False
        if self._wanted() == self.running:
            return
        self.running = not self.running
        node = self.world.nodes[self.node]
        offered = dict(evidence.promised(gpu.layout for gpu in self.gpus)) if self.running else {}
        # a kubelet keeps the names of devices that vanished, at zero
        known = {name: 0 for name in node.allocatable if name.startswith("nvidia.com/")}
        self.world.write(replace(node, allocatable={**node.allocatable, **known, **offered}))
        if self.running:
            self.world.on_node(self.node, DISCOVERY_SECONDS, self._discover)

    def _discover(self) -> None:
        if self.running:
            node = self.world.nodes[self.node]
            self.world.write(replace(node, labels=discovered(node.labels, self.gpus)))


def discovered(labels: Mapping[str, str], gpus: Iterable[Gpu]) -> dict[str, str]:
    """The node's labels with the slices as GPU feature discovery counts them."""
    kept = {key: value for key, value in labels.items() if not key.startswith(names.MIG_RESOURCE_PREFIX)}
    found = evidence.promised(gpu.layout for gpu in gpus)
    slices = {f"{name}.count": str(n) for name, n in found if name.startswith(names.MIG_RESOURCE_PREFIX)}
    return kept | slices
