"""What the comparison of planners rests on: honest bounds, true measurements, and no silent defeat."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bound, measuring, planner, table
from solver.solve import solve
from tests.solver import tiny


def _row(name, served, bounds=None, **more):
    levels = [
        {"name": "servedWeight", "value": value, "bound": bounds[i] if bounds else None}
        for i, value in enumerate(served)
    ]
    costs = [{"name": cost, "value": 1} for cost in ("nodesChanged", "gpusChanged")]
    about = {"scenario": "overload", "nodes": 1, "pods": 9, "seed": 1}
    return {**about, "planner": name, "levels": levels + costs, "seconds": {"solved": 0.5}, **more}


@pytest.mark.parametrize("alone", [True, False])
def test_the_independent_bound_holds_and_is_close(alone, monkeypatch):
    """No optimum passes the relaxation's bound, node by node or by kind, and mostly they are equal."""
    monkeypatch.setattr(bound, "MOST_ALONE", 100 if alone else 0)
    rng = random.Random(11)
    equal = levels = 0
    for _ in range(150):
        problem = tiny.problem(*tiny.tiny(rng))
        values = [level.value for level in solve(problem).levels if level.name == "servedWeight"]
        for value, most in zip(values, bound.bounds(problem, values), strict=True):
            assert value <= most
            equal += value == most
            levels += 1
    assert equal > 0.5 * levels


def test_a_baseline_that_serves_more_is_a_fault():
    """Levels are compared one after the other, the most important first; a broken bound is a fault too."""
    ours = _row("autoslicer", [3, 2], [3, 4])
    assert list(planner.faults([ours, _row("nos", [3, 2]), _row("first-fit", [2, 9])])) == []
    assert len(list(planner.faults([ours, _row("nos", [3, 3])]))) == 1
    assert list(planner.faults([{**ours, "independentBounds": [3, 2]}])) == []
    assert len(list(planner.faults([{**ours, "independentBounds": [2, 2]}]))) == 1


def test_the_table_has_means_and_worst_values():
    """Of two runs the served pods are averaged, and the larger gap and time are shown."""
    slow = _row("autoslicer", [8], [10]) | {"seed": 2, "seconds": {"solved": 2.0}, "peakBytes": 3_000_000}
    first, rule, line = table.drawn([_row("autoslicer", [10], [10]), slow], "autoslicer").splitlines()
    assert first.count("|") == rule.count("|") == line.count("|")
    cells = dict(zip(first.split(" | "), line.split(" | "), strict=True))
    assert [cells[name] for name in ("served", "gap %", "solve s")] == ["9", "20.00", "2.00"]


def test_time_and_memory_of_all_processes_are_measured(tmp_path: Path):
    """Memory of a process and its child is added up, and the cpu of a child counts."""
    hold = "b = bytearray(60_000_000); sum(range(6_000_000)); import time; time.sleep(0.3)"
    twice = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}; p.wait()"
    )
    measured = measuring.run([sys.executable, "-c", twice], cores=2, directory=tmp_path)
    assert measured.peak > 120_000_000
    assert measured.wall > 0.3
    assert measured.cpu > 0.05


def test_a_command_that_fails_is_told(tmp_path: Path):
    """The error has the code and what the command said."""
    with pytest.raises(RuntimeError, match="ended with 3: no"):
        measuring.run(
            [sys.executable, "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)"],
            cores=1,
            directory=tmp_path,
        )


def test_the_command_compares_all_planners(tmp_path: Path):
    """One small cluster: a row for each planner, the split of our time, and a bound that agrees."""
    file = tmp_path / "runs.json"
    command = ["--scenario", "three-priorities", "--size", "4/40", "--cross-check", "--json", str(file)]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.planner", *command], capture_output=True, text=True, check=True
    )
    ours, *theirs = json.loads(file.read_text())["rows"]
    assert {row["planner"] for row in theirs} == {"first-fit", "best-fit", "nos", "nos charitable"}
    laps = {"read", "prepared", "solved", "explained", "digested", "printed"}
    assert set(ours["seconds"]) == {*laps, "wall", "cpu"}
    assert ours["peakBytes"] > 20_000_000
    assert all(
        value <= most for value, most in zip(table.served(ours), ours["independentBounds"], strict=True)
    )
    assert len(ended.stdout.splitlines()) == 2 + 5
