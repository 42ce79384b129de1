"""What processes of a pool are asked to do in tests; a process finds it by its module's name."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Marked:
    """A number, and a file in which every beginning leaves a sign."""

    number: int
    file: Path

    def begun(self) -> int:
        """How often it has begun, this time included."""
        with self.file.open("a") as file:
            file.write(".")
        return self.file.stat().st_size

    def __str__(self) -> str:
        return f"number {self.number}"


def squared(number: int) -> int:
    """After a time that lets later ones be through first."""
    time.sleep(0.2 if number == 0 else 0)
    return number * number


def refused(number: int) -> int:
    """Every odd number is; the later ones at once."""
    if number % 2:
        time.sleep(0.3 if number == 1 else 0)
        raise ValueError(f"{number} is odd")
    return number


def killed_at_first(task: Marked) -> int:
    """Number 1 kills its process, twice."""
    if task.begun() < 3 and task.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def killed_always(task: Marked) -> int:
    """Number 1 kills its process whenever it begins."""
    task.begun()
    if task.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def slow(seconds: float) -> float:
    """Takes so long."""
    time.sleep(seconds)
    return seconds


def counted(task: Marked) -> int:
    """Takes a moment, and leaves a sign of having begun."""
    task.begun()
    time.sleep(0.5)
    return task.number
