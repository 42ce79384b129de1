"""YAML in and out; imported only where there is some, for loading PyYAML takes a while."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 200
"""levels of nesting that are read: the parser recurses in C, where no limit ends it in time"""


class NotYamlError(Exception):
    """The text is no YAML; the message says where and why, as far as that is known."""


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.CSafeDumper):
    """YAML for reading: what is repeated is written out again, and a text of several lines keeps them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def parsed(text: str) -> Any:
    """The document in a text, of plain types only.

    Raises:
        NotYamlError: it is no YAML, or several documents, or nested more than `DEEPEST` levels deep.
    """
    try:
        _not_too_deep(text)
        return yaml.load(text, Loader=_Loader)  # a safe loader: it makes no objects
    except yaml.YAMLError as error:
        raise NotYamlError(_place(error)) from None


def _not_too_deep(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            assert event.start_mark is not None, "every event that was parsed has its place"
            line = event.start_mark.line + 1
            raise NotYamlError(f": line {line}: is nested too deeply; {DEEPEST} levels are read")


def written(document: Any, width: int, *, plain: bool = False) -> str:
    """The document as YAML, keys in the order they have, lines no longer than `width`; plain: as ASCII."""
    return str(yaml.dump(document, None, _Dumper, sort_keys=False, allow_unicode=not plain, width=width))


def _place(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f": line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"{where}: {problem}" if problem else where
