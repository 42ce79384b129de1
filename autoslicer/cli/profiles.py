"""`autoslicer profiles`: what each GPU model can be cut into."""

from __future__ import annotations

from typing import Annotated

import typer

from autoslicer.cli import output
from autoslicer.cli.output import Format
from autoslicer.core.names import API_VERSION


def profiles(
    product: Annotated[
        str, typer.Argument(help="A value of the label nvidia.com/gpu.product, or a model from the list.")
    ] = "",
    form: Annotated[
        Format, typer.Option("-o", "--output", help="wide lists every maximal layout.")
    ] = Format.TABLE,
) -> None:
    """Show the MIG profiles, placements and layouts of a GPU model, or list the models that are known."""
    from autoslicer.cli import render_profiles as render

    found = [render.find(product)] if product else render.known()
    if not form.for_people:
        items = [render.item(known) for known in found]
        output.data({"apiVersion": API_VERSION, "kind": "GeometryList", "items": items}, form)
    elif product:
        output.drawn(lambda console: render.draw_one(console, found[0], every=form == Format.WIDE))
    else:
        output.drawn(lambda console: render.draw_list(console, found))
