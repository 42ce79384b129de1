"""Runs a command and measures it from outside: time, cpu and memory of all its processes together."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PERIOD_SECONDS = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command printed and took.

    Attributes:
        wall: seconds from start to end.
        cpu: seconds of user and system time, of its children too.
        peak: the most resident memory at one moment, in bytes, summed over its processes.
    """

    out: str
    err: str
    wall: float
    cpu: float
    peak: int


def run(command: Sequence[str], *, cores: int, directory: Path) -> Measured:
    """Run the command on so many cores.

    Args:
        command: program and arguments.
        cores: at most; those that this process may use, the first ones of them.
        directory: where its output is kept meanwhile.

    Raises:
        RuntimeError: it ended with another code than 0; the message has what it said.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    out, err = directory / "stdout", directory / "stderr"
    with out.open("w") as stdout, err.open("w") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, preexec_fn=lambda: os.sched_setaffinity(0, allowed)
        )
        watch = _Memory(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = max(watch.stop(), usage.ru_maxrss * 1024)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {err.read_text()[-2000:]}")
    return Measured(out.read_text(), err.read_text(), wall, usage.ru_utime + usage.ru_stime, peak)


class _Memory:
    """Watches the resident memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The most that was seen, in bytes."""
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD_SECONDS):
            self._peak = max(self._peak, sum(map(_resident, _family(self._pid))))


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        try:
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
