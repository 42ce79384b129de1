"""What differs between two moments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core.planning.differences import differing

ROWS = [[(key, version) for version in range(2)] for key in range(8)]
MOMENT = st.dictionaries(st.integers(0, 7), st.integers(0, 1)).map(
    lambda drawn: {str(key): ROWS[key][version] for key, version in drawn.items()}
)


@given(MOMENT, MOMENT, st.booleans())
def test_exactly_the_keys_that_differ(
    old: dict[str, tuple[int, int]], new: dict[str, tuple[int, int]], ordered: bool
) -> None:
    """In whatever order the rows are: all that came, went or became another row, and nothing else."""
    if ordered:
        old, new = dict(sorted(old.items())), dict(sorted(new.items()))
    expected = {key for key in old.keys() | new.keys() if old.get(key) is not new.get(key)}
    assert differing(old, new) == expected
    assert differing(old, dict(old)) == set()
