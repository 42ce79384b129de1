"""Draws the runs of `benchmarks.planner` as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import mean
from typing import Any

Row = dict[str, Any]

_HEAD = (
    "scenario", "nodes/pods", "planner", "served", "gap %", "nodes", "GPUs",
    "read s", "prepare s", "solve s", "wall s", "cpu s", "peak MB",
)  # fmt: skip
_SHOWN_LEVELS = 4
"""served levels that are shown one by one; where there are more, the sums of their three thirds are"""


def served(row: Row) -> list[int]:
    """What is reached on each served level, the most important first."""
    return [level["value"] for level in row["levels"] if level["name"] == "servedWeight"]


def gap(row: Row, bounds: Sequence[int | None]) -> float:
    """How far the first served level that misses its bound is away from it, as a part of the bound."""
    for value, bound in zip(served(row), bounds, strict=True):
        if bound is not None and value < bound:
            return (bound - value) / bound
    return 0.0


def drawn(rows: Iterable[Row], ours: str) -> str:
    """The table: a line for each planner, scenario and size, with means and worst values over its runs.

    Gaps are to the bounds that the planner `ours` proves for the same cluster. A level's bound holds given
    what that planner reaches on the levels above it, so that a gap tells of the first level that falls short.
    """
    rows = list(rows)
    bounds = {
        _cluster(row): [level["bound"] for level in row["levels"] if level["name"] == "servedWeight"]
        for row in rows
        if row["planner"] == ours
    }
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scenario"], row["nodes"], row["pods"], row["planner"]), []).append(row)
    lines = [_HEAD, tuple("---" for _ in _HEAD)]
    for (scenario, nodes, pods, planner), runs in groups.items():
        gaps = [gap(run, bounds[_cluster(run)]) for run in runs]
        lines.append((scenario, f"{nodes}/{pods}", planner, *_cells(runs, gaps)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cluster(row: Row) -> tuple[Any, ...]:
    return row["scenario"], row["nodes"], row["pods"], row["seed"]


def _cells(runs: Sequence[Row], gaps: Sequence[float]) -> tuple[str, ...]:
    levels = [served(run) for run in runs]
    means = [mean(values) for values in zip(*levels, strict=True)]
    ends = [len(means) * part // 3 for part in range(4)]
    thirds = [sum(means[start:end]) for start, end in pairwise(ends)]
    shown = means if len(means) <= _SHOWN_LEVELS else thirds
    seconds = [_worst(runs, name) for name in ("read", "prepared", "solved", "wall", "cpu")]
    peak = max((run.get("peakBytes", 0) for run in runs), default=0)
    return (
        " + ".join(f"{value:.0f}" for value in shown),
        f"{100 * max(gaps):.2f}",
        f"{mean(_cost(run, 'nodesChanged') for run in runs):.0f}",
        f"{mean(_cost(run, 'gpusChanged') for run in runs):.0f}",
        *seconds,
        f"{peak / 1e6:.0f}" if peak else "",
    )


def _worst(runs: Sequence[Row], name: str) -> str:
    known = [run["seconds"][name] for run in runs if name in run["seconds"]]
    return f"{max(known):.2f}" if known else ""


def _cost(run: Row, name: str) -> int:
    return next(level["value"] for level in run["levels"] if level["name"] == name)
