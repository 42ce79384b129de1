"""A YAML file as plain values, with the line of each: what YAML hides or guesses is refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from autoslicer.api.sentences import Location, path, shown
from autoslicer.core.plain_text import plain
from simulations.workload.lines import called
from simulations.workload.mistakes import InputError

LARGEST = 1 << 20
"""bytes of a file"""
MOST_VALUES = 100_000
"""with every alias written out"""
DEEPEST = 32
_LONGEST_NUMBER = 128
"""characters of a whole number: those of 64 bits need no more in any notation"""
_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null")}


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        file: what mistakes call it.
        value: of plain types only.
        lines: of each value, from 1; of what has a key the line of the key.
    """

    file: str
    value: Any
    lines: Mapping[Location, int]

    def mistake(self, location: Location, sentence: str) -> str:
        """The sentence with file and line: of what is there, or else of the nearest thing around it."""
        around = (location[:length] for length in range(len(location), -1, -1))
        line = next(self.lines[place] for place in around if place in self.lines)
        return plain(f"{self.file}:{line}: {sentence}")


class _YamlMistake(Exception):  # noqa: N818 - the user's, not the program's
    """The text is not the YAML that is read here.

    Attributes:
        line: from 1; 0 where there is none.
    """

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


def read(file: Path) -> Document:
    """The one document in a YAML file.

    Raises:
        InputError: the file cannot be read, or is not one document of plain YAML.
    """
    name = called(file)
    try:
        return _parsed(_text(file, name), name, "a scenario has apiVersion, kind, cluster and workload")
    except _YamlMistake as mistake:
        raise InputError(plain(f"{name}:{mistake.line}: {mistake}")) from None


def value(text: str) -> Any:
    """The one plain value that a text stands for in YAML.

    Raises:
        ValueError: there is none; the message is a sentence that says why.
    """
    try:
        return _parsed(text, "", "write what it is to be, or null", "the value").value
    except _YamlMistake as mistake:
        said = str(mistake)  # of a file as a whole the sentence begins with the file
        raise ValueError(f"the value {said}" if said.startswith("is ") else said) from None


def _text(file: Path, name: str) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name}: cannot be read: {reason}") from None
    if len(content) > LARGEST:
        size = f"a scenario has at most {LARGEST} bytes; traces and dumps are files of their own"
        raise InputError(f"{name}: is too large; {size}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x} is no UTF-8"
        raise InputError(f"{name}:{line}: {byte}; a scenario is UTF-8 text") from None


def _parsed(text: str, name: str, expected: str, whole: str = "the document") -> Document:
    try:
        _not_too_deep(text)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise _YamlMistake(
            _line(error.problem_mark), f"is no YAML: {error.problem or error.context}"
        ) from None
    except yaml.YAMLError as error:
        raise _YamlMistake(1, f"is no YAML: {str(error).splitlines()[0]}") from None
    if not nodes:
        raise _YamlMistake(1, f"is empty; {expected}")
    if len(nodes) > 1:
        line = _line(nodes[1].start_mark)
        raise _YamlMistake(line, "a second document begins; a file holds one")
    values = _Values(whole)
    return Document(name, values.of(nodes[0], ()), values.lines)


def _line(mark: Any) -> int:
    """The line of a mark of PyYAML's or of libyaml's, from 1; where there is none, the first."""
    return 1 if mark is None else int(mark.line) + 1


def _not_too_deep(text: str) -> None:
    """Look at the nesting before nodes are made: composing recurses in C, where no limit ends it in time."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _YamlMistake(_line(event.start_mark), f"is nested too deeply; {DEEPEST} levels are read")


@dataclass(slots=True)
class _Values:
    """Turns nodes into values and notes their lines.

    Attributes:
        whole: what mistakes call the outermost value.
    """

    whole: str
    lines: dict[Location, int] = field(default_factory=dict)
    _count: int = 0
    _scalars: SafeConstructor = field(default_factory=SafeConstructor)

    def of(self, node: yaml.Node, location: Location) -> Any:
        self._count += 1
        line = _line(node.start_mark)
        if self._count > MOST_VALUES or len(location) > DEEPEST:
            raise _YamlMistake(line, "aliases make too much of it; write the values out")
        self.lines.setdefault(location, line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return {key: self.of(child, (*location, key)) for key, child in self._pairs(node, location)}
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.of(child, (*location, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, location)

    def _pairs(self, node: yaml.MappingNode, location: Location) -> Iterator[tuple[str, yaml.Node]]:
        for name, child in node.value:
            line = _line(name.start_mark)
            if name.tag != f"{_TAG}str":
                said = f"{path(location) or self.whole} has a key that is no string"
                raise _YamlMistake(line, f"{said}; put it in quotes")
            key, where = name.value, (*location, name.value)
            if where in self.lines:
                raise _YamlMistake(line, f"{path(where)} is there twice; name each field once")
            self.lines[where] = line
            yield key, child

    def _scalar(self, node: yaml.Node, location: Location) -> Any:
        line, where = _line(node.start_mark), path(location) or self.whole
        if node.tag not in _SCALARS:
            raise _YamlMistake(line, f"{where} has the tag {node.tag}; only plain values are read")
        large = f"{where} is too large a number; it must fit into 64 bits"
        if node.tag == f"{_TAG}int" and len(node.value) > _LONGEST_NUMBER:
            raise _YamlMistake(line, large)  # Python reads none of thousands of digits
        try:
            found = self._scalars.construct_object(node)
        except (ConstructorError, ValueError, KeyError, IndexError, OverflowError):
            said = f"{where} is no {node.tag.removeprefix(_TAG)}: {shown(node.value)}"
            raise _YamlMistake(line, f"{said}; leave the tag out or put the value in quotes") from None
        if isinstance(found, int) and abs(found) >= 2**63:
            raise _YamlMistake(line, large)
        return found
