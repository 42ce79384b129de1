"""Child processes that never outlive the test run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path


class Process:
    """A server in a process group of its own; it dies with the thread that started it.

    The kernel's parent-death signal follows the thread, not the process: start it from one that lasts. Its
    pid is in a file beside its log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.command, self.log = name, [str(word) for word in command], log
        self.environment = {**os.environ, **(environment or {})}
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; a process that runs is left alone."""
        if self.alive:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            # setpriv sets the parent-death signal and then becomes the command: a preexec_fn would run Python
            # in a fork of a process with threads
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        weakref.finalize(self, _kill, self._child)
        self.log.with_suffix(".pid").write_text(str(self._child.pid))

    @property
    def alive(self) -> bool:
        """It was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child is not None
        return self._child.pid

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        if self.alive:
            os.killpg(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Wait for its end and return its exit status."""
        assert self._child is not None
        return self._child.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._child is not None:
            _kill(self._child)

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        if not self.log.exists():
            return f"{self.name}: no log"
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- {self.log}", *text])


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
