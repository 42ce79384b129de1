"""The entry point: the list of commands, and how every way of ending becomes an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from autoslicer.cli import basics
from autoslicer.cli.failures import ClosedPipeError, CommandError, ExitCode

COMMANDS = {
    "plan": "plan",
    "capacity": "capacity",
    "simulate": "simulate",
    "snapshot": "snapshot",
    "record": "record",
    "profiles": "profiles",
    "crds": "basics",
    "configs": "configs",
    "approve": "changes",
    "adopt": "changes",
    "pause": "pausing",
    "resume": "pausing",
    "run": "run",
    "version": "basics",
}
"""the module of each command, in the order of the help"""


def app(only: str = "") -> typer.Typer:
    """The commands, or only the one of a name: typer takes longest to prepare what is not asked for."""
    made = typer.Typer(
        help="Scheduler-aware autoscaling of NVIDIA MIG layouts for Kubernetes.",
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    made.callback()(_nothing)
    for name in [only] if only in COMMANDS else COMMANDS:
        command = getattr(importlib.import_module(f"autoslicer.cli.{COMMANDS[name]}"), name)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command()(command)
    return made


def _nothing() -> None:
    """A callback keeps commands apart even where there is only one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one command line, the process's own by default; mistakes become sentences."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if given == ["version"]:  # at once: typer spends twice its own time on options, of which it has none
            return basics.version_line()
        command = typer.main.get_command(app(only=given[0]))
        result = command.main(given, prog_name=_program(), standalone_mode=False)
    except ClosedPipeError as closed:
        return closed.code
    except CommandError as failure:
        return _refuse(str(failure), failure.code)
    except typer.TyperException as error:
        return _refuse(f"{error.format_message().rstrip('.')} (see `{_program()} --help`)", error.exit_code)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    return int(result or ExitCode.OK)


def _refuse(message: str, code: int) -> int:
    for sentence in message.splitlines():
        print(f"error: {sentence}", file=sys.stderr)
    return code


def _program() -> str:
    """`kubectl autoslicer` where kubectl runs it as its plugin."""
    return "kubectl autoslicer" if Path(sys.argv[0]).name.startswith("kubectl-") else "autoslicer"
