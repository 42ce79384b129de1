"""Directories of test clusters: made for one test run, and swept after runs that were killed.

A run that ends by itself removes its directory. After SIGKILL the kernel has ended the servers
(`processes.py`) but the directory is left, with 120 MB of etcd's; the next run finds it by the mark of an
owner that is gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

PREFIX = "autoslicer-test-cluster-"


def make() -> Path:
    """A fresh directory that carries this process's mark."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    part = directory / "owner.part"
    part.write_text(_identity(os.getpid()))
    part.rename(directory / "owner")
    return directory


def remove(directory: Path, *, keep_logs: bool = False) -> None:
    """Remove the directory, or all but what helps to see why a test failed; then no sweep touches it."""
    if not keep_logs:
        shutil.rmtree(directory, ignore_errors=True)
        return
    shutil.rmtree(directory / "etcd", ignore_errors=True)
    (directory / "owner").unlink(missing_ok=True)


def sweep(base: Path | None = None) -> list[Path]:
    """Remove the directories whose owners are gone, after ending what still runs of them; return them."""
    swept = []
    for mark in sorted((base or Path(tempfile.gettempdir())).glob(f"{PREFIX}*/owner")):
        # another user's, or another sweep was faster
        with contextlib.suppress(OSError):
            owner = mark.read_text()
            if os.access(mark, os.W_OK) and owner != _identity(int(owner.split()[0])):
                _end_servers(mark.parent)
                shutil.rmtree(mark.parent)
                swept.append(mark.parent)
    return swept


def _end_servers(directory: Path) -> None:
    for file in directory.rglob("*.pid"):
        with contextlib.suppress(OSError):
            pid = int(file.read_text())
            # a number is given again to others: only a command that names this directory is ours
            if str(directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.killpg(pid, signal.SIGKILL)


def _identity(pid: int) -> str:
    """The pid and the time its process started, which together name one process; empty when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # the command's name, in parentheses, may hold anything
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else f"{pid} {fields[18]}"
