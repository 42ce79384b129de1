"""The kubelets of all nodes, as far as the API server sees them.

Duties: a bound pod runs at once; a deletion finishes, with the pod's uid as precondition; a pod bound while
its slices are away fails with UnexpectedAdmissionError and is not retried; a running pod's ConfigMap volume
follows the ConfigMap with the kubelet's lag, or at once after any annotation of the pod changed.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from tests.cluster.api import Api, ApiError, Object


class Kubelet:
    """Plays all kubelets."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def play(self, node: Object, pods: list[Object]) -> None:
        """Bring the node's pods one step further."""
        used = Counter[str]()
        for pod in pods:
            if pod["status"].get("phase") == "Running":
                used.update(devices(pod))
        for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"]):
            if "deletionTimestamp" in pod["metadata"]:
                self._delete(pod)
            elif pod["status"].get("phase", "Pending") == "Pending":
                wanted = devices(pod)
                if self._admits(node, used + wanted, wanted):
                    used.update(wanted)
                    self._status(pod, _running(pod))
                else:
                    self._status(pod, _refused(wanted))

    def _admits(self, node: Object, total: Counter[str], wanted: Counter[str]) -> bool:
        """The node has devices for what runs and for the new pod.

        A kubelet knows its own devices, while news of the node may reach us after the pod that the scheduler
        bound because of them: so nothing is refused by an old Node.
        """
        if _covers(node, total, wanted):
            return True
        return _covers(self._api.get(f"/api/v1/nodes/{node['metadata']['name']}"), total, wanted)

    def bury(self, node: str, pods: list[Object]) -> None:
        """Pods of a node that is gone end at once; news of a new node may only be late."""
        try:
            self._api.get(f"/api/v1/nodes/{node}")
        except ApiError as error:
            if error.status != 404:
                raise
            for pod in pods:
                self._delete(pod)

    def _delete(self, pod: Object) -> None:
        self._api.delete(_path(pod), uid=pod["metadata"]["uid"], now=True)

    def _status(self, pod: Object, status: Object) -> None:
        try:
            self._api.patch(
                f"{_path(pod)}/status", {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
            )
        except ApiError as error:
            if error.status not in (404, 409):
                raise


class Projection:
    """A ConfigMap as a file in one pod."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "config.yaml"
        self._annotations: object = None
        self._due: float | None = None
        self._version = ""

    def play(self, pod: Object, config_map: Object | None, lag: float, touch: float) -> Path | None:
        """The file as the pod sees it now.

        None until the ConfigMap exists, for till then the pod cannot start.
        """
        if config_map is None:
            return self._file if self._version else None
        now, annotations = time.monotonic(), pod["metadata"].get("annotations", {})
        if not self._version:
            self._annotations = annotations
            self._write(config_map)
        version = config_map["metadata"]["resourceVersion"]
        if annotations != self._annotations:
            self._annotations = annotations
            self._due = min(self._due or now + touch, now + touch)
        elif version != self._version and self._due is None:
            self._due = now + lag
        if self._due is not None and now >= self._due:
            self._due = None
            self._write(config_map)
        return self._file

    def _write(self, config_map: Object) -> None:
        self._version = config_map["metadata"]["resourceVersion"]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(config_map.get("data", {}).get("config.yaml", ""))
        part.rename(self._file)


def devices(pod: Object) -> Counter[str]:
    """The devices that a pod asks for, by resource."""
    total = Counter[str]()
    for container in pod["spec"]["containers"]:
        limits = container.get("resources", {}).get("limits", {})
        total.update({name: int(amount) for name, amount in limits.items() if _device(name)})
    return total


def _covers(node: Object, total: Counter[str], wanted: Counter[str]) -> bool:
    offered = node["status"].get("allocatable", {})
    return all(total[name] <= int(offered.get(name, "0")) for name in wanted)


def _device(resource: str) -> bool:
    return resource.startswith("nvidia.com/")


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _running(pod: Object) -> Object:
    ready = [
        {"type": kind, "status": "True", "lastTransitionTime": _now()}
        for kind in ("Initialized", "ContainersReady", "Ready")
    ]
    kept = [
        condition for condition in pod["status"].get("conditions", []) if condition["type"] == "PodScheduled"
    ]
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "restartCount": 0,
            "ready": True,
            "state": {"running": {"startedAt": _now()}},
        }
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        "startTime": _now(),
        "conditions": [*kept, *ready],
        "containerStatuses": containers,
    }


def _refused(wanted: Counter[str]) -> Object:
    names = ", ".join(sorted(wanted))
    return {
        "phase": "Failed",
        "reason": "UnexpectedAdmissionError",
        "message": f"Allocate failed due to requested number of devices unavailable for {names}",
    }
