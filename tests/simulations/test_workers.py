"""Tasks in several processes: the order of what comes out, mistakes, and processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulations.workers import ATTEMPTS, Processes, WorkersLostError
from tests.simulations.tasks import Marked, killed_always, killed_at_first, refused, squared

CHILDREN = """
import sys
from simulations.workers import Processes
from tests.simulations.tasks import slow
print("begins", flush=True)
Processes(2).results(slow, [600.0] * 4, lambda: None)
"""


def marked(folder: Path, count: int) -> list[Marked]:
    return [Marked(number, folder / str(number)) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(count: int) -> None:
    """Whatever is through first, with any number of processes, and each is told of once."""
    done: list[None] = []
    found = Processes(count).results(squared, range(7), lambda: done.append(None))
    assert found == [number * number for number in range(7)]
    assert len(done) == 7


def test_nothing_to_do_is_done_at_once() -> None:
    """No process is needed for it."""
    assert Processes(2).results(squared, [], lambda: None) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_first_mistake_of_the_request_is_told(count: int) -> None:
    """Not the one that came first: the same sentence with any number of processes."""
    with pytest.raises(ValueError, match=r"^1 is odd$"):
        Processes(count).results(refused, range(9), lambda: None)


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """Its task is begun again, and so is what ran beside it; the rest runs once."""
    tasks = marked(tmp_path, 6)
    assert Processes(2).results(killed_at_first, tasks, lambda: None) == list(range(6))
    begun = [task.file.stat().st_size for task in tasks]
    assert begun[1] == 3
    assert begun[4:] == [1, 1]


def test_a_task_that_always_loses_its_process_is_given_up(tmp_path: Path) -> None:
    """After a number of attempts, in a sentence that names it."""
    tasks = marked(tmp_path, 4)
    with pytest.raises(
        WorkersLostError, match=r"^number 1: the process that worked on it was killed 3 times"
    ):
        Processes(2).results(killed_always, tasks, lambda: None)
    assert tasks[1].file.stat().st_size == ATTEMPTS


def children(parent: int) -> list[int]:
    """The processes that work for another one."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    return [
        int(child) for child in listed.split() if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return "\nState:\tZ" in Path(f"/proc/{process}/status").read_text(encoding="utf-8")


def until(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_began_them(how: signal.Signals) -> None:
    """Nobody has to look for them afterwards, however it was ended."""
    with subprocess.Popen([sys.executable, "-c", CHILDREN], stdout=subprocess.PIPE, text=True) as parent:
        try:
            until(lambda: len(children(parent.pid)) == 2)
            working = children(parent.pid)
            time.sleep(1)  # they are past their own start
            parent.send_signal(how)
            until(lambda: all(map(gone, working)))
        finally:
            parent.kill()
