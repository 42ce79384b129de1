"""Where output goes: data to stdout in the format asked for, everything said besides to stderr."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from autoslicer.cli.failures import ClosedPipeError, CommandError

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
    """Write one line to stderr; where it cannot be written nobody hears it, and the work goes on."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def write(text: str) -> None:
    """Write text to stdout, with a question mark for what its encoding cannot express.

    Raises:
        ClosedPipeError: the reader went away, as `head` does.
        CommandError: it cannot be written.
    """
    try:
        _write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        _write(text.encode(encoding, "replace").decode(encoding))


def unwritten(error: OSError) -> CommandError:
    """What to raise where stdout cannot be written; the interpreter will not try to flush the rest."""
    _discard(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return ClosedPipeError()
    return CommandError(f"stdout cannot be written: {error.strerror or error}")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        raise unwritten(error) from None


def _discard(stream: TextIO) -> None:
    """Let go what the stream still holds, and what is written to it from now on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def data(document: Mapping[str, Any], form: str) -> None:
    """Write a document to stdout as JSON or YAML, keys in the order they have.

    What the encoding of stdout cannot express is escaped, so that the document stays what it is.

    Raises:
        ClosedPipeError: the reader went away.
        CommandError: it cannot be written.
    """
    if form == Format.YAML:
        from autoslicer.cli.yaml_text import written

        spelled = partial(written, document, UNWRAPPED)
    else:
        spelled = partial(_json, document)
    try:
        _write(spelled(plain=False))
    except UnicodeEncodeError:
        _write(spelled(plain=True))


def _json(document: Mapping[str, Any], *, plain: bool) -> str:
    return json.dumps(document, indent=2, ensure_ascii=plain) + "\n"


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
