"""A real etcd, kube-apiserver, kube-scheduler and kube-controller-manager on loopback ports of their own."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import subprocess
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster import tools
from tests.cluster.pki import Pki
from tests.cluster.processes import Process
from tests.cluster.waiting import until

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["admin", "system:apiserver"]},
        {"level": "None", "userGroups": ["system:nodes"]},
        {"level": "Request", "userGroups": ["system:serviceaccounts:autoslicer-system"]},
        {"level": "None"},
    ],
}
"""only what service accounts of our own namespace ask for is logged"""


class ControlPlane:
    """The control plane; `start` returns when every part is ready."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.audit_log = directory / "audit.log"
        self.outages = 0
        self._ports = _free_ports(5)
        self.pki = Pki.create(directory / "pki")
        self.server = f"https://127.0.0.1:{self._ports[2]}"
        self.admin = self.pki.kubeconfig("admin", self.server)
        self.etcd, self.apiserver, self.scheduler, self.controller_manager = self._processes()

    def start(self) -> None:
        """Start every part in order and wait until it is ready."""
        self.etcd.start()
        self._ready(self.etcd, f"http://127.0.0.1:{self._ports[0]}/health")
        self.start_apiserver()
        self.scheduler.start()
        self.controller_manager.start()
        self._ready(self.scheduler, f"https://127.0.0.1:{self._ports[3]}/readyz")
        self._ready(self.controller_manager, f"https://127.0.0.1:{self._ports[4]}/healthz")

    def start_apiserver(self) -> None:
        """Start the API server, also again after `kill_apiserver`, on the same port and data."""
        self.apiserver.start()
        self._ready(self.apiserver, f"{self.server}/readyz")

    def kill_apiserver(self) -> None:
        """SIGKILL the API server alone."""
        self.outages += 1
        self.apiserver.kill()

    def stop(self) -> None:
        """SIGKILL everything: SIGTERM takes the API server a minute."""
        for process in (self.controller_manager, self.scheduler, self.apiserver, self.etcd):
            process.kill()

    def logs(self) -> str:
        """The ends of the servers' logs."""
        return "\n".join(
            process.tail(8)
            for process in (self.etcd, self.apiserver, self.scheduler, self.controller_manager)
        )

    def kubectl(self, *arguments: str, stdin: str = "", kubeconfig: Path | None = None) -> str:
        """What kubectl prints, run as admin or with another kubeconfig.

        Raises:
            subprocess.CalledProcessError: kubectl failed; its `stderr` says why.
        """
        command = [str(tools.path("kubectl")), f"--kubeconfig={kubeconfig or self.admin}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout

    def apply(self, *manifests: Path | str) -> None:
        """Server-side apply of manifest files, as admin."""
        for manifest in manifests:
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifest))

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a fresh token of an existing service account."""
        token = self.kubectl(
            "create", "token", name, "-n", namespace, "--audience=api", "--duration=24h"
        ).strip()
        return self.pki.kubeconfig(f"{namespace}.{name}", self.server, token=token)

    def audit(self) -> list[dict[str, Any]]:
        """What service accounts of our own namespace asked of the API server so far."""
        if not self.audit_log.exists():
            return []
        return [json.loads(line) for line in self.audit_log.read_text().splitlines() if line.endswith("}")]

    def _processes(self) -> tuple[Process, Process, Process, Process]:
        e, peer, api, scheduler, manager = self._ports
        pki = self.pki.directory
        (self.directory / "audit.json").write_text(json.dumps(AUDIT_POLICY))
        client, peers = f"http://127.0.0.1:{e}", f"http://127.0.0.1:{peer}"
        etcd = (
            *(f"--data-dir={self.directory}/etcd", "--unsafe-no-fsync", f"--initial-cluster=default={peers}"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
        )
        apiserver = (
            *(f"--etcd-servers={client}", f"--secure-port={api}"),
            *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"),
            *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
            *(f"--client-ca-file={pki}/ca.crt", "--anonymous-auth=false", "--authorization-mode=RBAC"),
            *(f"--service-account-issuer={self.server}/", f"--service-account-key-file={pki}/sa.pub"),
            *(f"--service-account-signing-key-file={pki}/sa.key", "--api-audiences=api"),
            *("--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none", "--event-ttl=1h"),
            *(f"--audit-policy-file={self.directory}/audit.json", f"--audit-log-path={self.audit_log}"),
        )

        def component(name: str, port: int, *more: str) -> Process:
            config = self.pki.kubeconfig(name, self.server)
            flags = (
                *(f"--{use}kubeconfig={config}" for use in ("", "authentication-", "authorization-")),
                *("--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={port}"),
            )
            binary = {"scheduler": "kube-scheduler", "kcm": "kube-controller-manager"}[name]
            return self._process(binary, *flags, *more)

        return (
            self._process("etcd", *etcd),
            self._process("kube-apiserver", *apiserver),
            component("scheduler", scheduler),
            component(
                *("kcm", manager, "--controllers=*", "--node-monitor-grace-period=24h"),
                *("--use-service-account-credentials=true", f"--root-ca-file={pki}/ca.crt"),
                f"--service-account-private-key-file={pki}/sa.key",
            ),
        )

    def _process(self, binary: str, *flags: str | Path) -> Process:
        return Process(binary, [tools.path(binary), *flags], self.directory / "logs" / f"{binary}.log")

    def _ready(self, process: Process, url: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self.pki.directory / "admin.crt", self.pki.directory / "admin.key")
        parts = urlsplit(url)

        def answers() -> bool:
            assert process.alive, f"{process.name} ended:\n{process.tail()}"
            connection = (
                HTTPSConnection(parts.netloc, timeout=2, context=context)
                if parts.scheme == "https"
                else HTTPConnection(parts.netloc, timeout=2)
            )
            try:
                connection.request("GET", parts.path)
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False
            finally:
                connection.close()

        until(answers, 60, lambda: f"{process.name} is not ready:\n{process.tail()}", every=0.05)


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below those that the kernel gives to outgoing connections.

    A port of the kernel's own range could be gone before its server starts, or while it is away.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(10000, max(low, 20000)), 500):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"there are no {count} free ports on 127.0.0.1")
