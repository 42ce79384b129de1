"""What differs between two moments: rows are frozen, so that the same row is the same content."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, count, islice
from operator import is_not
from typing import TypeVar

Row = TypeVar("Row")
Key = TypeVar("Key", str, tuple[float, str])


def differing(old: Mapping[str, Row], new: Mapping[str, Row]) -> set[str]:
    """The keys whose rows are not the same object in both, or are in one only.

    A row has one key. It costs least where both have the same order and what differs lies close together.

    >>> rows = [["a row"], ["another"], ["a third"]]
    >>> sorted(differing({"gone": rows[0], "same": rows[1]}, {"same": rows[1], "new": rows[2]}))
    ['gone', 'new']
    """
    most = min(len(old), len(new))
    head = _alike(old.values(), new.values(), most)
    # the rest, from its end on
    olds, news = list(islice(old.values(), head, None)), list(islice(new.values(), head, None))
    tail = _alike(reversed(olds), reversed(news), most - head)
    found = {key for key in islice(new, head, len(new) - tail) if old.get(key) is not new[key]}
    return found.union(key for key in islice(old, head, len(old) - tail) if key not in new)


def _alike(some: Iterable[Row], others: Iterable[Row], most: int) -> int:
    """How many rows are the same from the start on, of the `most` that both have."""
    return next(compress(count(), map(is_not, some, others)), most)


def replaced(
    rows: Sequence[Row], gone: Iterable[Key], come: Iterable[Row], key: Callable[[Row], Key]
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
