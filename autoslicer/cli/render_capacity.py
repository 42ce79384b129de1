"""How many more pods fit, and which nodes packing would free, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from autoslicer.cli.wording import examples, largest_first, number
from autoslicer.core.consolidation.packed import Freed, Packed
from autoslicer.core.remaining import Room, total
from solver.problem import counts

if TYPE_CHECKING:
    from rich.console import Console

_NAMED = 8
"""nodes that are named where not all are asked for"""


def draw(console: Console, rooms: Mapping[str, Room], packed: Packed, *, wide: bool) -> None:
    """Print the room by product and in all, and what packing would free.

    `wide` shows profiles with media extensions in any case, every node's name, and why nodes stay in use.
    """
    whole = total(rooms)
    gpus = number(whole.gpus, "GPU")
    console.print(
        f"{number(whole.nodes, 'node')} with slices or GPUs; {whole.idle} of {gpus} may be cut anew.",
        style="bold",
    )
    for product, room in rooms.items():
        console.print(
            f"\n{product or 'of no known product'}: {number(room.nodes, 'node')}, {number(room.gpus, 'GPU')}"
        )
        console.print(_table(room, wide=wide))
    if len(rooms) > 1:
        console.print("\nIn all")
        console.print(_table(whole, wide=wide))
    console.print()
    console.print(
        "Each figure holds by itself: room that one profile takes is gone for the others.", style="dim"
    )
    _draw_packed(console, packed, wide=wide)


def _draw_packed(console: Console, packed: Packed, *, wide: bool) -> None:
    console.print("\nNodes without pods that use GPUs, if those that run were packed", style="bold")
    ways = {"as it is now": Freed(packed.now, 0, ()), "moving pods of freed nodes only": packed.gently}
    if packed.tightly != packed.gently:
        ways["as tightly as can be"] = packed.tightly
    table = Table(box=None, pad_edge=False)
    table.add_column("packed")
    for head in ("free nodes", "pods moved", "nodes cut anew"):
        table.add_column(head, justify="right")
    for name, way in ways.items():
        table.add_row(name, str(len(way.nodes)), str(way.moved), str(len(way.recut)))
    console.print(table)
    for name, way in ways.items():
        if more := [node for node in way.nodes if node not in packed.now]:
            console.print(f"{name}: {examples(more, len(more) if wide else _NAMED)}")
    proven = len(packed.tightly.nodes) == packed.most
    console.print(
        "No way frees more." if proven else f"No way frees more than {number(packed.most, 'node')}."
    )
    console.print(
        f"{number(packed.movable, 'pod')} may move; {number(len(packed.held), 'node')} must stay in use."
    )
    for node, why in packed.held.items() if wide else ():
        console.print(f"{node} stays in use: {why}")


def _table(room: Room, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("profile")
    for head in ("more pods now", "after reshapes"):
        table.add_column(head, justify="right")
    shown = [name for name in room.profiles if wide or room.now[name] or not {"+", "-"} & set(name)]
    for _, profile, _ in largest_first(counts(dict.fromkeys(shown, 1))):
        table.add_row(profile, str(room.now[profile]), str(room.after[profile]))
    return table
