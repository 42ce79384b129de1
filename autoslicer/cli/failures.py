"""How a command ends other than well: one sentence for the user and an exit code; never a traceback."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell sees; documented in docs/cli.md."""

    OK = 0
    FAILURE = 1
    BAD_INPUT = 2
    PLAN_NOT_EMPTY = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    CLOSED_PIPE = 141


class CommandError(Exception):
    """The command could not do what was asked; the message is one sentence."""

    code = ExitCode.FAILURE


class BadInputError(CommandError):
    """What the user gave is wrong: it names the object, the field and what would be right."""

    code = ExitCode.BAD_INPUT


class UnreachableError(CommandError):
    """The API server or a Dask scheduler does not answer, or no kubeconfig leads to one."""

    code = ExitCode.UNREACHABLE


class ClosedPipeError(CommandError):
    """The reader of stdout went away; there is nothing to say and nobody to hear it."""

    code = ExitCode.CLOSED_PIPE
