"""The lines of a trace, one at a time, each parsed or told as a mistake with its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from autoslicer.core.plain_text import plain
from simulations.workload.mistakes import InputError, Kind, Mistake

LONGEST = 1 << 20
"""bytes of a line"""
EMPTY = "holds no job; a trace needs at least one"
_BOM = b"\xef\xbb\xbf"

Lenient = Counter[Kind] | None
"""counts the skipped lines by kind of mistake; None where the first mistake ends the reading"""
Parsed = TypeVar("Parsed")


def parsed(
    path: Path, parse: Callable[[str], Parsed], lenient: Lenient = None, *, headed: bool = False
) -> Iterator[Parsed]:
    """What `parse` makes of each line that is not blank; no more than one line is held.

    Args:
        path: of the file.
        parse: a line.
        lenient: counts the lines that are wrong, which are skipped then.
        headed: nothing can be made of the others without the first line, so that it is never skipped.

    Raises:
        InputError: the file cannot be read, holds nothing, or a line is wrong that is not skipped.
    """
    found = False
    for number, raw in _numbered(path):
        try:
            text = _text(raw)
            if not text.strip():
                continue
            result = parse(text)
        except Mistake as mistake:
            if lenient is None or (headed and not found):
                raise InputError(f"{called(path)}:{number}: {mistake}") from None
            lenient[mistake.kind] += 1
            continue
        found = True
        yield result
    if not found:
        raise InputError(f"{called(path)}: {EMPTY}")


def called(path: Path) -> str:
    """What mistakes call a file."""
    return plain(str(path))


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, without a byte order mark; of one that is too long only a beginning."""
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(LONGEST + 1):
                number += 1
                if len(raw) > LONGEST:
                    _skip(file, raw)
                yield number, raw.removeprefix(_BOM) if number == 1 else raw
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{called(path)}: cannot be read: {reason}") from None


def _skip(file: BinaryIO, raw: bytes) -> None:
    """Go on to the next line."""
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(LONGEST)


def _text(raw: bytes) -> str:
    if len(raw) > LONGEST:
        raise Mistake(Kind.LENGTH, "", "the line is too long", f"a job needs no more than {LONGEST} bytes")
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start + 1} of the line is 0x{raw[error.start]:02x}"
        raise Mistake(Kind.TEXT, "", f"{byte}, which is no UTF-8", "a trace is UTF-8 text") from None
