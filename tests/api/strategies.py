"""Policies that are mostly right and sometimes wrong, for properties that hold of both."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.api.constraints import nodes, schema_of, with_value
from tests.api.objects import POLICY

STRINGS = st.sampled_from(
    [
        *("x" * length for length in (0, 1, 63, 64, 254)),
        *("A-b.c", "-a", "a+b", "a/b/c", "nvidia.com/gpu", "Auto"),
        *("10%", "101%", "007", "1g.10gb", "1g.10gb+me", "3g.40gb", "0g.1gb"),
    ]
)
NUMBERS = st.integers(-1, 70) | st.sampled_from([1000, 1001, 31_536_000, 31_536_001, 0.5])
SCALARS = st.none() | st.booleans() | NUMBERS | STRINGS


def likely(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that mostly fit the schema, and now and then do not."""
    match schema:
        case {"enum": words}:
            fitting = st.sampled_from(words)
        case {"type": "boolean"}:
            fitting = st.booleans()
        case {"type": "integer"}:
            fitting = NUMBERS
        case {"type": "array", "items": items}:
            fitting = st.lists(likely(items), max_size=3)
        case {"properties": fields}:
            known = {name: likely(child) for name, child in fields.items()}
            fitting = st.fixed_dictionaries({}, optional=known)
        case {"additionalProperties": _}:
            fitting = st.dictionaries(STRINGS, STRINGS, max_size=2)
        case _:
            fitting = STRINGS
    return st.one_of(fitting, fitting, fitting, SCALARS) if schema["type"] != "object" else fitting


_PARTS = {
    path: likely(node) for path, node in nodes(schema_of("MigAutoscalingPolicy")) if path[:1] == ("spec",)
}


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Return full policies with one part of the spec drawn anew.

    No label lacks its value: that is a mistake in a file, while the API server just drops the label.
    """
    path = draw(st.sampled_from(sorted(_PARTS)))
    drawn = _PARTS[path] | SCALARS
    return with_value(POLICY, path, draw(drawn.filter(lambda value: path[-1] != "{}" or value is not None)))
