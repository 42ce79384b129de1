"""The stage of a chaos run: a fleet of GPU nodes, the controller, and what a human operator would do."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import urllib3

from autoslicer.core import names
from tests.chaos import invariants
from tests.chaos.history import ChangeLife
from tests.chaos.invariants import NodeState, Violation
from tests.chaos.recorder import NODES, PODS, Recorder
from tests.cluster.api import ApiError, Object
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.fixture import Cluster
from tests.cluster.gpus import Gpus, LogLine
from tests.cluster.waiting import until
from tests.e2e.controller import CHANGES, NAMESPACE, Controller, configure, policy

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/autoslicer"
DEPLOY = "nvidia.com/gpu.deploy."
IMPATIENT: dict[str, Any] = {
    "AUTOSLICER_LEASE_DURATION_SECONDS": "8",
    "AUTOSLICER_RENEW_DEADLINE_SECONDS": "6",
    "AUTOSLICER_PUBLISH_SETTLE_SECONDS": "0.5",
    "AUTOSLICER_READY_SPACING_SECONDS": "0.2",
    "AUTOSLICER_STARTS_PER_MINUTE": "1000",
    "AUTOSLICER_BREAKER_FAILURES": "0",
}
"""what would keep the fleet calm is off: it would end the chaos; a busy machine renews its Lease late"""
PATIENT: dict[str, Any] = {"pendingDeadlineSeconds": 25, "quarantineSeconds": 3}
"""where the controller is away half of the time"""
HASTY: dict[str, Any] = {"pendingDeadlineSeconds": 20, "quarantineSeconds": 3, "deleteOperatorPods": True}
"""where what does not come to an end shall be given up soon"""
Answer = TypeVar("Answer")


class Scene:
    """A cluster with `size` GPU nodes of two GPUs each, a policy that acts at once, and the controller.

    Attributes:
        proxy: between the controller and the API server; it passes everything on until it gets rules.
        walked_in: pods that a fault bound to a node after the label was set, past every check.
        held: the instances that pods hold, by pod, where an agent tells it.
        kept: what a fault has to put back later, by its own keys.
    """

    def __init__(self, cluster: Cluster, size: int, *, seed: int = 0, **recovery: object) -> None:
        self.cluster, self.size, self._recovery = cluster, size, recovery
        self.nodes = [f"gpu-{chr(ord('a') + number)}" for number in range(size)]
        self.recorder = Recorder(cluster.api)
        self.proxy = FaultProxy(cluster.control_plane.server, cluster.control_plane.pki.directory, seed)
        account = cluster.control_plane.service_account(NAMESPACE, "autoslicer")
        self.controller = Controller(cluster, IMPATIENT, kubeconfig=self.proxy.kubeconfig(account))
        self.lives = 0
        self.walked_in: set[str] = set()
        self.kept: dict[str, str] = {}
        self.held: dict[str, set[invariants.Held]] = {}
        self._hardware: list[tuple[str, Gpus]] = []
        self._audited: list[Object] = []
        self._read: dict[int, int] = {}

    def __enter__(self) -> Scene:
        self.recorder.start()
        for node in self.nodes:
            self.add(node)
        configure(self.cluster)
        policy(self.cluster, recovery=dict(self._recovery))
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.kill()
        self.proxy.close()
        self.recorder.stop()

    def add(self, node: str) -> None:
        """Put a GPU node into service."""
        self.cluster.gpu_node(node)
        self._hardware.append((node, self.cluster.played.nodes[node].gpus))

    def start_controller(self) -> None:
        """Start the controller, with a log of its own, and do not wait for it."""
        log = self.controller.process.log
        if log.exists():
            log.rename(log.with_suffix(f".{self.lives}.log"))
        self.lives += 1
        self.controller.process.start()

    def keep_alive(self) -> None:
        """What a kubelet does with a controller that has ended by itself: it starts it again."""
        if self.lives and not self.controller.process.alive:
            self.start_controller()

    def release_lease(self) -> None:
        """Take the Lease from a holder that is known to be dead: the next one need not wait it out."""
        free = {"spec": {"holderIdentity": None, "leaseDurationSeconds": 1}}
        if patiently(lambda: self.cluster.exists(LEASE)):
            patiently(lambda: self._patched(LEASE, free))

    def changes(self, node: str = "") -> list[ChangeLife]:
        """The changes that are there now, of one node or of all, the newest last."""
        with self.recorder.lock:
            found = [change for change in self.recorder.history.changes.values() if change.deleted is None]
        found = [change for change in found if node in ("", change.node)]
        return sorted(found, key=lambda change: (change.node, int(change.number)))

    def newest(self, node: str) -> ChangeLife | None:
        """The newest change of a node."""
        return next(reversed(self.changes(node)), None)

    def live(self) -> list[ChangeLife]:
        """The changes that have not ended, read anew."""
        read = patiently(lambda: self.cluster.api.list(CHANGES))
        with self.recorder.lock:
            for item in read:
                self.recorder.history.see_change(item, time.time())
        return [change for change in self.changes() if change.live]

    def forget(self, change: ChangeLife) -> None:
        """Delete an ended change, as a human does who has put the node in order."""
        patiently(lambda: self.cluster.api.delete(f"{CHANGES}/{change.name}", uid=change.uid))
        until(lambda: change.uid not in [c.uid for c in self.changes()], 20, self.cluster.describe)

    def patch_node(self, node: str, body: Mapping[str, object]) -> None:
        """A merge patch of a node."""
        patiently(lambda: self._patched(f"{NODES}/{node}", body))

    def tenants(self, node: str) -> list[str]:
        """The pods with slices that are bound to a node and have not ended."""
        with self.recorder.lock:
            return [p.key for p in self.recorder.history.pods.values() if p.holds(node, time.time())]

    def in_order(self, node: str) -> bool:
        """The node offers what NVML shows, mig-manager has succeeded and nothing is paused."""
        at_rest = replace(self.state(node), newest=None)
        return not list(invariants.inconsistent([at_rest])) and patiently(
            lambda: self.cluster.in_service(node)
        )

    def state(self, node: str) -> NodeState:
        """The node as it is now."""
        found = patiently(lambda: self.cluster.node(node))
        labels, allocatable = found["metadata"].get("labels", {}), found["status"].get("allocatable", {})
        offered = {
            resource.removeprefix("nvidia.com/").removeprefix("mig-"): int(amount)
            for resource, amount in allocatable.items()
            if resource.startswith("nvidia.com/") and amount != "0"
        }
        cut: dict[str, int] = {}
        for layout in self.cluster.layout(node):
            for profile, count in ({"gpu": 1} if layout is None else layout).items():
                cut[profile.replace("+", ".")] = cut.get(profile.replace("+", "."), 0) + count
        taints = [t.get("value", "") for t in found["spec"].get("taints", []) if t["key"] == names.TAINT]
        return NodeState(
            node,
            labels.get(names.MIG_CONFIG),
            labels.get(names.MIG_CONFIG_STATE, ""),
            tuple(sorted(key for key, value in labels.items() if paused(key, value))),
            offered,
            cut,
            taints[0] if taints else None,
            self.newest(node),
            names.MARKS in found["metadata"].get("annotations", {}),
        )

    def logs(self) -> list[tuple[str, LogLine]]:
        """What the fake NVML of every machine logged, also of those that are gone."""
        return [(node, line) for node, gpus in self._hardware for line in gpus.log()]

    def faults_met(self) -> Counter[str]:
        """How many of the controller's requests met which fault."""
        met = (seen.fault for seen in list(self.proxy.seen))
        return Counter(type(fault).__name__ for fault in met if fault is not None)

    def lasting_violations(self) -> list[Violation]:
        """The invariants that hold at every moment, on the history so far."""
        logs, audit, walked = self.logs(), self._audit(), frozenset(self.walked_in)
        with self.recorder.lock:
            history = self.recorder.history
            return [
                *invariants.destroyed_in_use(history, logs, held=dict(self.held), walked_in=walked),
                *invariants.overlaps(history),
                *invariants.blank_labels(history, audit),
                *invariants.outlived_taints(history, time.time()),
                *invariants.refused_admission(history, walked_in=walked),
            ]

    def violations(self, servable: Iterable[str]) -> list[Violation]:
        """Every invariant, on the whole history and on the cluster at rest."""
        states, live, lasting = (
            [self.state(node) for node in self.nodes],
            self.live(),
            self.lasting_violations(),
        )
        with self.recorder.lock:
            return [
                *lasting,
                *invariants.inconsistent(states),
                *invariants.stray_taints(states, live),
                *invariants.stray_marks(states, live),
                *invariants.unbound(self.recorder.history, servable),
            ]

    def settled(self) -> bool:
        """No change is live, no GPU pod waits and every node is in order or quarantined."""
        pods = self.recorder.objects(PODS)
        waiting = any(
            pod["metadata"]["namespace"] == self.cluster.namespace and not pod["spec"].get("nodeName")
            for pod in pods
        )
        if waiting or self.live():
            return False
        states = [self.state(node) for node in self.nodes]
        return not list(invariants.inconsistent(states)) and not any(state.taint for state in states)

    def _audit(self) -> list[Object]:
        """The writes to nodes in the audit log, read on from where the last call ended, through rotations."""
        for file in sorted(self.cluster.control_plane.audit_log.parent.glob("audit*.log")):
            self._audited += self._audit_of(file)
        return self._audited

    def _audit_of(self, file: Path) -> list[Object]:
        with file.open("rb") as log:
            inode = file.stat().st_ino
            log.seek(self._read.get(inode, 0))
            text = log.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[inode] = self._read.get(inode, 0) + len(whole)
        lines = (line for line in whole.splitlines() if b'"verb":"patch"' in line and b'"nodes"' in line)
        return [json.loads(line) for line in lines]

    def _patched(self, path: str, body: Mapping[str, object]) -> bool:
        self.cluster.api.patch(path, dict(body))
        return True


def patiently(call: Callable[[], Answer], seconds: float = 60) -> Answer:
    """The answer of a request that may meet an API server that is away."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except (OSError, urllib3.exceptions.HTTPError, ApiError) as error:
            refused = isinstance(error, ApiError) and error.status not in (409, 429, 500, 503, 504)
            if refused or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def paused(label: str, value: str) -> bool:
    """mig-manager keeps a GPU client away."""
    return label.startswith(DEPLOY) and value.startswith("paused")
