"""`autoslicer capacity SCENARIO`: how many more nodes until the pods are served."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoslicer.cli import output
from autoslicer.cli.failures import BadInputError
from autoslicer.cli.output import Format, say
from autoslicer.cli.wording import number, skipped

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.scenario.scenario import Node
    from simulations.sizing import Goal, Sized, Trial

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", re.ASCII)


def size(
    scenario: Path, until_served: str, within: float | None, most: int, form: Format, *, lenient: bool
) -> None:
    """Find and print the need of more nodes.

    Args:
        scenario: the file.
        until_served: the share of the pods, in per cent.
        within: seconds from a pod's arrival to its binding; None for ever.
        most: nodes of a kind that are tried at most.
        form: of the output.
        lenient: lines of a trace that are wrong are left out, and counted on stderr.

    Raises:
        BadInputError: something is not as it must be; lines are looked at before anything is simulated.
    """
    from simulations.scenario.load import load
    from simulations.scenario.scenario import digest
    from simulations.sizing import Goal, left_out, sizes
    from simulations.workload.mistakes import InputError

    goal = Goal(_share(until_served), math.inf if within is None else within, most)
    try:
        found = load(scenario)
        if found.snapshot is not None:
            raise BadInputError(
                f"{scenario}: cluster.snapshot names no kinds of nodes to add; describe nodes"
            )
        sure = digest(found)
        if without := left_out(found, lenient=lenient):
            say(skipped(without))
        sized = list(sizes(found, goal, _tell, lenient=lenient))
    except InputError as error:
        raise BadInputError(str(error)) from None
    if form.for_people:
        output.drawn(lambda console: _draw(console, goal, sized))
    else:
        output.data(_document(sure, goal, sized), form)


def _share(text: str) -> Fraction:
    found = _PERCENT.fullmatch(text)
    if found is None or not 0 < Fraction(found[1]) <= 100:
        raise BadInputError(f"--until-served: {text!r} is no share of pods; it should read like 99% or 99.5%")
    return Fraction(found[1]) / 100


def _tell(node: Node, trial: Trial) -> None:
    pods = number(trial.pods, "pod")
    say(f"{node.product}: {trial.more} more like {node.name}: {trial.served} of {pods} served")


def _document(digest: str, goal: Goal, sized: Sequence[Sized]) -> dict[str, Any]:
    return {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "CapacityNeed",
        "scenario": {"digest": digest},
        "share": float(goal.share),
        "withinSeconds": None if goal.within == math.inf else goal.within,
        "nodes": [
            {
                "like": one.node.name,
                "product": one.node.product,
                "gpus": one.node.gpus,
                "more": one.more,
                "tried": [{"more": t.more, "pods": t.pods, "served": t.served} for t in one.trials],
            }
            for one in sized
        ],
    }


def _draw(console: Console, goal: Goal, sized: Sequence[Sized]) -> None:
    from rich.table import Table

    soon = "" if goal.within == math.inf else f" within {goal.within:g} s"
    console.print(
        f"More nodes until {float(goal.share * 100):.6g} % of the pods are served{soon}, of one kind alone:",
        style="bold",
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("like")
    table.add_column("product")
    for head in ("GPUs each", "more nodes", "served then"):
        table.add_column(head, justify="right")
    for one in sized:
        last = one.trials[-1] if one.more is None else next(t for t in one.trials if t.more == one.more)
        more = f"over {goal.most}" if one.more is None else str(one.more)
        table.add_row(one.node.name, one.node.product, str(one.node.gpus), more, f"{last.served}/{last.pods}")
    console.print(table)
    simulations = len({(one.node.name if t.more else "", t.more) for one in sized for t in one.trials})
    console.print(
        f"\nFound by {number(simulations, 'simulation')} of autoslicer in this scenario.", style="dim"
    )
