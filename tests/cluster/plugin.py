"""NVIDIA's device plugin and GPU feature discovery on a node, and the GPU Operator's labeller.

Facts: under `mixed` a MIG-enabled GPU is advertised as its instances (`nvidia.com/mig-<profile>`, `+` written
as `.`), any other as `nvidia.com/gpu`; the plugin enumerates them once, when it starts; names that vanish
stay in the node's status as "0"; without its plugin a node advertises nothing.
"""

from __future__ import annotations

import time
from collections import Counter

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.gpus import Gpus


class Plugin:
    """The device plugin and GPU feature discovery of one node."""

    def __init__(self, api: Api, node: str, gpus: Gpus) -> None:
        self._api, self._node, self._gpus = api, node, gpus
        self._pod, self._since = "", 0.0
        self._devices: Counter[str] | None = None
        self._discovery, self._discovers_since = "", 0.0

    def play(self, node: Object, pod: Object | None, delay: float) -> None:
        """Advertise what NVML shows once the plugin's pod has run for `delay`; nothing without the pod."""
        wanted = self._enumerated(pod, delay)
        have = {
            name: amount
            for name, amount in node["status"].get("allocatable", {}).items()
            if name.startswith("nvidia.com/")
        }
        new = {name: str(wanted[name]) for name in sorted(have.keys() | wanted.keys())}
        if new != have:
            self._patch("/status", {"status": {"capacity": new, "allocatable": new}})

    @property
    def enumerated(self) -> bool:
        """The plugin that runs now has looked at the GPUs, and looks no more."""
        return self._devices is not None

    def discover(self, node: Object, pod: Object, delay: float) -> None:
        """Label the node as GPU feature discovery does, once its pod has run for `delay`."""
        uid = str(pod["metadata"]["uid"])
        if uid != self._discovery:
            self._discovery, self._discovers_since = uid, time.monotonic()
        if time.monotonic() - self._discovers_since < delay:
            return
        labels = labels_of(self._gpus)
        present = node["metadata"].get("labels", {})
        stale = {name: None for name in present if name.startswith("nvidia.com/mig-") and name not in labels}
        if stale or any(present.get(name) != value for name, value in labels.items()):
            self._patch("", {"metadata": {"labels": {**labels, **stale}}})

    def _enumerated(self, pod: Object | None, delay: float) -> Counter[str]:
        """What the plugin found when it started: it looks once, and has to be restarted to look again."""
        uid = "" if pod is None else str(pod["metadata"]["uid"])
        if uid != self._pod:
            self._pod, self._since, self._devices = uid, time.monotonic(), None
        if uid and self._devices is None and time.monotonic() - self._since >= delay:
            self._devices = self._offered()
        return Counter[str]() if self._devices is None else self._devices

    def _offered(self) -> Counter[str]:
        offered = Counter[str]()
        for layout in self._gpus.layout():
            offered.update(
                {"nvidia.com/gpu": 1} if layout is None else {_resource(p): n for p, n in layout.items()}
            )
        return offered

    def _patch(self, sub: str, body: Object) -> None:
        try:
            self._api.patch(f"/api/v1/nodes/{self._node}{sub}", body)
        except ApiError as error:
            if error.status != 404:
                raise


def labels_of(gpus: Gpus) -> dict[str, str]:
    """GPU feature discovery's labels for the layout that NVML shows now, under `mixed`."""
    layouts = gpus.layout()
    counts = Counter[str]()
    for layout in layouts:
        counts.update(layout or {})
    labels = {
        "nvidia.com/gpu.count": str(gpus.count),
        "nvidia.com/gpu.replicas": str(sum(layout is None for layout in layouts)),
        "nvidia.com/gpu.memory": str(gpus.memory_mib),
        "nvidia.com/gpu.product": gpus.product,
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
    }
    for profile in gpus.model["profiles"]:
        if counts[profile["name"]]:
            base = _resource(profile["name"])
            labels |= {
                f"{base}.count": str(counts[profile["name"]]),
                f"{base}.product": f"{gpus.product}-MIG-{profile['name'].replace('+', '.')}",
                f"{base}.slices.gi": str(profile["compute_slices"]),
                f"{base}.slices.ci": str(profile["compute_slices"]),
                f"{base}.replicas": "1",
                f"{base}.sharing-strategy": "none",
            }
    return labels


def label_blank_node(api: Api, node: Object) -> None:
    """The Operator's labeller, where `all-disabled` is its default.

    A MIG node without a config gets it, and is wiped.
    """
    labels = node["metadata"].get("labels", {})
    if labels.get("nvidia.com/mig.capable") == "true" and not labels.get("nvidia.com/mig.config"):
        patch = {"metadata": {"labels": {"nvidia.com/mig.config": "all-disabled"}}}
        api.patch(f"/api/v1/nodes/{node['metadata']['name']}", patch)


def _resource(profile: str) -> str:
    return "nvidia.com/mig-" + profile.replace("+", ".")
