"""Every field of a scenario with every kind of wrong value: accepted, or refused where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from autoslicer.api.sentences import Location, path
from simulations.scenario.load import load
from tests.simulations.scenario.files import GOOD, mistakes, scenario

VALUES: tuple[Any, ...] = (None, True, "", "x y", "~", -1, 0, 1.5, 2**62, 1e308, [], [[]], [1], {}, {"x": 1})
WHOLE = """
policy:
  mode: Auto
  trigger: {pendingSeconds: 5}
  disruption: {budgets: [{nodes: "1", reasons: [Demand]}], canary: false}
  headroom: [{profile: 1g.10gb, free: 2}]
timing: {scheduleSeconds: 1, applySeconds: 12, pluginSeconds: 3, rebootSeconds: 600, failureRate: 0.5}
compare: [static, autoslicer]
seed: 7
"""


def _all(value: Any, location: Location = ()) -> Iterator[Location]:
    """Where something stands in a document."""
    yield location
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _all(child, (*location, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _all(child, (*location, index))


def _with(document: Any, location: Location, value: Any) -> Any:
    changed = deepcopy(document)
    place = changed
    for part in location[:-1]:
        place = place[part]
    place[location[-1]] = value
    return changed


def _line(node: Any, location: Location) -> int:
    """The line of an entry, or of the key of a field, as PyYAML sees it."""
    *before, last = location
    for part in before:
        pairs = node.value
        node = pairs[part] if isinstance(part, int) else next(v for key, v in pairs if key.value == part)
    found = (
        node.value[last] if isinstance(last, int) else next(key for key, _ in node.value if key.value == last)
    )
    return int(found.start_mark.line) + 1


def test_a_wrong_value_is_told_in_the_line_where_it_stands(tmp_path: Path) -> None:
    """Whatever stands in a field, the scenario is read, or a sentence names the field's own line."""
    document = dict(load(scenario(tmp_path, f"{GOOD}{WHOLE}")).document)
    accepted, told = 0, 0
    for location in [found for found in _all(document) if found]:
        for value in VALUES:
            text = yaml.dump(_with(document, location, value), Dumper=yaml.CSafeDumper, sort_keys=False)
            found = mistakes(scenario(tmp_path, text))
            if not found:
                accepted += 1
                continue
            assert all(re.match(r"scenario\.yaml:\d+: \S", line) and line.isprintable() for line in found), (
                found
            )
            line = _line(yaml.compose(text, Loader=yaml.CSafeLoader), location)
            named = re.compile(rf"scenario\.yaml:\d+: {re.escape(path(location))}[: ]")
            here = [said for said in found if named.match(said)]
            told += bool(here)
            assert all(said.startswith(f"scenario.yaml:{line}: ") for said in here), found
    assert accepted > 50
    assert told > 500
