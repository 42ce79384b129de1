"""GPU nodes of which only labels and allocatable are played: mig-manager's run and the plugin's return.

A run pauses a GPU client, offers nothing, and ends with success after a random time. Once our taint is gone
the new slices are offered after a random moment, on no two nodes within less than `APART_SECONDS`.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from tests.cluster.api import Api, ApiError, Mirror, Object
from tests.cluster.nodes import document

BEFORE, AFTER = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-7g.80gb"
"""what a node offers: seven of the one, then one of the other"""
APART_SECONDS = 2.1
PLUGIN_SECONDS = (1.5, 2.5)
"""from the end of the taint to the slices, unless another node's came just before"""
_CLIENT = "nvidia.com/gpu.deploy.dcgm-exporter"


def node(name: str) -> Object:
    """An idle node with one H100 that is cut into seven."""
    labels = {
        "kubernetes.io/hostname": name,
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
        "nvidia.com/mig.config": "all-1g.10gb",
        "nvidia.com/mig.config.state": "success",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.deploy.mig-manager": "true",
        "nvidia.com/gpu.deploy.gpu-feature-discovery": "false",
        _CLIENT: "true",
    }
    made = document(name, labels, "64", "512Gi")
    for kind in ("capacity", "allocatable"):
        made["status"][kind] = {**made["status"][kind], BEFORE: "7"}
    return made


@dataclass
class _Run:
    """Of one node: when its run ends, and when its slices are offered (0: not known yet)."""

    ends: float
    ready: float = 0.0
    succeeded: bool = False
    back: bool = False


class ComingBack:
    """Plays all nodes in a thread of its own.

    Attributes:
        ready: when each node's slices were offered.
    """

    def __init__(self, api: Api, seed: int, longest_run: float) -> None:
        self.ready: dict[str, float] = {}
        self._api, self._chance, self._longest = api, random.Random(seed), longest_run
        self._runs: dict[str, _Run] = {}
        self._last = 0.0
        self._stop = threading.Event()
        self._nodes = Mirror(api, "/api/v1/nodes", lambda: None, self._stop)
        self._thread = threading.Thread(target=self._play, name="coming back", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(5)

    def _play(self) -> None:
        while not self._stop.wait(0.005):
            for found in sorted(self._nodes.objects(), key=lambda found: str(found["metadata"]["name"])):
                try:
                    self._step(found, time.monotonic())
                except (ApiError, OSError):
                    continue  # the node is gone, or is tried again

    def _step(self, found: Object, now: float) -> None:
        name, labels = found["metadata"]["name"], found["metadata"]["labels"]
        if not labels.get("nvidia.com/mig.config", "").startswith("autoslicer-"):
            return
        run = self._runs.get(name)
        if run is None:
            self._label(name, {_CLIENT: "paused-for-mig-change"})
            self._offer(name, {BEFORE: "0"})
            self._runs[name] = _Run(now + self._chance.uniform(0.5, self._longest))
        elif not run.succeeded:
            if now >= run.ends:
                self._label(name, {_CLIENT: "true", "nvidia.com/mig.config.state": "success"})
                run.succeeded = True
        elif not run.back and not found["spec"].get("taints"):
            if not run.ready:
                run.ready = self._last = max(
                    now + self._chance.uniform(*PLUGIN_SECONDS), self._last + APART_SECONDS
                )
            if now >= run.ready:
                self._offer(name, {AFTER: "1"})
                self.ready[name] = time.monotonic()
                run.back = True

    def _label(self, name: str, labels: dict[str, str]) -> None:
        self._api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}})

    def _offer(self, name: str, resources: dict[str, str]) -> None:
        status = {"capacity": resources, "allocatable": resources}
        self._api.patch(f"/api/v1/nodes/{name}/status", {"status": status})
