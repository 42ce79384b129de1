"""A large JSON object read piece by piece, so that no more than one item of it is held at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_ENDED = re.compile(r"[ \t\n\r]*[,:\]}]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


class JsonError(Exception):
    """The text is no JSON; the message says where and why."""


class JsonStream:
    """Reads JSON from pieces of text, of which it keeps what has not been read yet."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)
        self._text, self._at = "", 0
        self._line, self._column = 1, 0

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._at = _space(self._text, self._at)
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def document(self) -> Any:
        """The one value that the text holds.

        Raises:
            JsonError: it is no JSON, or more follows.
            ValueError: a value is none that a document may have.
            RecursionError: it is nested too deeply.
        """
        self._text = "".join((self._text, *self._pieces))
        value = self._value()
        self._end()
        return value

    def members(self, lazy: str) -> Iterator[tuple[str, Any]]:
        """The members of the one object that the text holds, in order.

        A list under the key `lazy` comes as an iterator, which must be exhausted before the next member.
        Raises as `document` does, while the members are read.
        """
        self._take("{", "Expecting value")
        while self.peek() != "}":
            if self.peek() != '"':
                raise self._wrong("Expecting property name enclosed in double quotes")
            key = self._value()
            self._take(":", "Expecting ':' delimiter")
            yield key, self._elements() if key == lazy and self.peek() == "[" else self._value()
            if self.peek() == "}":
                break
            self._take(",", "Expecting ',' delimiter")
            if self.peek() == "}":
                raise self._wrong("Expecting property name enclosed in double quotes")
        self._take("}", "Expecting ',' delimiter")
        self._end()

    def _elements(self) -> Iterator[Any]:
        self._take("[", "Expecting value")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self.peek() == "]":
                self._at += 1
                return
            self._take(",", "Expecting ',' delimiter")

    def _value(self) -> Any:
        """The next value; where it does not end within the text that is there, more is read."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._more():
                    continue
                raise self._wrong(error.msg, error.pos) from None
            # a number may go on in the next piece, be it after "1." or "1e"
            if _ENDED.match(self._text, end) or not self._more():
                break
        if _SURROGATE.search(self._text, self._at, end):
            json.dumps(
                value, ensure_ascii=False
            ).encode()  # half a surrogate pair cannot be written out again
        self._at = end
        return value

    def _take(self, character: str, otherwise: str) -> None:
        if self.peek() != character:
            raise self._wrong(otherwise)
        self._at += 1

    def _end(self) -> None:
        if self.peek():
            raise self._wrong("Extra data")

    def _more(self) -> bool:
        """Read on, at least as much as is left over, so that a long value is not tried many times."""
        rest, read = len(self._text) - self._at, 0
        pieces: list[str] = []
        while read <= rest and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            read += len(piece)
        if read:
            self._forget()
            self._text = "".join((self._text, *pieces))
        return read > 0

    def _forget(self) -> None:
        """Drop what has been read, but keep count of its lines."""
        self._line, self._column = self._place(self._at)
        self._text, self._at = self._text[self._at :], 0

    def _place(self, at: int) -> tuple[int, int]:
        """The line of a position, counted from 1, and how many characters of it lie before the position."""
        lines = self._text.count("\n", 0, at)
        if not lines:
            return self._line, self._column + at
        return self._line + lines, at - self._text.rfind("\n", 0, at) - 1

    def _wrong(self, message: str, at: int | None = None) -> JsonError:
        line, column = self._place(self._at if at is None else at)
        return JsonError(f"line {line}, column {column + 1}: {message}")


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None, "white space may be empty"
    return match.end()
