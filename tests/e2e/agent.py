"""A node agent for tests: reports what the fake NVML shows, with the pods that hold its instances."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from autoslicer.core.times import rfc3339
from tests.cluster.fixture import Cluster


class Agent:
    """Keeps a node's MigNode fresh while the context lasts; `holders` has the pods by (GPU, instance id)."""

    def __init__(self, cluster: Cluster, node: str, holders: Mapping[tuple[int, int], Sequence[str]]) -> None:
        self._cluster, self._node, self._holders = cluster, node, holders
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Agent:
        self.create()
        self._thread.start()
        return self

    def create(self) -> None:
        """Make the node's MigNode, with a first report."""
        body = {"apiVersion": "autoslicer.dev/v1alpha1", "kind": "MigNode", "metadata": {"name": self._node}}
        self._cluster.api.create("/apis/autoslicer.dev/v1alpha1/mignodes", body)
        self.report()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.report()

    def report(self) -> None:
        """Write what NVML shows now."""
        path = f"/apis/autoslicer.dev/v1alpha1/mignodes/{self._node}/status"
        status = {"observedAt": rfc3339(time.time()), "driverVersion": "580.95.05", "gpus": self._gpus()}
        self._cluster.api.patch(path, {"status": status})

    def _gpus(self) -> list[dict[str, Any]]:
        gpus = self._cluster.played.nodes[self._node].gpus
        found = []
        for index, enabled in enumerate(gpus.mig_enabled()):
            mode = "Enabled" if enabled else "Disabled"
            instances = [
                {
                    "profile": i.profile,
                    "start": i.start,
                    "size": i.size,
                    "uuid": i.uuid,
                    "pods": list(self._holders.get((i.gpu, i.id), ())),
                    "processes": int(i.busy),
                }
                for i in gpus.instances()
                if i.gpu == index
            ]
            found.append(
                {
                    "index": index,
                    "uuid": f"GPU-0fa4e000-{index:04x}-4000-8000-000000000000",
                    "product": gpus.product,
                    "pciDeviceId": gpus.pci,
                    "migMode": {"current": mode, "pending": mode},
                    "instances": instances,
                }
            )
        return found
