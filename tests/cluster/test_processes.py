"""Servers of the test cluster never outlive the test run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.cluster.processes import Process
from tests.cluster.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import signal, sys
from pathlib import Path
from tests.cluster.processes import Process
process = Process("sleeper", ["sleep", "600"], Path(sys.argv[1]))
process.start()
print(process.pid, flush=True)
signal.pause()
"""


def runs(pid: int) -> bool:
    """The process exists and is no zombie: PID 1 of a container may reap nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_of(pid: int) -> str:
    """The name of the program that the process runs."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_a_server_dies_with_a_killed_test_run(tmp_path: Path) -> None:
    """SIGKILL of the process that started a server ends the server too."""
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # from then on the kernel knows whose death is to end it
        until(lambda: command_of(pid) == "sleep", 5, lambda: f"{pid} runs {command_of(pid)}", every=0.01)
        parent.kill()
    until(lambda: not runs(pid), 5, lambda: f"{pid} runs on", every=0.01)


def test_a_kill_takes_the_children_along(tmp_path: Path) -> None:
    """What a server started is ended with it, and its own end is waited for."""
    log = tmp_path / "log"
    process = Process("shell", ["bash", "-c", "sleep 600 & echo $!; wait"], log)
    process.start()
    child = int(until(lambda: log.exists() and log.read_text(), 5, lambda: "no output"))
    process.kill()
    assert not process.alive
    until(lambda: not runs(child), 5, lambda: f"{child} runs on", every=0.01)


def test_a_process_that_nobody_holds_is_ended(tmp_path: Path) -> None:
    """Dropping the object ends the process: no test leaves one behind by an early exit."""
    process = Process("sleeper", ["sleep", "600"], tmp_path / "log")
    process.start()
    pid = process.pid
    assert runs(pid)
    del process
    until(lambda: not runs(pid), 5, lambda: f"{pid} runs on", every=0.01)


def test_starting_twice_starts_once(tmp_path: Path) -> None:
    """A process that runs is left alone; one that ended is started again."""
    process = Process("sleeper", ["sleep", "600"], tmp_path / "log")
    process.start()
    first = process.pid
    process.start()
    assert process.pid == first
    process.signal(signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM
    process.start()
    assert process.pid != first
    assert os.getpgid(process.pid) == process.pid
    process.kill()


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    """The last lines that a server wrote are what a failed wait can show."""
    process = Process(
        "shell", ["bash", "-c", "for n in 1 2 3; do echo line $n; done; exit 7"], tmp_path / "log"
    )
    process.start()
    assert process.wait(5) == 7
    assert process.tail(2).splitlines()[1:] == ["line 2", "line 3"]
