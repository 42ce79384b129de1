"""The entry point: the list of commands, and how every way of ending becomes an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from autoslicer.cli import basics, changes, configs, plan, profiles, run, snapshot
from autoslicer.cli.failures import ClosedPipeError, CommandError, ExitCode

app = typer.Typer(
    help="Scheduler-aware autoscaling of NVIDIA MIG layouts for Kubernetes.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(plan.plan)
app.command()(snapshot.snapshot)
app.command()(profiles.profiles)
app.command()(basics.crds)
app.add_typer(configs.configs, name="configs")
app.command()(changes.approve)
app.command()(changes.adopt)
app.command()(run.run)
app.command()(basics.version)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one command line, the process's own by default; mistakes become sentences."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    try:
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
