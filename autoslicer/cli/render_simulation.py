"""Outcomes of a simulation for people: the answer first, then a table, then what no strategy can beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from simulations.telling import answer, bounded, wait

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.run import Outcome


def draw(console: Console, outcomes: Sequence[Outcome], bound: float | None, *, wide: bool) -> None:
    """Print the outcomes.

    Args:
        console: to print on.
        outcomes: one a strategy.
        bound: seconds that pods wait on average at least, whatever is done; None where that is not known.
        wide: also the waits of each profile.
    """
    for sentence in answer(outcomes):
        console.print(sentence)
    console.print()
    console.print(_compared(outcomes))
    if wide:
        console.print()
        console.print(_by_profile(outcomes))
    if bound is not None and bound >= 1:
        console.print(f"\n{bounded(bound)}")


def _compared(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    heads = ["served", "mean wait", "p50", "p95", "p99", "longest", "reshapes", "GPUs changed", "in use"]
    if evicted := any(one.evictions for one in outcomes):
        heads.append("evictions")
    table.add_column("strategy")
    for head in heads:
        table.add_column(head, justify="right")
    for one in outcomes:
        waits = one.waits
        table.add_row(
            one.strategy,
            f"{one.pods - one.unserved}/{one.pods}",
            *map(wait, (waits.mean, waits.p50, waits.p95, waits.p99, waits.max)),
            str(one.reshapes),
            str(one.gpus_changed),
            f"{one.utilisation:.0%}",
            *([str(one.evictions)] if evicted else []),
        )
    return table


def _by_profile(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("profile")
    table.add_column("strategy")
    for head in ("mean wait", "p50", "p95", "p99", "longest"):
        table.add_column(head, justify="right")
    for profile in sorted({profile for one in outcomes for profile in one.waits_by_profile}):
        for one in outcomes:
            waits = one.waits_by_profile[profile]
            figures = map(wait, (waits.mean, waits.p50, waits.p95, waits.p99, waits.max))
            table.add_row(profile, one.strategy, *figures)
    return table
