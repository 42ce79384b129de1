"""The virtual node agent: what it sees of a node's GPUs, as a MigNode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from autoslicer.core import names
from autoslicer.core.rows import InstanceRow, MigGpuRow, MigNodeRow, NodeRow, PodRow
from simulations.gpu import Gpu
from simulations.world import Row, World
from solver import geometry

PERIOD_SECONDS = 60.0
"""from one look to the next where nothing changes"""
LOOK_SECONDS = 2.0
"""from a change on the node to the look that shows it"""


@dataclass(slots=True)
class Agent:
    """Looks at the GPUs of one node now and then, and after every change of the node or of a pod on it."""

    world: World
    node: str
    gpus: Sequence[Gpu]
    _planned: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.world.watch(self._notice)
        self.world.clock.every(PERIOD_SECONDS, self._look)
        self._look()

    def _notice(self, old: Row | None, new: Row | None) -> None:
        row = new or old
        here = (isinstance(row, NodeRow) and row.name == self.node) or (
            isinstance(row, PodRow) and row.node == self.node
        )
        if here and not self._planned:
            self._planned = True
            self.world.clock.after(LOOK_SECONDS, self._look_closely)

    def _look_closely(self) -> None:
        self._planned = False
        self._look()

    def _look(self) -> None:
        product = self.world.nodes[self.node].labels[names.GPU_PRODUCT]
        rows = tuple(self._seen(gpu, product) for gpu in self.gpus)
        self.world.write(MigNodeRow(self.node, self.world.stamp(), "580.95.05", rows))

    def _seen(self, gpu: Gpu, product: str) -> MigGpuRow:
        instances = tuple(
            InstanceRow(
                profile=instance.profile,
                start=instance.start,
                size=instance.size,
                uuid=instance.uuid,
                pods=(instance.holder,) if instance.holder else (),
                processes=1 if instance.holder else 0,
            )
            for instance in gpu.instances or ()
        )
        pci = geometry.pci_ids(product)[0]
        return MigGpuRow(gpu.index, gpu.uuid, product, pci, gpu.instances is not None, (), instances)
