"""Steps done on the real kube-scheduler, and what it bound after which of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import urllib3

from autoslicer.core import reading
from autoslicer.core.rows import NodeRow, PodRow
from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until

SMALL, LARGE = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"
QUIET_SECONDS = 0.06
"""so long after the last write to a pod the scheduler is taken to be done"""
OLD = {"key": "old", "value": "yes", "effect": "PreferNoSchedule"}
REPAIR = {"key": "repair", "value": "yes", "effect": "NoSchedule"}
TEAM = {"key": "team", "value": "a", "effect": "NoSchedule"}
Machine = tuple[Mapping[str, str], Mapping[str, str], Sequence[Object]]
"""allocatable, labels and taints"""
KINDS: tuple[Machine, ...] = (
    ({"cpu": "16", "memory": "64Gi", SMALL: "7"}, {"pool": "infer"}, ()),
    ({"cpu": "12", "memory": "96Gi", LARGE: "2", SMALL: "1"}, {"pool": "train"}, ()),
    ({"cpu": "8", "memory": "24Gi", SMALL: "4"}, {"pool": "infer"}, (OLD,)),
    ({"cpu": "24", "memory": "48Gi", SMALL: "3", LARGE: "1"}, {}, (TEAM,)),
)
REQUESTS: tuple[dict[str, str], ...] = (
    {SMALL: "1", "cpu": "1"},
    {SMALL: "1", "cpu": "1500m", "memory": "5Gi"},
    {SMALL: "2", "cpu": "2", "memory": "4Gi"},
    {LARGE: "1", "cpu": "3", "memory": "20Gi"},
    {"cpu": "2", "memory": "3Gi"},
    {SMALL: "1"},
)
CONTROLLERS = "node.kubernetes.io/"
"""taints that controllers put on nodes in their own time"""
PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


@dataclass
class Step:
    """Something that was done at a time, and which pods were bound where before the next."""

    at: float
    came: PodRow | None = None
    ended: str = ""
    node: NodeRow | None = None
    promised: tuple[str, str] = ("", "")
    bound: dict[str, str] = field(default_factory=dict)


class Recorder:
    """Follows the pods of a namespace: where they are bound, and when anything was written last."""

    def __init__(self, cluster: Cluster) -> None:
        self.bound: dict[str, str] = {}
        self.tried: set[str] = set()
        self.last = time.monotonic()
        self._cluster, self._path = cluster, f"/api/v1/namespaces/{cluster.namespace}/pods"
        version = cluster.api.get(self._path)["metadata"]["resourceVersion"]
        threading.Thread(target=self._follow, args=(version,), daemon=True).start()

    def _follow(self, version: str) -> None:
        try:
            for _, pod in self._cluster.api.watch(self._path, version):
                self.last = time.monotonic()
                name = pod["metadata"].get("name", "")
                if pod.get("status", {}).get("conditions"):
                    self.tried.add(name)
                if node := pod.get("spec", {}).get("nodeName"):
                    self.bound.setdefault(name, node)
        except (OSError, urllib3.exceptions.HTTPError):
            return

    def settled(self, step: Step) -> bool:
        """The scheduler has done what the step calls for."""
        tried = step.came is None or step.came.name in self.tried
        return tried and time.monotonic() - self.last > QUIET_SECONDS


class Real:
    """Does one thing after the other on a cluster, each once the scheduler is done with the one before.

    Attributes:
        names: of its nodes.
        nodes: as they were at first.
        steps: what was done.
    """

    def __init__(self, cluster: Cluster, machines: Sequence[Machine]) -> None:
        self._cluster, self._pods = cluster, f"/api/v1/namespaces/{cluster.namespace}/pods"
        self.names = [f"node-{number:02}" for number in range(len(machines))]
        self.steps: list[Step] = []
        for name, (offered, labels, taints) in zip(self.names, machines, strict=True):
            amounts = {**offered, "pods": "20"}
            condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
            body = {
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
                "spec": {"taints": list(taints)},
                "status": {"capacity": amounts, "allocatable": amounts, "conditions": [condition]},
            }
            cluster.api.create("/api/v1/nodes", body)

        def ready() -> bool:
            found = [key for name in self.names for key in cluster.taints(name)]
            return not any(key.startswith(CONTROLLERS) for key in found)

        until(ready, 30, cluster.describe)
        self.nodes = [self._node(name) for name in self.names]
        self._recorder = Recorder(cluster)

    @property
    def bound(self) -> dict[str, str]:
        """Where each pod was bound, those that have ended too."""
        return {pod: node for step in self.steps for pod, node in step.bound.items()}

    def wait_bound(self, pods: set[str]) -> None:
        """Wait until these pods are bound, after the last step at the latest."""
        until(lambda: pods <= self._recorder.bound.keys(), 10, self._cluster.describe)
        self._take(self.steps[-1])

    def come(self, name: str, requests: Mapping[str, str], rank: str = "", **spec: object) -> None:
        """A pod comes."""
        resources = {"limits": dict(requests)}
        spec["containers"] = [{"name": "main", "image": "busybox", "resources": resources}]
        if rank:
            spec["priorityClassName"] = rank
        body = self._cluster.api.create(self._pods, {"metadata": {"name": name}, "spec": spec})
        self._wait(Step(time.time(), came=reading.pod(body)))

    def end(self, name: str) -> None:
        """A pod ends."""
        self._cluster.api.delete(f"{self._pods}/{name}", now=True)
        self._wait(Step(time.time(), ended=name))

    def promise(self, name: str, node: str) -> None:
        """A pod is nominated to a node."""
        self._cluster.api.patch(f"{self._pods}/{name}/status", {"status": {"nominatedNodeName": node}})
        self._wait(Step(time.time(), promised=(name, node)))

    def taint(self, name: str, closed: bool) -> None:
        """A node gets a taint that nobody tolerates, or loses it."""
        taints = [taint for taint in self._cluster.node(name)["spec"].get("taints", []) if taint != REPAIR]
        self._change(name, "", {"spec": {"taints": [*taints, REPAIR] if closed else taints}})

    def offer(self, name: str, resource: str, amount: int) -> None:
        """A node offers so many of something."""
        amounts = {resource: str(amount)}
        self._change(name, "/status", {"status": {"capacity": amounts, "allocatable": amounts}})

    def rank(self, value: int, preemption: str) -> str:
        """The name of a PriorityClass."""
        name = f"rank-{value}-{preemption.lower()}"
        if not self._cluster.exists(f"{PRIORITY_CLASSES}/{name}"):
            body = {"metadata": {"name": name}, "value": value, "preemptionPolicy": preemption}
            self._cluster.api.create(PRIORITY_CLASSES, body)
            until(lambda: self._cluster._admits(name), 10, lambda: f"PriorityClass {name} is not known yet")
        return name

    def _change(self, name: str, path: str, patch: Object) -> None:
        self._cluster.api.patch(f"/api/v1/nodes/{name}{path}", patch)
        self._wait(Step(time.time(), node=self._node(name)))

    def _node(self, name: str) -> NodeRow:
        document = self._cluster.node(name)
        kept = [t for t in document["spec"].get("taints", []) if not t["key"].startswith(CONTROLLERS)]
        return reading.node({**document, "spec": {**document["spec"], "taints": kept}})

    def _wait(self, step: Step) -> None:
        self._recorder.last = time.monotonic()
        until(lambda: self._recorder.settled(step), 10, self._cluster.describe, every=0.01)
        self.steps.append(step)
        self._take(step)

    def _take(self, step: Step) -> None:
        known = self.bound
        step.bound |= {name: node for name, node in self._recorder.bound.items() if name not in known}


def draw(real: Real, seed: int, *, coming: int, ending: int) -> None:
    """Let so many pods come and end in an order drawn by the seed, while nodes are tainted and offer more.

    No node is cordoned: the node controller's own taint would come or go some milliseconds later, while the
    scheduler is busy with what the cordon calls for, and the order of the pods would be up to chance.
    """
    drawn, closed, ended = random.Random(seed), list[str](), set[str]()
    ranks = [real.rank(value, "Never") for value in (0, 0, 0, 100)]
    first = len(real.names)
    rest = [*["come"] * (coming - first), *["end"] * ending, *["close", "open"] * 6, *["offer"] * 8]
    drawn.shuffle(rest)
    for number, what in enumerate(["come"] * first + rest):
        name = drawn.choice(real.names)
        if what == "come":
            more: Object = {"nodeSelector": {"pool": drawn.choice(("infer", "train"))}}
            more = more if drawn.random() < 0.25 else {}
            if drawn.random() < 0.3:
                more["tolerations"] = [{"key": "team", "operator": "Exists"}]
            real.come(f"pod-{number:03}", drawn.choice(REQUESTS), drawn.choice(ranks), **more)
        elif what == "end" and (found := sorted(real.bound.keys() - ended)):
            ended.add(pod := drawn.choice(found))
            real.end(pod)
        elif what == "close":
            closed.append(name)
            real.taint(name, closed=True)
        elif what == "open" and closed:
            real.taint(closed.pop(0), closed=False)
        elif what == "offer":
            real.offer(name, SMALL, drawn.randint(2, 8))
