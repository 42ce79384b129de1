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

import yaml

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 1_000_000


class Format(StrEnum):
    """The formats of `-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


class DataFormat(StrEnum):
    """The formats of `-o` of commands whose output is one document."""

    JSON = "json"
    YAML = "yaml"


def say(message: str) -> None:
    """Write one line to stderr."""
    print(message, file=sys.stderr)


def data(document: Mapping[str, Any], form: str) -> None:
    """Write a document to stdout as JSON or YAML, keys in the order they have."""
    if form == Format.YAML:
        sys.stdout.write(
            yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=PIPED_WIDTH)
        )
    else:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def text(draw: Callable[[Console], None]) -> None:
    """Write what `draw` prints to stdout: wrapped and, unless NO_COLOR is set, coloured on a terminal; else plain."""
    from rich.console import Console

    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        force_terminal=terminal,
        force_interactive=False,
        width=None if terminal else PIPED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    draw(console)
    sys.stdout.write(re.sub(r"[ ]+$", "", buffer.getvalue(), flags=re.MULTILINE))


class _Dumper(yaml.CSafeDumper):
    """YAML without anchors: a document repeats what it repeats."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
