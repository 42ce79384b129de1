"""Dumps that no API server would print."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoslicer.core.plan import document
from autoslicer.core.planner import plan
from autoslicer.core.snapshot import read
from tests.build import NOON, dump, node, pod
from tests.core.scenes import POLICIES, everything

WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    10**400,
    1.5,
    math.nan,
    math.inf,
    "",
    "x",
    "\ud800",
    "1e999",
    "9" * 5000,
    "2026-11-20T12:00:00Z",
    "9999-12-31T23:59:59Z",
    [],
    [None],
    [[]],
    {},
    {"": ""},
    {3: []},
    [{"name": 3}],
    "\x1b[2J\r\nmig-configs: {}",
    "\u202egnp.exe\u2028",
    {"\x1b]0;x\x07": "\x9b1m", "a\nb": "1"},
    {"nvidia.com/mig-\x1b[31m1g.10gb": "1", "nvidia.com/mig-\n": 1},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document, the document's own aside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, part in inner:
        found += places(part, (*path, key))
    return found


BASE = everything()
PLACES = [path for path in places(BASE) if path[:1] == ("items",) and len(path) > 1]


def mutated(changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """The base with the values at some paths replaced, as far as these still exist."""
    found = copy.deepcopy(BASE)
    for path, value in changes:
        inner: Any = found
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(WRONG)), min_size=1, max_size=4))
def test_a_broken_dump_never_raises(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Whatever stands where a right value stood, there is a snapshot and a plan that can be shown."""
    found = read(mutated(changes))
    made = plan(found, found.policies or POLICIES, NOON, effort=1)
    shown = [document(made), *(verdict.message for verdict in made.unserved), *found.skipped]
    assert all(text.isprintable() for text in strings(shown))
    json.dumps(document(made))


def strings(value: Any) -> Iterator[str]:
    """Every string in a document, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *strings(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def test_what_steers_a_terminal_is_replaced() -> None:
    """Escape sequences and line breaks of an annotation are not in what is said of its node; text is."""
    for written, said in (("evil\x1b[2J\nname", "evil\ufffd[2J\ufffdname"), ("Größe 3", "Größe 3")):
        one = (
            node("gpu-a")
            .gpus(2)
            .config("all-7g.80gb")
            .annotations({"autoslicer.dev/applied-config": written})
        )
        made = plan(read(dump(one)), POLICIES, NOON, effort=1)
        assert said in " ".join(verdict.message for verdict in made.refusals)


SCALARS = st.none() | st.booleans() | st.floats() | st.text()


@settings(max_examples=60, deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_item_is_read_or_skipped(item: Any) -> None:
    """An item of any shape is skipped or ignored, and the others are read."""
    found = read({"kind": "List", "apiVersion": "v1", "items": [item, node("a").raw]})
    assert list(found.nodes) == ["a"]
    assert len(found.skipped) + sum(found.ignored.values()) == 1


def test_a_malformed_bound_pod_keeps_its_node_in_use() -> None:
    """A pod that cannot be read still holds its slices: its node is not changed; without the pod it is."""
    idle = node("a").gpus(1).config("all-7g.80gb")
    waiting = pod("ns/w").wants({"1g.10gb": 1})
    broken = pod("ns/b").wants({"7g.80gb": 1}).on("a").set("metadata.labels", ["odd"])
    found = read(dump(idle, waiting, broken))
    assert found.skipped == ("Pod ns/b: metadata.labels must be an object, not a list",)
    assert plan(found, POLICIES, NOON).reshapes == ()
    assert [r.node for r in plan(read(dump(idle, waiting)), POLICIES, NOON).reshapes] == ["a"]
