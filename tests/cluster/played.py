"""What hardware, kubelets and the GPU Operator would do, played against the real API server.

Everything that is played is here and in the modules that this one names:

* kubelet (`kubelet.py`): bound pods run, deletions finish, a pod bound while its slices are away fails
  admission, ConfigMaps reach files;
* device plugin and GPU feature discovery (`plugin.py`): alive on a node only while the pods of their real
  DaemonSets run there;
* the Operator's labeller (`plugin.py`): an absent or blank `nvidia.com/mig.config` becomes all-disabled;
* the Operator where ClusterPolicy names another ConfigMap (`operator.py`): mig-manager's pods mount that one;
* the GPU (`gpus.py`, `fakenvml/`): instances, placement and refusals.

mig-manager and mig-parted are the real ones (`mig_manager.py`).
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from tests.cluster import operator
from tests.cluster.api import Api, ApiError, Mirror, Object
from tests.cluster.gpus import Gpus
from tests.cluster.kubelet import Kubelet, Projection
from tests.cluster.mig_manager import MigManager
from tests.cluster.plugin import Plugin, label_blank_node


@dataclass
class Knobs:
    """How slow or broken the played parts are.

    Attributes:
        projection_seconds: how long a kubelet takes to bring a changed ConfigMap into a running pod's file.
        touch_seconds: the same after the pod was touched.
        plugin_seconds: from the plugin's pod running to its resources being advertised.
        discovery_seconds: from GPU feature discovery's pod running to its labels.
        plugin_returns: the plugin advertises something at all.
        mig_manager: the real mig-manager is started where its pod runs.
    """

    projection_seconds: float = 60.0
    touch_seconds: float = 0.2
    plugin_seconds: float = 0.5
    discovery_seconds: float = 0.0
    plugin_returns: bool = True
    mig_manager: bool = True


@dataclass
class PlayedNode:
    """One GPU node: its GPUs and what runs on it."""

    name: str
    gpus: Gpus
    plugin: Plugin
    mig_manager: MigManager
    projections: dict[str, Projection] = field(default_factory=dict)


class Played:
    """One thread that plays every part, woken by changes and five times a second."""

    def __init__(self, api: Api, directory: Path, dbus: Path, account: Path) -> None:
        self.api, self.directory, self.knobs = api, directory, Knobs()
        self.nodes: dict[str, PlayedNode] = {}
        self.errors: list[str] = []
        self.trouble = ""
        self._dbus, self._account = dbus, account
        self._stop, self._wake = threading.Event(), threading.Event()
        self._kubelet = Kubelet(api)
        watch = self._wake.set
        self._node_mirror = Mirror(api, "/api/v1/nodes", watch, self._stop)
        self._pods = Mirror(api, "/api/v1/pods", watch, self._stop)
        self._config_maps = Mirror(
            api, f"/api/v1/namespaces/{operator.NAMESPACE}/configmaps", watch, self._stop
        )
        self._policies = Mirror(api, operator.CLUSTER_POLICIES, watch, self._stop)
        self._daemon_sets = Mirror(api, operator.DAEMON_SETS, watch, self._stop)
        self._thread = threading.Thread(target=self._run, name="played", daemon=True)
        self._thread.start()

    def add(self, name: str, product: str, gpus: int) -> PlayedNode:
        """Put GPUs under a node's name; the Node object is made by the caller."""
        directory = self.directory / f"{name}-{time.monotonic_ns()}"
        hardware = Gpus(directory / "gpus", product, gpus)
        manager = MigManager(name, hardware, directory, self._dbus, self._account)
        self.nodes[name] = node = PlayedNode(name, hardware, Plugin(self.api, name, hardware), manager)
        return node

    def remove(self, name: str) -> None:
        """Take the machine away."""
        node = self.nodes.pop(name, None)
        if node is not None:
            node.mig_manager.remove()

    def stop(self) -> None:
        """End the thread and every mig-manager."""
        self._stop.set()
        self._wake.set()
        self._thread.join(5)
        for name in list(self.nodes):
            self.remove(name)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(0.2)
            self._wake.clear()
            try:
                self._round()
            except Exception:
                self.errors.append(traceback.format_exc())
                self._stop.wait(0.1)

    def _round(self) -> None:
        policies, daemon_sets = self._policies.objects(), self._daemon_sets.objects()
        self._attempt(operator.reconcile, self.api, policies, daemon_sets)
        pods: dict[str, list[Object]] = {}
        for pod in self._pods.objects():
            pods.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
        nodes = {node["metadata"]["name"]: node for node in self._node_mirror.objects()}
        for name, node in nodes.items():
            self._attempt(self._play, node, pods.get(name, []))
        for name in pods.keys() - nodes.keys() - {""}:
            self._attempt(self._kubelet.bury, name, pods[name])

    def _attempt(self, step: Callable[..., None], *arguments: object) -> None:
        """One step: what the API server refuses, or an outage, is tried again in the next round."""
        try:
            step(*arguments)
        except (OSError, ApiError, urllib3.exceptions.HTTPError) as error:
            self.trouble = f"{time.strftime('%H:%M:%S')} {type(error).__name__} {error}"
            self._stop.wait(0.1)

    def _play(self, node: Object, pods: list[Object]) -> None:
        label_blank_node(self.api, node)
        self._kubelet.play(node, pods)
        played = self.nodes.get(node["metadata"]["name"])
        if played is not None:
            self._operands(played, node, pods)

    def _operands(self, played: PlayedNode, node: Object, pods: list[Object]) -> None:
        running = {
            app: pod
            for app in ("nvidia-device-plugin-daemonset", "gpu-feature-discovery", "nvidia-mig-manager")
            if (pod := _running(pods, app)) is not None
        }
        plugin, manager = running.get("nvidia-device-plugin-daemonset"), running.get("nvidia-mig-manager")
        played.plugin.play(node, plugin if self.knobs.plugin_returns else None, self.knobs.plugin_seconds)
        if "gpu-feature-discovery" in running:
            played.plugin.discover(node, running["gpu-feature-discovery"], self.knobs.discovery_seconds)
        if manager is None:
            played.mig_manager.stop()
            return
        file = self._project(played, manager)
        if self.knobs.mig_manager and file is not None:
            played.mig_manager.start(manager, file)

    def _project(self, played: PlayedNode, manager: Object) -> Path | None:
        uid = manager["metadata"]["uid"]
        projection = played.projections.setdefault(uid, Projection(self.directory / played.name / uid))
        name = next(
            v["configMap"]["name"] for v in manager["spec"]["volumes"] if v["name"] == "mig-parted-config"
        )
        found: Mapping[str, Object] = {m["metadata"]["name"]: m for m in self._config_maps.objects()}
        return projection.play(
            manager, found.get(name), self.knobs.projection_seconds, self.knobs.touch_seconds
        )


def _running(pods: list[Object], app: str) -> Object | None:
    """The pod of one of the operator's DaemonSets that runs on a node."""
    for pod in pods:
        meta = pod["metadata"]
        mine = meta["namespace"] == operator.NAMESPACE and meta.get("labels", {}).get("app") == app
        if mine and pod["status"].get("phase") == "Running" and "deletionTimestamp" not in meta:
            return pod
    return None
