"""How well and how fast autoslicer plans, beside first-fit, best-fit and nos on the same clusters.

`python -m benchmarks.planner [--scenario NAME] [--size NODES[/PODS]] [--seeds N] [--goals] [--cross-check]
[--json FILE]` writes each cluster to a file and runs `autoslicer plan -f FILE` on it as a process of its own,
then the baselines on the same problem. It prints a table row for each planner, scenario and size: the mean
over the seeds of what is served and changed, the worst of gaps, times and memory. It ends with code 1 where a
baseline serves more, or a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import measuring, table
from benchmarks.scenarios import SCENARIOS, SIZES, Scenario, Size, size

GOALS = (
    ("overload", SIZES[0]),
    ("overload", SIZES[1]),
    ("underload", SIZES[2]),
    ("overload", SIZES[3]),
    ("overload", SIZES[4]),
)
"""the instances that goals are set for"""
PROGRAM = Path(sys.executable).parent / "autoslicer"
US = "autoslicer"

Row = dict[str, Any]


def measure(
    scenario: Scenario, extent: Size, seed: int, *, cores: int, effort: int, cross_check: bool
) -> Iterator[Row]:
    """One row for each planner's run on that cluster, autoslicer's first.

    Raises:
        RuntimeError: a process failed.
    """
    about = {"scenario": scenario.name, "nodes": extent.nodes, "pods": extent.pods, "seed": seed}
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        dump, plan = directory / "dump.json", directory / "plan.json"
        module = [sys.executable, "-m"]
        drawing = [scenario.name, "--size", str(extent), "--seed", str(seed), "--output", str(dump)]
        measuring.run([*module, "benchmarks.generate", *drawing], cores=cores, directory=directory)
        command = [str(PROGRAM), "plan", "-f", str(dump), "-o", "json", "--timings"]
        command += ["--effort", str(effort)] if effort else []
        ours = measuring.run(command, cores=cores, directory=directory)
        plan.write_text(ours.out, encoding="utf-8")
        checking = ["--cross-check", str(plan)] if cross_check else []
        theirs = measuring.run(
            [*module, "benchmarks.rivals", str(dump), *checking], cores=cores, directory=directory
        )
    found = json.loads(theirs.out)
    row = {**about, **_ours(ours)}
    if cross_check:
        row["independentBounds"] = found["bounds"]
    yield row
    yield from ({**about, **each} for each in found["rows"])


def _ours(measured: measuring.Measured) -> Row:
    objective = json.loads(measured.out)["objective"]
    line = next(line for line in measured.err.splitlines() if line.startswith("timings: "))
    laps = {name: float(seconds) for name, seconds in re.findall(r"(\w+) ([\d.]+) s", line)}
    return {
        "planner": US,
        "levels": objective["levels"],
        "status": objective["status"],
        "seconds": {**laps, "wall": round(measured.wall, 3), "cpu": round(measured.cpu, 3)},
        "peakBytes": measured.peak,
    }


def faults(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence for each baseline that serves more than autoslicer, and for each bound that is broken.

    Args:
        rows: of one cluster, autoslicer's first.
    """
    ours, *theirs = rows
    where = f"{ours['scenario']} {ours['nodes']}/{ours['pods']} seed {ours['seed']}"
    served = table.served(ours)
    for row in theirs:
        if table.served(row) > served:
            yield f"{where}: {row['planner']} serves more: {table.served(row)} against {served}"
    for value, bound in zip(served, ours.get("independentBounds", ()), strict=False):
        if value > bound:
            yield f"{where}: {value} are served where an independent bound says {bound}"


def main() -> int:
    given = _arguments()
    todo = list(GOALS) if given.goals else []
    if not given.goals or given.scenario or given.size:
        names, sizes = given.scenario or list(SCENARIOS), given.size or ["10", "100"]
        todo += [(name, size(text, SCENARIOS[name])) for text in sizes for name in names]
    rows: list[Row] = []
    broken: list[str] = []
    for name, extent in todo:
        for seed in range(1, given.seeds + 1):
            print(f"{name} {extent}, seed {seed} ...", file=sys.stderr, flush=True)
            found = list(
                measure(
                    SCENARIOS[name],
                    extent,
                    seed,
                    cores=given.cores,
                    effort=given.effort,
                    cross_check=given.cross_check,
                )
            )
            rows += found
            broken += faults(found)
    print(table.drawn(rows, US))
    if given.json:
        machine = {"python": platform.python_version(), "cores": min(given.cores, os.cpu_count() or 1)}
        text = json.dumps({"machine": machine, "rows": rows, "faults": broken}, indent=1)
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    for fault in broken:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planner", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--scenario", action="append", choices=SCENARIOS, help="may be repeated; default: all"
    )
    parser.add_argument(
        "--size", action="append", metavar="NODES[/PODS]", help="may be repeated; default: 10 and 100"
    )
    parser.add_argument("--goals", action="store_true", help="the five instances that goals are set for")
    parser.add_argument("--seeds", type=int, default=1, help="clusters of each kind; default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--effort", type=int, default=0, help="as of autoslicer plan")
    parser.add_argument(
        "--cross-check",
        action="store_true",
        help="compare our bounds with those of an independent relaxation",
    )
    parser.add_argument("--json", metavar="FILE", help="write every run to this file")
    given = parser.parse_args()
    try:
        for text in given.size or ():
            size(text, SCENARIOS["overload"])
    except ValueError as error:
        parser.error(str(error))
    return given


if __name__ == "__main__":
    sys.exit(main())
