"""Reading what a user hands over: a JSON or YAML document from a file or from stdin."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from autoslicer.cli.failures import BadInputError

STDIN = "-"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(source: str) -> Any:
    """The parsed document in a file, or on stdin where `source` is `-`.

    Raises:
        BadInputError: it cannot be read, is no UTF-8, or is neither JSON nor YAML.
    """
    name = called(source)
    return parse(_text(source, name), name)


def called(source: str) -> str:
    """What errors call a file, or stdin."""
    return "stdin" if source == STDIN else source


def parse(text: str, name: str) -> Any:
    """The document in a text; `name` is what errors call it.

    Raises:
        BadInputError: the text is empty, or neither JSON nor YAML.
    """
    if not text.strip():
        raise BadInputError(f"{name} is empty; it must hold a Kubernetes object in JSON or YAML")
    try:
        return _parse(text)
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{name} is not readable JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except yaml.YAMLError as error:
        raise BadInputError(f"{name} is neither JSON nor YAML{_place(error)}") from None
    except RecursionError:
        raise BadInputError(f"{name} is nested too deeply to be a Kubernetes document") from None
    except ValueError as error:
        raise BadInputError(f"{name} holds a value that no Kubernetes document has: {error}") from None


def _text(source: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise BadInputError(f"{name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadInputError(f"{name!r} is no file name: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{name} is not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}"
        ) from None


def _parse(text: str) -> Any:
    if text.lstrip()[0] not in "{[":
        return yaml.load(text, Loader=_Loader)  # a safe loader: it makes no objects
    document = json.loads(text, parse_constant=_no_constant)
    if _SURROGATE.search(text):
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair cannot be written out again
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _place(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f": line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"{where}: {problem}" if problem else where
