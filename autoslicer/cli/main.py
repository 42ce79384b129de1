"""The entry point: the list of commands, and how every way of ending becomes an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from autoslicer.cli import basics
from autoslicer.cli.failures import ClosedPipeError, CommandError, ExitCode
from autoslicer.cli.output import say, unwritten

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
SILENT = ("record", "run")
"""the commands that write nothing to stdout"""
_HELP = {"-h", "--help"}


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
    if sys.stderr is None:  # closed: what is printed to None goes to stdout
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    try:
        if sys.stdout is None and given[0] not in SILENT:
            raise CommandError("stdout is closed; there is nowhere to write to")
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
    except OSError as error:
        if not _HELP & set(given):
            raise
        unheard = unwritten(error)  # the help is all that others than `output` write
        return _refuse(str(unheard), unheard.code)
    return int(result or ExitCode.OK)


def _refuse(message: str, code: int) -> int:
    for sentence in message.splitlines():
        say(f"error: {sentence}")
    return code


def _program() -> str:
    """`kubectl autoslicer` where kubectl runs it as its plugin."""
    return "kubectl autoslicer" if Path(sys.argv[0]).name.startswith("kubectl-") else "autoslicer"
