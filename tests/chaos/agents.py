"""Node agents for some nodes of a fleet, which outlive outages of the API server and know who holds what."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import urllib3

from tests.chaos.history import slices
from tests.chaos.recorder import PODS
from tests.chaos.scene import Scene
from tests.cluster.api import ApiError
from tests.e2e.agent import Agent


class Agents:
    """Reports every half a second for each of `nodes`."""

    def __init__(self, scene: Scene, nodes: Sequence[str]) -> None:
        self._scene, self._nodes = scene, nodes
        self._holders: dict[str, dict[tuple[int, int], list[str]]] = {node: {} for node in nodes}
        self._agents = {node: Agent(scene.cluster, node, self._holders[node]) for node in nodes}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)

    def __enter__(self) -> Agents:
        for agent in self._agents.values():
            agent.create()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            for node, agent in self._agents.items():
                # a machine that is being replaced has no GPUs for a moment, and the API server may be away
                try:
                    self._assign(node)
                    agent.report()
                except (ApiError, OSError, urllib3.exceptions.HTTPError, KeyError):
                    continue

    def _assign(self, node: str) -> None:
        """Give each pod of the node instances of its profiles that nobody holds, as a kubelet does."""
        holders, gpus = self._holders[node], self._scene.cluster.played.nodes[node].gpus
        running = {
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": slices(pod)
            for pod in self._scene.recorder.objects(PODS)
            if pod["spec"].get("nodeName") == node and pod["status"].get("phase") == "Running"
        }
        present = {(found.gpu, found.id): found.profile.replace("+", ".") for found in gpus.instances()}
        for instance, pods in list(holders.items()):
            if instance not in present or pods[0] not in running:
                del holders[instance]
        held = [pods[0] for pods in holders.values()]
        for key, wanted in running.items():
            if key in held:
                continue
            for profile, count in wanted.items():
                free = [i for i, found in present.items() if found == profile and i not in holders]
                holders.update({instance: [key] for instance in free[:count]})
                self._scene.held.setdefault(key, set()).update((node, *instance) for instance in free[:count])
