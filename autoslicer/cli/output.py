"""Where output goes: data to stdout in the format asked for, everything said besides to stderr."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from autoslicer.cli.failures import ClosedPipeError

if TYPE_CHECKING:
    from rich.console import Console

UNWRAPPED = 1_000_000
"""a width that nothing reaches"""


class Format(StrEnum):
    """The formats of `-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"

    @property
    def for_people(self) -> bool:
        """Text to read, not a document to parse."""
        return self in (Format.TABLE, Format.WIDE)


class DataFormat(StrEnum):
    """The formats of `-o` of commands whose output is one document."""

    JSON = "json"
    YAML = "yaml"


def say(message: str) -> None:
    """Write one line to stderr."""
    print(message, file=sys.stderr)


def write(text: str) -> None:
    """Write text to stdout.

    Raises:
        ClosedPipeError: the reader went away, as `head` does; the interpreter will not try to flush the rest.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ClosedPipeError from None


def data(document: Mapping[str, Any], form: str) -> None:
    """Write a document to stdout as JSON or YAML, keys in the order they have."""
    if form == Format.YAML:
        from autoslicer.cli.yaml_text import written

        write(written(document, UNWRAPPED))
    else:
        write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def drawn(draw: Callable[[Console], None]) -> None:
    """Write what `draw` prints: on a terminal wrapped and, unless NO_COLOR is set, coloured; else plain."""
    from rich.console import Console

    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        force_terminal=terminal,
        force_interactive=False,
        width=None if terminal else UNWRAPPED,
        highlight=False,
        markup=False,
        emoji=False,
    )
    draw(console)
    write(re.sub(r"[ ]+$", "", buffer.getvalue(), flags=re.MULTILINE))
