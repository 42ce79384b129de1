"""Pods of a test, with verbs that read like prose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.waiting import until


class Pods:
    """The pod verbs of the test cluster."""

    api: Api
    namespace: str
    """where a test's pods are made"""
    describe: Callable[..., str]
    """what is seen, for failed waits"""

    def pod(
        self,
        name: str,
        slices: Mapping[str, int] | None = None,
        *,
        cpu: str = "1",
        namespace: str = "",
        priority: int = 0,
        annotations: Mapping[str, str] | None = None,
        **spec: object,
    ) -> str:
        """Create a pod that asks for MIG slices by profile, and return its `namespace/name`."""
        if priority:
            spec["priorityClassName"] = self._priority_class(priority)
        where = namespace or self.namespace
        limits = {
            "cpu": cpu,
            **{f"nvidia.com/mig-{p.replace('+', '.')}": str(n) for p, n in (slices or {}).items()},
        }
        container = {"name": "main", "image": "busybox", "resources": {"limits": limits}}
        body = {
            "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
        }
        self.api.create(f"/api/v1/namespaces/{where}/pods", body)
        return f"{where}/{name}"

    def get_pod(self, key: str) -> Object:
        """The Pod object of `namespace/name`."""
        namespace, name = key.split("/")
        return self.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def delete_pod(self, key: str) -> None:
        """Delete a pod and wait until it is gone."""
        namespace, name = key.split("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self.api.delete(path, now=True)
        until(lambda: not self.exists(path), 10, lambda: f"pod {key} stays")

    def end_pod(self, key: str) -> None:
        """Let the containers of a pod with restartPolicy Never exit with success, as its kubelet tells it."""
        namespace, name = key.split("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        self.api.patch(path, {"status": {"phase": "Succeeded"}})

    def pods(self, namespace: str = "") -> list[Object]:
        """The pods of the test's namespace, or of another one."""
        return self.api.list(f"/api/v1/namespaces/{namespace or self.namespace}/pods")

    def node_of(self, key: str) -> str:
        """Where a pod is bound, or empty."""
        return str(self.get_pod(key)["spec"].get("nodeName", ""))

    def wait_running(self, keys: Iterable[str], seconds: float = 60) -> None:
        """Wait until every pod runs."""
        wanted = list(keys)
        until(
            lambda: all(self.get_pod(k)["status"]["phase"] == "Running" for k in wanted),
            seconds,
            self.describe,
        )

    def wait_unschedulable(self, keys: Iterable[str], seconds: float = 10) -> None:
        """Wait until the scheduler has tried and failed on every pod."""
        wanted = list(keys)
        until(lambda: all(_unschedulable(self.get_pod(key)) for key in wanted), seconds, self.describe)

    def exists(self, path: str) -> bool:
        """The API server knows this object, or this resource."""
        try:
            self.api.get(path)
        except ApiError as error:
            # 429: the storage of a new resource is being made
            if error.status in (404, 429):
                return False
            raise
        return True

    def _priority_class(self, value: int) -> str:
        name, path = f"priority-{value}", "/apis/scheduling.k8s.io/v1/priorityclasses"
        if not self.exists(f"{path}/{name}"):
            self.api.create(path, {"metadata": {"name": name}, "value": value})
            until(lambda: self._admits(name), 10, lambda: f"PriorityClass {name} is not known yet")
        return name

    def _admits(self, priority_class: str) -> bool:
        """Admission knows the class: it refuses pods of a new one for a moment."""
        containers = [{"name": "main", "image": "busybox"}]
        spec = {"containers": containers, "priorityClassName": priority_class}
        try:
            self.api.create(
                f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All",
                {"metadata": {"name": "probe"}, "spec": spec},
            )
        except ApiError as error:
            if error.status == 403:
                return False
            raise
        return True


def _unschedulable(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable" for c in conditions)
