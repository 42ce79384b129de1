"""Options that several commands have, and which of a command's options were given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

LenientOption = Annotated[
    bool, typer.Option("--lenient", help="Leave out lines of a trace that are wrong, and count them.")
]


def first_given(context: typer.Context, names: Iterable[str]) -> str | None:
    """The first of these parameters that stands on the command line, as its option reads; None if none does.

    An option that was given its default value was given all the same.
    """
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            return options[name]
    return None
