"""How long things take in the virtual cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds.

    Attributes:
        schedule: from what makes a pod schedulable to its binding.
        apply: from the label to mig-manager's success; at least `QUICKEST`.
        plugin: from a node that takes the device plugin's pod again to slices in allocatable.
        reboot: how long a node is away when mig-manager reboots it to switch the MIG mode of an Ampere GPU
            (its WITH_REBOOT); 0 where such a GPU can be reset instead. Newer ones need neither.
    """

    schedule: float
    apply: float
    plugin: float
    reboot: float = 0.0


QUICKEST = 5.0
"""a run of mig-manager 0.13.1 with GPUs that are cut at once, as measured: it waits for its paused clients"""
MEASURED = Pace(schedule=0.02, apply=QUICKEST, plugin=6.0)
"""as it was measured with such GPUs; drivers of real ones take longer"""
