"""The virtual node agent: what it sees of a node's GPUs, as a MigNode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from autoslicer.core import names
from autoslicer.core.rows import InstanceRow, MigGpuRow, MigNodeRow, NodeRow, PodRow
from simulations.gpu import PROCESS, Gpu
from simulations.world import Row, World
from solver import geometry

PERIOD_SECONDS = 60.0
"""from one look to the next where nothing changes"""
LOOK_SECONDS = 2.0
"""from a change on the node to the look that shows it"""


@dataclass(slots=True)
class Agent:
    """Looks at the GPUs of one node now and then, and after every change of the node or of a pod on it.

    While the node is away it sees nothing; that the node is back is a change of it.

    Attributes:
        known: what it has seen before, for one that goes on; driver and profiles are taken from there.
    """

    world: World
    node: str
    gpus: Sequence[Gpu]
    known: MigNodeRow | None = None
    _planned: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.world.watch(self._notice, self.node)
        self.world.before_reading.append(self._beat)
        if self.known is None:
            self._look()
        else:
            self._planned = True
            self.world.on_node(self.node, LOOK_SECONDS, self._look_closely)

    def _beat(self) -> None:
        """What it saw is as new as its last look at the latest; between changes all looks see the same."""
        row, node = self.world.mignodes.get(self.node), self.world.nodes.get(self.node)
        if row is None or node is None or not node.ready:
            return
        if (looks := (self.world.clock.now - row.observed) // PERIOD_SECONDS) > 0:
            observed = row.observed + looks * PERIOD_SECONDS
            self.world.mignodes[self.node] = MigNodeRow(row.name, observed, row.driver, row.gpus)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        if isinstance(new or old, NodeRow | PodRow) and not self._planned:
            self._planned = True
            self.world.on_node(self.node, LOOK_SECONDS, self._look_closely)

    def _look_closely(self) -> None:
        self._planned = False
        if self.world.nodes[self.node].ready:
            self._look()

    def _look(self) -> None:
        rows = tuple(self._seen(gpu) for gpu in self.gpus)
        driver = "580.95.05" if self.known is None else self.known.driver
        self.world.write(MigNodeRow(self.node, self.world.stamp(), driver, rows))

    def _seen(self, gpu: Gpu) -> MigGpuRow:
        instances = tuple(
            InstanceRow(
                profile=instance.profile,
                start=instance.start,
                size=instance.size,
                uuid=instance.uuid,
                pods=(instance.holder,) if instance.holder not in ("", PROCESS) else (),
                processes=1 if instance.holder else 0,
            )
            for instance in gpu.instances or ()
        )
        if self.known is not None:
            enabled = gpu.instances is not None
            return replace(self.known.gpus[gpu.index], mig_enabled=enabled, instances=instances)
        product = self.world.nodes[self.node].labels[names.GPU_PRODUCT]
        pci = geometry.pci_ids(product)[0]
        return MigGpuRow(gpu.index, gpu.uuid, product, pci, gpu.instances is not None, (), instances)
