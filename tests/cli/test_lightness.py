"""What a command costs before it does anything: modules, time to start, memory to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.build import dump, node, pod
from tests.cli.dump import waiting_for_a_reshape

Saved = Callable[[Any], str]
HEAVY = ("ortools", "numpy", "pandas")
LIST_MODULES = """
import sys
from autoslicer.cli.main import main
code = main(sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
PRINT_PEAK = """
import sys
from pathlib import Path
from autoslicer.cli.main import main
code = main(sys.argv[1:])
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak.split()[1], file=sys.stderr)
sys.exit(code)
"""
MIB = 1 << 20


def loaded(*arguments: str) -> frozenset[str]:
    """The top-level modules that a fresh interpreter has loaded at the end of a command line."""
    ran = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments], capture_output=True, text=True, check=True
    )
    code, *modules = ran.stderr.splitlines()[-1].split()
    assert code == "0"
    return frozenset(modules)


def test_the_solver_library_is_loaded_where_there_is_something_to_solve(saved: Saved) -> None:
    """A pod that waits for a reshape needs the exact model, so that its absence elsewhere says something."""
    assert "ortools" in loaded("plan", "-f", saved(waiting_for_a_reshape()))


@pytest.mark.parametrize(
    "arguments", [["version"], ["version", "-o", "json"], ["profiles"], ["profiles", "A30"], ["crds"], ["-h"]]
)
def test_commands_that_solve_nothing_load_no_solver_library(arguments: list[str]) -> None:
    """Nor numpy or pandas, which come with it."""
    assert not loaded(*arguments) & set(HEAVY)


def test_a_plan_without_a_search_loads_no_solver_library(saved: Saved) -> None:
    """Nobody waits; or every pod fits into what is free: nothing is solved."""
    cut, free = node("a").gpus(1).config("all-1g.10gb"), pod("ns/w").wants({"1g.10gb": 1})
    for found in (dump(cut), dump(cut, free)):
        assert not loaded("plan", "-f", saved(found)) & set(HEAVY)


def cpu(arguments: list[str]) -> float:
    """The least user and system time of a few runs, in seconds."""

    def once() -> float:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime

    return min(once() for _ in range(5))


def test_version_starts_as_fast_as_its_libraries_let_it() -> None:
    """It takes at most twice the time that importing typer and pydantic takes."""
    libraries = cpu([sys.executable, "-c", "import typer, pydantic"])
    assert cpu([sys.executable, "-m", "autoslicer", "version"]) < 2 * libraries


def pages(nodes: int, pods: int, size: int) -> Iterator[bytes]:
    """A List of that many objects, each padded to that many bytes, as kubectl prints it."""
    yield b'{\n    "apiVersion": "v1",\n    "items": [\n'
    models = (
        (node("NAME").gpus(8).config("all-balanced").raw, nodes),
        (pod("ns/NAME").wants({"1g.10gb": 1}).on("n0").raw, pods),
    )
    before = ""
    for raw, count in models:
        raw["metadata"]["annotations"] = {f"example.com/{i}": "x" * 200 for i in range(size // 225)}
        text = json.dumps(raw, indent=4)
        for index in range(count):
            yield (before + text.replace("NAME", f"n{index}")).encode()
            before = ",\n"
    yield b'\n    ],\n    "kind": "List"\n}\n'


def peak(arguments: list[str], data: Iterator[bytes]) -> int:
    """Bytes of memory that a command had at most while it read the data on stdin.

    As the kernel counts them for the program itself: its rusage would begin with what this process has.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PRINT_PEAK, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin as stdin:
        stdin.writelines(data)
    with process.stderr as stderr:
        *_, last = stderr.read().split()
    assert process.wait() == 0
    return int(last) * 1024


def test_a_large_dump_does_not_fill_the_memory() -> None:
    """1,000 nodes and 20,000 pods of 8 kB, 170 MB of JSON, are planned for in less than that."""
    assert sum(map(len, pages(1, 1, 8000))) > 16_000
    assert peak(["plan", "-f", "-", "-o", "json"], pages(1000, 20_000, 8000)) < 160 * MIB
