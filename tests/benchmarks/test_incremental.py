"""One more pod: its kinds do what their names say, and planning leaves the event loop alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import incremental
from benchmarks.scenarios import SCENARIOS, Size


def test_each_kind_of_pod_is_what_it_is_called(tmp_path: Path) -> None:
    """Fitting ones are served as the GPUs are cut, hopeless ones not at all, and every time is measured."""
    file = tmp_path / "rows.json"
    command = ["--scenario", "overload", "--size", "30/300", "--pods", "5", "--json", str(file)]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.incremental", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    _, *rows = json.loads(file.read_text())["rows"]
    by = {row["arrival"]: row["served"] for row in rows}
    assert by["fits"] == {"free": 5}
    assert by["hopeless"] == {"unserved": 5}
    assert sum(by["searched"].values()) == 5
    assert all(0 < row["medianSeconds"] <= row["p95Seconds"] <= row["worstSeconds"] for row in rows)
    assert all(row["stallSeconds"] > 0 for row in rows)
    assert len(ended.stdout.splitlines()) == 2 + 1 + 3


def test_the_event_loop_has_its_turn_during_a_plan() -> None:
    """At 1,000 nodes and 5,000 pods it never waits while we compute for 50 ms, in no plan."""
    rows = asyncio.run(incremental.measure(SCENARIOS["underload"], Size(1000, 5000), seed=1, count=3))
    assert len(rows) == 4
    assert all(0 < row["stallCpuSeconds"] < 0.05 for row in rows)
