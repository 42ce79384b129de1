"""The real nvidia-mig-manager of one node, started and ended with its pod."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from tests.cluster import tools
from tests.cluster.api import Object
from tests.cluster.gpus import Gpus
from tests.cluster.parted import parted
from tests.cluster.processes import Process

DBUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow
own="*"/><allow user="*"/></policy>
</busconfig>
"""
RESTART_SECONDS = 1.0
"""a kubelet waits longer each time; a test does not"""


def dbus(directory: Path) -> Process:
    """The one system bus that every mig-manager connects to: without it mig-manager never writes a state."""
    socket = directory / "run" / "dbus" / "system_bus_socket"
    socket.parent.mkdir(parents=True, exist_ok=True)
    config = directory / "dbus.conf"
    config.write_text(DBUS_CONFIG.format(socket=socket))
    return Process(
        "dbus", ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"], directory / "dbus.log"
    )


class MigManager:
    """mig-manager as a process; it runs while its pod does.

    One thread plays its pod, another may crash it or take its machine away meanwhile.
    """

    def __init__(self, node: str, gpus: Gpus, directory: Path, root: Path, kubeconfig: Path) -> None:
        self._node, self._directory, self._root, self._kubeconfig = node, directory, root, kubeconfig
        self._commands = directory / "bin"
        self._commands.mkdir(parents=True)
        parted(gpus, self._commands / "nvidia-mig-parted")
        self._pod = ""
        self._process: Process | None = None
        self._not_before = 0.0
        self._said = 0
        self._lock = threading.Lock()
        self._gone = False

    @property
    def log(self) -> Path:
        """What mig-manager and mig-parted print."""
        return self._directory / "mig-manager.log"

    def start(self, pod: Object, config: Path) -> None:
        """Make sure that it runs for this pod, with this config file; one that ended is started again."""
        uid = pod["metadata"]["uid"]
        with self._lock:
            if self._gone:
                return
            if self._process is None or self._pod != uid:
                self._kill()
                self._pod, self._process = uid, self._made(config)
            if not self._process.alive and time.monotonic() >= self._not_before:
                self._not_before = time.monotonic() + RESTART_SECONDS
                self._said = self.log.stat().st_size if self.log.exists() else 0
                self._process.start()

    def rests(self, pod: Object) -> bool:
        """It runs for this pod, has dealt with the label that it found there, and waits for another."""
        with self._lock:
            if self._pod != pod["metadata"]["uid"] or self._process is None or not self._process.alive:
                return False
            said = self.log.read_bytes()[self._said :]
        # it says that it waits before it looks at the label for the first time
        return said.rfind(b"Waiting for change") > said.find(b"Updating to MIG config") >= 0

    def stop(self) -> None:
        """Kill it, where it runs."""
        with self._lock:
            self._kill()

    def remove(self) -> None:
        """Kill it for good: its machine is gone, and whoever still plays its pod starts it no more."""
        with self._lock:
            self._gone = True
            self._kill()

    def crash(self) -> None:
        """Kill the process, as if it had died by itself: its pod stays, and it is started again."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._process, self._pod, self._not_before = None, "", 0.0

    def _made(self, config: Path) -> Process:
        command: list[str | Path] = [
            *(tools.path("nvidia-mig-manager"), "-f", config, "--host-root-mount", self._root),
            *("--default-gpu-clients-namespace", "gpu-operator"),
        ]
        environment = {
            "KUBECONFIG": str(self._kubeconfig),
            "NODE_NAME": self._node,
            "PATH": f"{self._commands}:{os.environ['PATH']}",
        }
        return Process(f"mig-manager {self._node}", command, self.log, environment)
