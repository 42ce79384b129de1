"""What one more pending pod costs, in the state of a controller that has planned for all the others.

`python -m benchmarks.incremental [--scenario NAME] [--size NODES[/PODS]] [--seed N] [--pods N] [--json FILE]`
plans for a cluster as the controller does, then for the same cluster with one more pod, again and again: pods
that fit into free slices, pods that no node could ever hold, and pods for which a reshape is searched. Beside
the times it shows the longest that an event loop in the same process was held up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import math
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from autoslicer.controller import search
from autoslicer.core import reading
from autoslicer.core.planner import Outcome, Prepared, replan
from autoslicer.core.policy import BUILT_IN, Policy
from autoslicer.core.rows import PodRow
from autoslicer.core.snapshot import Snapshot, assemble
from benchmarks import generate, objects
from benchmarks.scenarios import SCENARIOS, Scenario, Size, size
from benchmarks.workload import NEWCOMERS

Row = dict[str, Any]
POLICY = replace(BUILT_IN, pending_seconds=30.0, batch_idle_seconds=10.0, batch_max_seconds=60.0)
"""with the windows that a policy has by default"""
FIRST, LATER = objects.NOON + 120, objects.NOON + 121
"""when all other pods have waited out these windows, and when the newcomer has"""
_BEAT_SECONDS = 0.001
_HEAD = (
    "nodes/pods", "pod", "n", "free", "reshape", "unserved",
    "median ms", "p95 ms", "p95 cpu ms", "worst ms", "digest ms", "stall ms", "stall cpu ms",
)  # fmt: skip
_TIMES = (
    "medianSeconds",
    "p95Seconds",
    "p95CpuSeconds",
    "worstSeconds",
    "digestSeconds",
    "stallSeconds",
    "stallCpuSeconds",
)


@dataclass(slots=True)
class Stall:
    """The longest that the event loop took for a beat of a millisecond.

    Attributes:
        worst: in seconds.
        own: in seconds of the processor that this process used meanwhile: what other processes do to the
            machine is not in it.
    """

    worst: float = 0.0
    own: float = 0.0


@contextlib.asynccontextmanager
async def beating() -> AsyncIterator[Stall]:
    """Measure how long the event loop is held up meanwhile."""
    found = Stall()

    async def beat() -> None:
        last, used = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            now, uses = time.perf_counter(), time.process_time()
            found.worst = max(found.worst, now - last - _BEAT_SECONDS)
            found.own = max(found.own, uses - used)
            last, used = now, uses

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        heart.cancel()


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan as the controller makes it.

    Attributes:
        seconds: from the snapshot to the plan, without its digest.
        cpu: seconds of the processor for the same.
        digest: seconds for its digest.
        stall: the longest that the event loop was held up.
    """

    outcome: Outcome
    prepared: Prepared
    seconds: float
    cpu: float
    digest: float
    stall: Stall


async def planned(snapshot: Snapshot, prepared: Prepared, now: float) -> Planned:
    """Plan apart from the event loop, from what was prepared."""
    at: dict[str, float] = {}
    cpu: dict[str, float] = {}

    def reached(stage: str) -> None:
        at[stage], cpu[stage] = time.perf_counter(), time.thread_time()

    def work() -> tuple[Outcome, Prepared]:
        reached("begun")
        policies: Mapping[str, Policy] = {POLICY.name: POLICY}
        return replan(snapshot, policies, now, prepared, waiting=True, reached=reached)

    async with beating() as stall:
        outcome, made = await search.apart(work)
        await asyncio.sleep(2 * _BEAT_SECONDS)
    return Planned(
        outcome,
        made,
        at["explained"] - at["begun"],
        cpu["explained"] - cpu["begun"],
        at["digested"] - at["explained"],
        stall,
    )


def left_over(prepared: Prepared) -> dict[str, int]:
    """Free slices that the plan neither uses nor changes, by profile."""
    found: Counter[str] = Counter()
    assert prepared.known is not None
    for place in prepared.known.nodes.values():
        found.update(place.free)
    return dict(+found)


def with_pod(snapshot: Snapshot, row: PodRow) -> Snapshot:
    """The cluster with one more pod, put together as the controller's cache does it."""
    rows = (snapshot.nodes, snapshot.pods, snapshot.mignodes)
    return assemble([*(row for mapping in rows for row in mapping.values()), row])


async def measure(scenario: Scenario, extent: Size, seed: int, count: int) -> list[Row]:
    """A row for the first plan, and one for each kind of pod that comes then."""
    items = generate.items(scenario, extent, seed)
    snapshot = assemble(reading.READERS[item["kind"]](item) for item in items)
    about = {"scenario": scenario.name, "nodes": extent.nodes, "pods": extent.pods, "seed": seed}
    # as the controller has done it by then
    importlib.import_module("solver.linear")
    importlib.import_module("solver.model")
    first = await planned(snapshot, Prepared(), FIRST)
    rows = [{**about, "arrival": "(first plan)", **_figures([first])}]
    free = left_over(first.prepared)
    for kind in NEWCOMERS:
        runs = []
        by: Counter[str] = Counter()
        for item in generate.newcomers(kind, scenario, free, count, seed):
            pod = reading.READERS["Pod"](item)
            assert isinstance(pod, PodRow)
            runs.append(await planned(with_pod(snapshot, pod), first.prepared, LATER))
            served = {row.pod: row.by.value for row in runs[-1].outcome.plan.served}
            by[served.get(pod.key, "unserved")] += 1
        rows.append({**about, "arrival": kind, "served": dict(by), **_figures(runs)})
    return rows


def _figures(runs: Sequence[Planned]) -> Row:
    seconds = sorted(run.seconds for run in runs)
    return {
        "runs": len(runs),
        "medianSeconds": median(seconds),
        "p95Seconds": _p95(seconds),
        "p95CpuSeconds": _p95(sorted(run.cpu for run in runs)),
        "worstSeconds": seconds[-1],
        "digestSeconds": median(run.digest for run in runs),
        "stallSeconds": max(run.stall.worst for run in runs),
        "stallCpuSeconds": max(run.stall.own for run in runs),
    }


def _p95(ordered: Sequence[float]) -> float:
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


def drawn(rows: Sequence[Row]) -> str:
    """The table, in milliseconds."""
    lines = [_HEAD, tuple("---" for _ in _HEAD)]
    for row in rows:
        by = row.get("served", {})
        served = [str(by.get(name, "")) for name in ("free", "reshape", "unserved")]
        times = [f"{1000 * row[name]:.1f}" for name in _TIMES]
        lines.append((f"{row['nodes']}/{row['pods']}", row["arrival"], str(row["runs"]), *served, *times))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.incremental", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="overload", help="default: %(default)s")
    parser.add_argument("--size", default="1000/20000", metavar="NODES[/PODS]", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--pods", type=int, default=100, help="of each kind; default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    given = parser.parse_args()
    scenario = SCENARIOS[given.scenario]
    try:
        extent = size(given.size, scenario)
    except ValueError as error:
        parser.error(str(error))
    rows = asyncio.run(measure(scenario, extent, given.seed, given.pods))
    print(drawn(rows))
    if given.json:
        Path(given.json).write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
