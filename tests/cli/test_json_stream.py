"""Reading JSON piece by piece, against reading it at once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.cli.json_stream import JsonError, JsonStream

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["kind", "items", "metadata", "ключ"])
PIECE = st.integers(1, 40)


def pieces(text: str, size: int) -> Iterator[str]:
    """The text, cut."""
    return (text[at : at + size] for at in range(0, len(text), size))


def whole(text: str, size: int) -> dict[str, Any]:
    """The members that are read of a text in pieces of a size, as one object."""
    found: dict[str, Any] = {}
    for key, value in JsonStream(pieces(text, size)).members(lazy="items"):
        found[key] = list(value) if isinstance(value, Iterator) else value
    return found


def accepted(text: str) -> Any:
    """What the standard library reads; None where it refuses."""
    try:
        return json.loads(text, parse_constant=int)
    except ValueError:
        return None


@given(st.dictionaries(KEYS, VALUES), PIECE, st.sampled_from([None, 0, 3]), st.booleans())
def test_pieces_give_what_the_whole_gives(
    document: dict[str, Any], size: int, indent: int | None, plain: bool
) -> None:
    """Wherever the text is cut, the members are those of the whole object."""
    text = json.dumps(document, indent=indent, ensure_ascii=plain, allow_nan=False)
    assert whole(text, size) == document
    assert JsonStream(pieces(text, size)).document() == document


@given(st.dictionaries(KEYS, VALUES, min_size=1), PIECE, st.data())
def test_a_damaged_text_is_refused_as_a_whole_would_be(
    document: dict[str, Any], size: int, data: st.DataObject
) -> None:
    """A text with a character changed is refused exactly where the standard library refuses it."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", *' \n{}[],:"\\0-eEn'])) + text[at + 1 :]
    wanted = accepted(damaged)
    try:
        found: Any = whole(damaged, size)
    except (JsonError, ValueError):
        found = None
    assert found == (wanted if isinstance(wanted, dict) else None)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6: Expecting ':' delimiter"),
        ('{"items": [1,\n2,\n  x]}', "line 3, column 3: Expecting value"),
        ('{"items": [1 2]}', "line 1, column 14: Expecting ',' delimiter"),
        ('{"a": 1}\n{', "line 2, column 1: Extra data"),
        ('{"a": 1,', "line 1, column 9: Expecting property name enclosed in double quotes"),
    ],
)
def test_the_place_is_that_in_the_whole_text(text: str, place: str, size: int) -> None:
    """Line and column are counted from the beginning of the text, wherever it is cut."""
    with pytest.raises(JsonError, match="^" + place):
        whole(text, size)
