"""A virtual mig-manager: the real one's order, times and traps (nvidia-mig-manager 0.13.1, as measured)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from autoslicer.core import configs, names
from autoslicer.core.nodes import evidence
from autoslicer.core.rows import ConfigMapRow, NodeRow, PodRow
from simulations.gpu import Gpu, NvmlError
from simulations.pace import MEASURED, Pace
from simulations.projection import Projection
from simulations.successor import evict
from simulations.world import Row, World
from solver import geometry
from solver.problem import Counts

CLIENTS = ("device-plugin", "gpu-feature-discovery", "dcgm-exporter", "dcgm", "nvsm")
"""the GPU clients that it pauses, as its labels `nvidia.com/gpu.deploy.*` call them"""
NOTICE_SECONDS = 0.1
"""from the label to its informer"""
VALIDATE_SECONDS = 0.4
"""reading the file and asking for the present layout"""
RESTART_SECONDS = 0.5
"""from the layout to success"""
POD_SECONDS = 2.0
"""from a deleted pod to the one that the DaemonSet makes after it"""
TOLERATED = ("nvidia.com/gpu", "node.kubernetes.io/")
"""the taints that the pods of the operator's DaemonSets tolerate"""
AMPERE = ("A100", "A30")
"""begin the names of the models whose MIG mode takes effect only after a reset of the GPU, and outlasts it"""
TOUCH_SECONDS = 1.0
"""from a write to its pod to the kubelet's sync of the file"""


def never() -> bool:
    """No run fails."""
    return False


class Trap(StrEnum):
    """What ends a run without a word; the state stays pending and the clients stay paused."""

    BEFORE = "before"
    """pods may not be listed, the API server is away for a moment, or a client's pod stays: nothing is cut"""
    AFTER = "after"
    """pods may not be deleted: the layout is there already"""


@dataclass(slots=True)
class MigManager:
    """Gives the GPUs of one node the layout that its label names, as far as its file knows the name.

    It starts when the label's value changes and never because the ConfigMap does. A value that comes while it
    works is taken up after the run, and those between are skipped. It looks at no pod. Success comes before
    the device plugin is back, and after a first success a run that fails leaves the clients paused. Its pod,
    when it was deleted, comes again as soon as no taint keeps it away and the node is ready, with a process
    that knows nothing: it reads the ConfigMap anew and applies the label that is there. Until its first run
    that applies a layout a process gives the clients back at every end, also where there was nothing to do.

    Attributes:
        file: the ConfigMap that the kubelet projects into its pod.
        pace: how long a run takes.
        breaks: told of each run that is about to cut; whether it fails there instead.
        trap: what every run falls into, while it is set.
    """

    world: World
    node: str
    gpus: Sequence[Gpu]
    pod: str
    file: Projection
    pace: Pace = MEASURED
    breaks: Callable[[], bool] = never
    trap: Trap | None = None
    _taken: str = field(init=False)
    _busy: bool = False
    _succeeded: bool = False
    _life: int = 0
    _gone: PodRow | None = None
    _read: ConfigMapRow | None = None

    def __post_init__(self) -> None:
        self._taken = evidence.config(self.world.nodes[self.node])
        self._project()
        self.world.watch(self._notice, self.node)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        match old, new:
            case NodeRow(), NodeRow(name=self.node) if evidence.config(old) != evidence.config(new):
                self.world.on_node(self.node, NOTICE_SECONDS, self._begin)
            case PodRow(), PodRow(key=self.pod) if old.published != new.published:
                self.world.on_node(self.node, TOUCH_SECONDS, self._project)
            case PodRow(key=self.pod), None:
                self._die(old)
        if self._gone is not None and isinstance(new, NodeRow) and new.name == self.node:
            self.world.on_node(self.node, POD_SECONDS, self._return)

    def _die(self, pod: PodRow) -> None:
        """Its pod is gone, and whatever the process was about ends."""
        self._gone, self._busy, self._succeeded, self._life = pod, False, False, self._life + 1
        self.world.on_node(self.node, POD_SECONDS, self._return)

    def _return(self) -> None:
        """The DaemonSet makes another pod, where no taint that it does not tolerate keeps it away."""
        node = self.world.nodes[self.node]
        barred = any(not taint.key.startswith(TOLERATED) for taint in node.taints)
        if self._gone is None or barred or not node.ready:
            return
        pod, self._gone = self._gone, None
        uid, now = self.world.uid(pod.key), self.world.stamp()
        self.world.write(replace(pod, uid=uid, created=now, bound_at=now, published=""))
        self._project()
        self.restart()

    def restart(self) -> None:
        """Take up the label that is there, as a process does that has just started."""
        self._taken = ""
        self._begin()

    def _project(self) -> None:
        self._read = self.file.current()

    def _begin(self) -> None:
        node = self.world.nodes[self.node]
        wanted = evidence.config(node)
        if not self._busy and self._gone is None and node.ready and wanted != self._taken:
            self._taken, self._busy = wanted, True
            self._after(VALIDATE_SECONDS, self._validate)

    def _after(self, seconds: float, step: Callable[[], None]) -> None:
        """Take the step of the run that is under way, unless its process is gone by then."""
        life = self._life
        self.world.on_node(self.node, seconds, lambda: step() if life == self._life else None)

    def _validate(self) -> None:
        entries = self.file.shown(self._read).get(self._taken)
        if entries is None:
            self._fail()
            return
        pci = next(iter(geometry.pci_ids(self.world.nodes[self.node].labels[names.GPU_PRODUCT])), "")
        layouts = configs.resolve(entries, [pci] * len(self.gpus))
        if layouts == {gpu.index: gpu.layout for gpu in self.gpus}:
            self._end("success")
            return
        self._label(state="pending", clients=names.PAUSED)
        if self.trap is Trap.BEFORE:
            self._after(VALIDATE_SECONDS, self._fall)
        else:
            self._after(self._shutdown, lambda: self._apply(layouts))

    @property
    def _shutdown(self) -> float:
        """Seconds in which it waits for the paused clients: what the other parts of a run leave of it."""
        return self.pace.apply - NOTICE_SECONDS - VALIDATE_SECONDS - RESTART_SECONDS

    def _fall(self) -> None:
        """The run is over, and nobody is told."""
        self._busy = False
        self._begin()

    def _apply(self, layouts: Mapping[int, Counts | None]) -> None:
        chosen = [gpu for gpu in self.gpus if gpu.index in layouts]
        if self.breaks():
            self._fail()
            return
        switched = [gpu for gpu in chosen if (gpu.layout is None) != (layouts[gpu.index] is None)]
        if self.pace.reboot and any(gpu.geometry.model.startswith(AMPERE) for gpu in switched):
            self._reboot(layouts)
            return
        try:
            if switched:
                for gpu in chosen:
                    gpu.set_mode(enabled=layouts[gpu.index] is not None)
            for gpu in chosen:
                wanted = layouts[gpu.index]
                if wanted is not None and wanted != gpu.layout:
                    gpu.cut(wanted)
        except NvmlError:
            self._fail()
            return
        self._after(RESTART_SECONDS, self._fall if self.trap is Trap.AFTER else self._succeed)

    def _reboot(self, layouts: Mapping[int, Counts | None]) -> None:
        """The node goes with all that runs there and no GPU keeps an instance; MIG mode is switched then."""
        world = self.world
        self._label(state="rebooting")
        for pod in [pod for pod in world.pods.values() if pod.node == self.node and not pod.finished]:
            if not pod.daemon:
                evict(world, pod)
        for gpu in self.gpus:
            for instance in gpu.instances or ():
                # a process, or a DaemonSet's pod, which stays: a reboot stops whoever has the instance
                instance.holder = ""
            wanted = layouts.get(gpu.index, gpu.layout)
            gpu.set_mode(enabled=wanted is not None)
        world.write(replace(world.nodes[self.node], ready=False))
        self._busy, self._succeeded, self._life = False, False, self._life + 1
        world.on_node(self.node, self.pace.reboot, self._come_back)

    def _come_back(self) -> None:
        self.world.write(replace(self.world.nodes[self.node], ready=True))
        self.restart()

    def _succeed(self) -> None:
        self._label(clients="true")
        self._succeeded = True
        self._end("success")

    def _fail(self) -> None:
        self._end("failed")

    def _end(self, state: str) -> None:
        self._busy = False
        if not self._succeeded:
            self._label(clients="true")
        self._label(state=state)
        self._begin()

    def _label(self, *, state: str = "", clients: str = "") -> None:
        """Set the labels that are its own; a client that an admin has switched off stays so."""
        node = self.world.nodes[self.node]
        labels = dict(node.labels)
        if state:
            labels[names.MIG_CONFIG_STATE] = state
        for key in (f"{names.GPU_DEPLOY_PREFIX}{client}" for client in CLIENTS if clients):
            if labels.get(key) != "false":
                labels[key] = clients
        self.world.write(replace(node, labels=labels))
