"""What differs between two moments: rows are frozen, so that the same row is the same content."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import is_not
from typing import TypeVar

Row = TypeVar("Row")


def differing(old: Mapping[str, Row], new: Mapping[str, Row]) -> set[str]:
    """The keys whose rows are not the same object in both, or are in one only.

    >>> row = ("a row",)
    >>> sorted(differing({"gone": row, "same": row}, {"same": row, "new": row}))
    ['gone', 'new']
    """
    found = set(compress(new, map(is_not, map(old.get, new), new.values())))
    if len(new) - sum(key not in old for key in found) < len(old):
        found |= old.keys() - new.keys()
    return found


def replaced(
    rows: Sequence[Row], gone: Iterable[str], come: Iterable[Row], key: Callable[[Row], str]
) -> tuple[Row, ...]:
    """Rows sorted by key, without those of the keys `gone` and with those that `come`, sorted again.

    Made for few differences: each costs little, and what stays is copied at once.
    """
    found = list(rows)
    for name in gone:
        at = bisect_left(found, name, key=key)
        if at < len(found) and key(found[at]) == name:
            del found[at]
    for row in come:
        found.insert(bisect_left(found, key(row), key=key), row)
    return tuple(found)
