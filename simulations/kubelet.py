"""The virtual kubelet of a node: it admits bound pods, gives them GPU instances, and ends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoslicer.core.actions import Report
from autoslicer.core.fitting import slices
from autoslicer.core.rows import PodRow
from simulations.device_plugin import DevicePlugin
from simulations.gpu import Gpu, Instance
from simulations.world import Row, World

ADMIT_SECONDS = 0.05
START_SECONDS = 0.5
"""from admission to Running, the image being there"""


@dataclass(slots=True)
class Kubelet:
    """Runs the pods that are bound to one node.

    A pod whose slices are not there when it is admitted (the device plugin is away, or has fewer) ends Failed
    with UnexpectedAdmissionError, and nobody tries it again.

    Attributes:
        plugin: offers the instances of the GPUs; None where nothing is known of them, and whoever is bound to
            the node has what it offers.
    """

    world: World
    node: str
    gpus: Sequence[Gpu]
    plugin: DevicePlugin | None

    def __post_init__(self) -> None:
        self.world.watch(self._notice, self.node)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        match old, new:
            case (None | PodRow(node=""), PodRow(node=self.node, phase="Pending")):
                self.world.clock.after(ADMIT_SECONDS, lambda: self._admit(new))
            case (PodRow(node=self.node), None):
                self._release(old.key)

    def _admit(self, bound: PodRow) -> None:
        pod = self._same(bound)
        if pod is None:
            return
        found = self._given(pod)
        if found is None:
            message = "Allocate failed due to no healthy devices present, which is unexpected"
            event = Report(
                "Pod", pod.namespace, pod.name, pod.uid, "Warning", "UnexpectedAdmissionError", message
            )
            self.world.report(event)
            self.world.write(replace(pod, phase="Failed"))
            return
        for instance in found:
            instance.holder = pod.key
        self.world.clock.after(START_SECONDS, lambda: self._start(pod))

    def _given(self, pod: PodRow) -> list[Instance] | None:
        """What the pod gets; None where that is not there."""
        if self.plugin is None or not slices(pod.requests):
            return []
        return self._free(pod) if self.plugin.running else None

    def _same(self, known: PodRow) -> PodRow | None:
        """The pod as it is now; None where it is gone, or another one of its name has come."""
        pod = self.world.pods.get(known.key)
        return pod if pod is not None and pod.uid == known.uid else None

    def _free(self, pod: PodRow) -> list[Instance] | None:
        """Instances that nobody holds, one for each slice asked for; None where there are too few."""
        found: list[Instance] = []
        for profile, amount in slices(pod.requests).items():
            free = [
                instance
                for gpu in self.gpus
                for instance in gpu.instances or ()
                if instance.profile == profile and not instance.holder
            ]
            if len(free) < amount:
                return None
            found += free[:amount]
        return found

    def _start(self, admitted: PodRow) -> None:
        pod = self._same(admitted)
        if pod is None:
            return
        self.world.write(replace(pod, phase="Running", ready=True))
        if pod.key in self.world.durations:
            self.world.clock.after(self.world.durations[pod.key], lambda: self._finish(admitted))

    def _finish(self, started: PodRow) -> None:
        pod = self._same(started)
        if pod is not None:
            self._release(pod.key)
            self.world.write(replace(pod, phase="Succeeded", ready=False))

    def _release(self, key: str) -> None:
        for gpu in self.gpus:
            for instance in gpu.instances or ():
                if instance.holder == key:
                    instance.holder = ""
