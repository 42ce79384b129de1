"""The whole test cluster as one object, with verbs that read like prose."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.cluster import audit, describe, leftovers, nodes, operator, tools
from tests.cluster.api import Api, ApiError, Object
from tests.cluster.controlplane import ControlPlane
from tests.cluster.gpus import LogLine
from tests.cluster.mig_manager import dbus
from tests.cluster.played import Knobs, Played
from tests.cluster.pods import Pods
from tests.cluster.waiting import until

H100 = "NVIDIA-H100-80GB-HBM3"
OURS = "autoslicer-mig-parted-config"
CUSTOM_RESOURCES = "/apis/autoslicer.dev/v1alpha1"
Layout = Mapping[str, int] | None


class Cluster(Pods):
    """A real control plane with played hardware; see `tests/cluster/__init__.py` for what is real."""

    def __init__(self) -> None:
        tools.build()
        leftovers.sweep()
        self.directory = leftovers.make()
        self.control_plane = ControlPlane(self.directory)
        self._bus = dbus(self.directory)
        self._outages = 0
        self._numbers = itertools.count(1)
        self.namespace = ""

    def start(self) -> None:
        """Start everything; the operator's namespace is there when this returns."""
        self._bus.start()
        self.control_plane.start()
        self.api = Api(self.control_plane.server, self.control_plane.pki.directory)
        operator.install(self.api)
        account = self.control_plane.service_account(operator.NAMESPACE, operator.OPERANDS["mig-manager"])
        self.played = Played(self.api, self.directory / "nodes", self.directory, account)
        self.fresh_namespace()

    def stop(self, *, keep_logs: bool = False) -> None:
        """Kill everything and remove what it wrote, but for the logs where they are wanted."""
        if hasattr(self, "played"):
            self.played.stop()
        self.control_plane.stop()
        self._bus.kill()
        leftovers.remove(self.directory, keep_logs=keep_logs)

    def restart_apiserver(self, away: float = 0.0) -> None:
        """SIGKILL the API server and start it again on the same port and data, after `away` seconds."""
        self.control_plane.kill_apiserver()
        time.sleep(away)
        self.control_plane.start_apiserver()

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""
        return self.control_plane.admin

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints."""
        return self.control_plane.kubectl(*arguments, stdin=stdin)

    def gpu_node(
        self,
        name: str,
        *layouts: Layout,
        product: str = H100,
        config: str = "all-7g.80gb",
        cpu: str = "64",
        memory: str = "512Gi",
        labels: Mapping[str, str] | None = None,
        taints: Iterable[Object] = (),
    ) -> None:
        """A GPU node as the GPU Operator leaves it: one GPU for each layout, which are those of `config`.

        Returns when it is in service.
        """
        layouts = layouts or ({"7g.80gb": 1}, {"7g.80gb": 1})
        gpus = self.played.add(name, product, len(layouts)).gpus
        gpus.cut(*(None if layout is None else dict(layout) for layout in layouts))
        all_labels = {**nodes.gpu_labels(name, gpus, config), **(labels or {})}
        self.api.create("/api/v1/nodes", nodes.document(name, all_labels, cpu, memory, list(taints)))
        until(lambda: self.in_service(name), 30, self.describe)

    def plain_node(self, name: str, cpu: str = "64", memory: str = "512Gi") -> None:
        """A node without GPUs."""
        labels = {"kubernetes.io/hostname": name}
        self.api.create("/api/v1/nodes", nodes.document(name, labels, cpu, memory))

    def remove_node(self, name: str) -> None:
        """Take the node and its machine away."""
        self.api.delete(f"/api/v1/nodes/{name}")
        self.played.remove(name)

    def node(self, name: str) -> Object:
        """The Node object."""
        return self.api.get(f"/api/v1/nodes/{name}")

    def label(self, name: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node, or remove those that are None."""
        self.api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": dict(labels)}})

    def labels(self, name: str) -> dict[str, str]:
        """The labels of a node."""
        found: dict[str, str] = self.node(name)["metadata"]["labels"]
        return found

    def taints(self, name: str) -> list[str]:
        """The keys of a node's taints."""
        return [taint["key"] for taint in self.node(name)["spec"].get("taints", [])]

    def slices(self, name: str) -> dict[str, int]:
        """What a node advertises of nvidia.com/*, without zeros, by profile (`gpu` for whole GPUs)."""
        have = self.node(name)["status"].get("allocatable", {})
        counts = {
            key.removeprefix("nvidia.com/").removeprefix("mig-"): int(v)
            for key, v in have.items()
            if key.startswith("nvidia.com/")
        }
        return {key: count for key, count in sorted(counts.items()) if count}

    def layout(self, name: str) -> list[dict[str, int] | None]:
        """What NVML shows: the multiset of profiles by GPU, None where MIG is off."""
        return self.played.nodes[name].gpus.layout()

    def nvml_log(self, name: str) -> list[LogLine]:
        """Every GPU instance created or destroyed on the node."""
        return self.played.nodes[name].gpus.log()

    def set_busy(self, name: str, gpu: int, busy: bool = True, instance: int | None = None) -> None:
        """Let an open process hold one instance of a GPU (by id), or all of them, or not."""
        self.played.nodes[name].gpus.set_busy(gpu, busy, instance)

    def in_service(self, name: str) -> bool:
        """The node advertises what NVML shows."""
        expected: dict[str, int] = {}
        for layout in self.layout(name):
            for key, count in ({"gpu": 1} if layout is None else layout).items():
                expected[key.replace("+", ".")] = expected.get(key.replace("+", "."), 0) + count
        taints = {"node.kubernetes.io/not-ready"} & set(self.taints(name))
        running = {
            pod["metadata"]["labels"]["app"]
            for pod in self.operands(name)
            if pod["status"]["phase"] == "Running"
        }
        return (
            self.slices(name) == dict(sorted(expected.items()))
            and not taints
            and running >= set(operator.OPERANDS.values())
        )

    def operands(self, name: str) -> list[Object]:
        """The operator's pods on a node."""
        return self.api.list(
            f"/api/v1/namespaces/{operator.NAMESPACE}/pods", fieldSelector=f"spec.nodeName={name}"
        )

    def configure_operator(self, config_map: str = OURS) -> None:
        """Let ClusterPolicy name this ConfigMap, and wait until every mig-manager pod mounts it."""
        operator.configure(self.api, config_map)
        self.wait_configured(config_map)

    def wait_configured(self, config_map: str = OURS) -> None:
        """Wait until every mig-manager pod mounts this ConfigMap."""

        def rolled() -> bool:
            found = self._mig_manager()
            status = found["status"]
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            wanted = status.get("desiredNumberScheduled", 0)
            done = (status.get("updatedNumberScheduled", 0), status.get("numberReady", 0))
            return operator.mounted(found) == config_map and seen and done == (wanted, wanted)

        until(rolled, 30, self.describe)

    def _mig_manager(self) -> Object:
        """Mig-manager's DaemonSet."""
        return self.api.get(f"{operator.DAEMON_SETS}/{operator.OPERANDS['mig-manager']}")

    def fresh_namespace(self) -> str:
        """Make a namespace for the next test and wait until pods can be created in it."""
        self.namespace = f"test-{next(self._numbers)}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        until(lambda: self.exists(account), 10, lambda: "no default service account")
        return self.namespace

    def reset(self) -> None:
        """Between tests.

        No pods but system ones, no nodes, no custom objects, the operator's own ConfigMap, default knobs.
        """
        self.played.knobs = Knobs()
        operator.allow(self.api, operator.MIG_MANAGER_RULES)
        # takes ten seconds and is not waited for; from now on nothing is made anew in it
        self.api.delete(f"/api/v1/namespaces/{self.namespace}")
        for pod in self.api.list("/api/v1/pods"):
            meta = pod["metadata"]
            if meta["namespace"] != operator.NAMESPACE:
                self.api.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", now=True)
        for plural in ("migautoscalingpolicies", "migreconfigurations", "mignodes"):
            for item in self.list_if_served(f"{CUSTOM_RESOURCES}/{plural}"):
                self.api.delete(f"{CUSTOM_RESOURCES}/{plural}/{item['metadata']['name']}")
        for node in self.api.list("/api/v1/nodes"):
            self.remove_node(node["metadata"]["name"])
        default = operator.DEFAULT_CONFIG_MAP
        operator.configure(self.api, default)
        until(lambda: operator.mounted(self._mig_manager()) == default, 30, self.describe)
        self.api.delete(f"/api/v1/namespaces/{operator.NAMESPACE}/configmaps/{OURS}")
        pods = f"/api/v1/namespaces/{operator.NAMESPACE}/pods"
        until(lambda: not self.api.list(pods), 30, lambda: f"the operator's pods stay: {self.describe()}")
        self.fresh_namespace()
        if self._outages != self.control_plane.outages:
            self._outages = self.control_plane.outages
            self._wait_for_followers()
        errors, self.played.errors = self.played.errors, []
        assert not errors, errors[0]

    def _wait_for_followers(self) -> None:
        """Wait until scheduler and controllers watch again.

        They come back some seconds after an outage, and until then they know nodes that are gone.
        """
        self.plain_node("probe")
        pod = self.pod("probe", nodeSelector={"kubernetes.io/hostname": "probe"})
        self.wait_running([pod])
        self.delete_pod(pod)
        self.remove_node("probe")

    def serves(self, path: str) -> bool:
        """The API server knows this resource: a new one takes a moment after it is established."""
        return self.exists(path)

    def describe(self, *_: object) -> str:
        """Everything that helps to see why something did not happen."""
        return describe.describe(self)

    def writes_of(self, user: str) -> list[audit.Write]:
        """What a service account of our namespace has written so far, refused or not."""
        return audit.writes(self.control_plane.audit(), user)

    def watch_for(self, look: Callable[[], object], seconds: float) -> None:
        """Check for so long that something stays true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert look(), self.describe()
            time.sleep(0.2)

    def list_if_served(self, path: str) -> list[Object]:
        """The items of a list; none where the API server does not know the resource."""
        try:
            return self.api.list(path)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
