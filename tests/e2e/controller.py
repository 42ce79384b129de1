"""The controller as a process of its own, with the rights of its manifests and nothing more."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.processes import Process
from tests.cluster.waiting import until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NAMESPACE = "autoslicer-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:autoslicer"
CHANGES = "/apis/autoslicer.dev/v1alpha1/migreconfigurations"
MIG_NODES = "/apis/autoslicer.dev/v1alpha1/mignodes"
POLICIES = "/apis/autoslicer.dev/v1alpha1/migautoscalingpolicies"
FAST = {
    "AUTOSLICER_LEASE_DURATION_SECONDS": "3",
    "AUTOSLICER_RENEW_DEADLINE_SECONDS": "2",
    "AUTOSLICER_RETRY_PERIOD_SECONDS": "1",
}
PATIENT = {
    "AUTOSLICER_PUBLISH_SETTLE_SECONDS": "1",
    "AUTOSLICER_LEASE_DURATION_SECONDS": "15",
    "AUTOSLICER_RENEW_DEADLINE_SECONDS": "10",
    "AUTOSLICER_RETRY_PERIOD_SECONDS": "2",
}
"""the Lease as users have it, for tests in which nothing but a fault of ours may cost it"""


def install(cluster: Cluster) -> None:
    """Apply the CRDs, the rights and their limits from the manifests that users apply."""
    cluster.control_plane.apply(DEPLOY / "crds", DEPLOY / "namespace.yaml", DEPLOY / "serviceaccount.yaml")
    cluster.control_plane.apply(*sorted(DEPLOY.glob("rbac-*.yaml")), DEPLOY / "admission.yaml")
    for path in (CHANGES, POLICIES, MIG_NODES):
        until(lambda path=path: cluster.serves(path), 10, lambda path=path: f"{path} is not served")  # type: ignore[misc]
    until(lambda: _limited(cluster), 20, lambda: "the admission policies are not in force")


def _limited(cluster: Cluster) -> bool:
    """The admission policies are in force: a Lease that is not the controller's own is refused."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    metadata = {"name": "probe", "namespace": NAMESPACE}
    create = ("create", f"--as={ACCOUNT}", "--dry-run=server", "-f", "-")
    try:
        cluster.kubectl(*create, stdin=json.dumps({**lease, "metadata": metadata}))
    except subprocess.CalledProcessError as error:
        return "autoslicer has one Lease" in error.stderr
    return False


class Controller:
    """`autoslicer run` against the test cluster."""

    def __init__(
        self,
        cluster: Cluster,
        environment: Mapping[str, str] | None = None,
        *,
        kubeconfig: Path | None = None,
        program: Sequence[str] = ("-m", "autoslicer"),
    ) -> None:
        self.cluster = cluster
        kubeconfig = kubeconfig or cluster.control_plane.service_account(NAMESPACE, "autoslicer")
        command = [sys.executable, *program, "run", f"--kubeconfig={kubeconfig}"]
        command += ["--metrics-address=127.0.0.1:0", "--log-format=json"]
        log = cluster.directory / "logs" / f"controller-{id(self):x}.log"
        self.process = Process("autoslicer", command, log, {**FAST, **(environment or {})})
        self._read = 0

    def start(self) -> None:
        """Start it and wait until it leads."""
        self.launch()
        until(lambda: "leading" in self.said(), 90, self.process.tail)

    def start_calmly(self) -> None:
        """Start it with the usual times of a Lease: it keeps leading while the machine has much to do."""
        times = {"LEASE_DURATION": "15", "RENEW_DEADLINE": "10", "RETRY_PERIOD": "2"}
        self.process.environment.update({f"AUTOSLICER_{key}_SECONDS": value for key, value in times.items()})
        self.start()

    def launch(self) -> None:
        """Start it and wait until it serves its endpoints."""
        self._read = len(self._text())
        self.process.start()
        until(lambda: '"port"' in self.said(), 90, self.process.tail)

    def said(self) -> str:
        """Its log since it was last started."""
        return self._text()[self._read :]

    def kill(self) -> None:
        """SIGKILL it."""
        self.process.kill()

    def stop(self) -> int:
        """SIGTERM it, and return its exit status."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait(10)

    def metric(self, name: str, **labels: str) -> float:
        """The value of one metric now."""
        wanted = "".join(f'(?=.*{key}="{re.escape(value)}")' for key, value in labels.items())
        pattern = rf"^autoslicer_{name}(?:\{{{wanted}[^}}]*\}})? ([0-9.e+-]+)$"
        return sum(float(found) for found in re.findall(pattern, self.get("/metrics"), re.MULTILINE))

    def get(self, path: str) -> str:
        """What an HTTP endpoint answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    @property
    def _port(self) -> int:
        return int(re.findall(r'"port": (\d+)', self._text())[-1])

    def _text(self) -> str:
        return self.process.log.read_text() if self.process.log.exists() else ""


def policy(cluster: Cluster, **spec: object) -> None:
    """Create the policy `default`: Auto, budget 100 %, windows of a second, neither canary nor cooldown."""
    body = {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "MigAutoscalingPolicy",
        "metadata": {"name": "default"},
        "spec": {
            "nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}},
            "mode": "Auto",
            "trigger": {"pendingSeconds": 1, "batchIdleSeconds": 1, "batchMaxSeconds": 1},
            "disruption": {"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0, "canary": False},
            **spec,
        },
    }
    cluster.api.create(POLICIES, body)


def configure(cluster: Cluster) -> None:
    """What a user does once: make our ConfigMap, and type the command that `configs init` prints."""
    command = [sys.executable, "-m", "autoslicer", "configs", "init", f"--kubeconfig={cluster.kubeconfig}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [switch] = [line for line in done.stderr.splitlines() if line.startswith("  kubectl ")]
    cluster.kubectl(*shlex.split(switch)[1:])
    cluster.wait_configured()


def changes(cluster: Cluster) -> list[Object]:
    """All MigReconfigurations, by name."""
    return sorted(cluster.api.list(CHANGES), key=lambda change: str(change["metadata"]["name"]))


def phases(change: Object) -> list[str]:
    """The phases that a change went through."""
    return [step["phase"] for step in change.get("status", {}).get("steps", [])]
