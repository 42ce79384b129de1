"""The commands that take no input: `crds` and `version`."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from autoslicer import __version__
from autoslicer.cli import output
from autoslicer.cli.failures import ExitCode
from autoslicer.cli.output import DataFormat
from autoslicer.core.names import API_VERSION


def crds() -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""
    from autoslicer.api.crds import crds_yaml

    output.write(crds_yaml())


def version(
    form: Annotated[DataFormat | None, typer.Option("-o", "--output", help="Without it, one line.")] = None,
) -> None:
    """Print the versions of autoslicer, of its API and of Python."""
    if form is None:
        version_line()
        return
    versions = {"version": __version__, "apiVersion": API_VERSION, "python": platform.python_version()}
    output.data(versions, form)


def version_line() -> int:
    """What `autoslicer version` prints without options, and its exit code."""
    output.write(f"autoslicer {__version__}\n")
    return ExitCode.OK
