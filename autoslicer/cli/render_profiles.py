"""GPU models and their layouts, as a document and as tables."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from autoslicer.cli.failures import BadInputError
from autoslicer.cli.wording import largest_first, layout, number, ranges
from solver import geometry
from solver.geometry import Geometry
from solver.profile_name import parse, resource_name

if TYPE_CHECKING:
    from rich.console import Console


def known() -> list[Geometry]:
    """Every model, in the order of the table."""
    return list(geometry.models())


def find(product: str) -> Geometry:
    """The model behind a product label, a model's name or the unambiguous start of one.

    Raises:
        BadInputError: there is none.
    """
    wanted = product.lower()
    by_model = {known.model.lower(): known for known in geometry.models()}
    if found := by_model.get(wanted) or geometry.by_product(product):
        return found
    matching = [name for name in by_model if name.startswith(wanted)]
    if len(matching) == 1:
        return by_model[matching[0]]
    near = matching or get_close_matches(wanted, by_model, n=1)
    instead = " or ".join(by_model[name].model for name in near)
    hint = f"did you mean {instead}?" if near else "`autoslicer profiles` lists the models"
    raise BadInputError(f"no GPU model or product {product!r} is known; {hint}")


def item(found: Geometry) -> dict[str, Any]:
    """A model as an item of a GeometryList."""
    return {
        "model": found.model,
        "computeSlices": found.compute_slices,
        "memorySlices": found.memory_slices,
        "profiles": [
            {
                "name": p.name,
                "resource": resource_name(p.name),
                "computeSlices": p.compute,
                "memorySlices": p.size,
                "maxCount": p.max_count,
                "starts": list(p.starts),
            }
            for p in found.profiles
        ],
        "maximalLayouts": [dict(counts) for counts in found.maximal_multisets()],
    }


def draw_list(console: Console, found: list[Geometry]) -> None:
    """Print a line a model."""
    from rich.table import Table

    table = Table("MODEL", "SLICES", "PROFILES", box=None, pad_edge=False, header_style="bold")
    for known in found:
        slices = f"{known.compute_slices} compute, {known.memory_slices} memory"
        table.add_row(known.model, slices, " ".join(_plain(known)))
    console.print(table)


def draw_one(console: Console, found: Geometry, *, every: bool) -> None:
    """Print the profiles of a model and its maximal layouts; those of plain profiles, or `every` one."""
    from rich.table import Table

    console.print(
        f"{found.model}: {found.compute_slices} compute slices, {found.memory_slices} memory slices\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (
        ("PROFILE", 0),
        ("RESOURCE", 0),
        ("COMPUTE", 1),
        ("MEMORY", 1),
        ("MAX", 1),
        ("STARTS AT", 0),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for p in found.profiles:
        table.add_row(
            p.name, resource_name(p.name), str(p.compute), str(p.size), str(p.max_count), ranges(p.starts)
        )
    console.print(table)
    layouts = found.maximal_multisets(None if every else frozenset(_plain(found)))
    kind = "" if every else " of plain profiles (-o wide: of all)"
    console.print(f"\n{number(len(layouts), 'maximal layout')}{kind}")
    for counts in sorted(layouts, key=largest_first):
        console.print(f"  {layout(counts)}")


def _plain(found: Geometry) -> list[str]:
    """The profiles without an attribute such as +me."""
    return [p.name for p in found.profiles if not parse(p.name).attribute]
