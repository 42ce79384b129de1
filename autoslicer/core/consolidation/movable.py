"""Which running pods may be taken to run somewhere else."""

from __future__ import annotations

from autoslicer.core import fitting
from autoslicer.core.evictable import kept
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot


def fixed(snapshot: Snapshot, pod: PodRow) -> str:
    """Why the pod stays where it runs, in words that go on from its name; empty where it may move.

    To the rules of evictions comes that its next place must be certain: nothing about it is unmodelled, and
    of NVIDIA's devices it holds slices only.
    """
    if pod.terminating:
        return "is being deleted"
    if why := kept(snapshot, pod):
        return why
    if pod.unknown:
        return f"has {', '.join(pod.unknown)}, which is not modelled"
    if others := [name for name in fitting.others(pod.requests) if name.startswith("nvidia.com/")]:
        return f"asks for {others[0]}, which is no MIG slice"
    return ""
