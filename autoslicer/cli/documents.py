"""Reading what a user hands over: a JSON or YAML document from a file or from stdin."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoslicer.cli.failures import BadInputError
from autoslicer.cli.json_stream import JsonError, JsonStream

if TYPE_CHECKING:
    from autoslicer.core.snapshot import Snapshot

STDIN = "-"
_PIECE = 1 << 20
"""bytes read at once"""


def called(source: str) -> str:
    """What errors call a file, or stdin."""
    return "stdin" if source == STDIN else source


def read(source: str) -> Any:
    """The parsed document in a file, or on stdin where `source` is `-`.

    Raises:
        BadInputError: it cannot be read, is no UTF-8, or is neither JSON nor YAML.
    """
    name = called(source)
    return _parsed(_pieces(source, name), name)


def read_snapshot(source: str) -> Snapshot:
    """The snapshot in a file or on stdin; of a JSON document only one item is held at a time.

    Raises:
        BadInputError: as `read`; or it is no Kubernetes List.
    """
    from autoslicer.core import snapshot

    name = called(source)
    first, pieces = _opened(_pieces(source, name), name)
    with _sentences(name):
        try:
            if first == "{":
                return snapshot.read_members(JsonStream(pieces).members(lazy="items"))
            return snapshot.read(_parsed(pieces, name))
        except snapshot.NoListError as error:
            raise BadInputError(f"{name}: {error}") from None


def parse(text: str, name: str) -> Any:
    """The document in a text; `name` is what errors call it.

    Raises:
        BadInputError: the text is empty, or neither JSON nor YAML.
    """
    return _parsed(iter([text]), name)


def _parsed(pieces: Iterator[str], name: str) -> Any:
    first, pieces = _opened(pieces, name)
    with _sentences(name):
        if first in "{[":
            return JsonStream(pieces).document()
        from autoslicer.cli import yaml_text

        try:
            return yaml_text.parsed("".join(pieces))
        except yaml_text.NotYamlError as error:
            raise BadInputError(f"{name} is neither JSON nor YAML{error}") from None


def _opened(pieces: Iterator[str], name: str) -> tuple[str, Iterator[str]]:
    """The first character that is no white space, and all pieces."""
    blank: list[str] = []
    for piece in pieces:
        if start := piece.lstrip():
            return start[0], chain(blank, [piece], pieces)
        blank.append(piece)
    raise BadInputError(f"{name} is empty; it must hold a Kubernetes object in JSON or YAML")


@contextmanager
def _sentences(name: str) -> Iterator[None]:
    """What goes wrong while a document is parsed, in a sentence."""
    try:
        yield
    except JsonError as error:
        raise BadInputError(f"{name} is not readable JSON: {error}") from None
    except RecursionError:
        raise BadInputError(f"{name} is nested too deeply to be a Kubernetes document") from None
    except ValueError as error:
        # Python's own sentence about numbers that it does not read tells programmers what to call
        why = "a number of thousands of digits" if "int_max_str_digits" in str(error) else error
        raise BadInputError(f"{name} holds a value that no Kubernetes document has: {why}") from None


def _pieces(source: str, name: str) -> Iterator[str]:
    """The text of a file or of stdin, in pieces."""
    decoder, before = codecs.getincrementaldecoder("utf-8")(), 0
    for data in chain(_bytes(source, name), [b""]):
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            at = before - waiting + error.start
            raise BadInputError(
                f"{name} is not UTF-8 text: byte {at} is 0x{error.object[error.start]:02x}"
            ) from None
        yield text.removeprefix("\ufeff") if not before else text
        before += len(data)


def _bytes(source: str, name: str) -> Iterable[bytes]:
    try:
        if source == STDIN:
            yield from iter(lambda: sys.stdin.buffer.read(_PIECE), b"")
        else:
            with Path(source).open("rb") as file:
                yield from iter(lambda: file.read(_PIECE), b"")
    except OSError as error:
        raise BadInputError(f"{name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadInputError(f"{name!r} is no file name: {error}") from None
