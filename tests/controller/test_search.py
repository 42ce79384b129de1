"""Planning beside the event loop: what it must not do to it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from autoslicer.controller import search


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generation of each garbage collection from now on, as it begins."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.unfreeze()


def _plan() -> int:
    """Makes as many objects that stay as a plan for a large cluster."""
    return len([[number] for number in range(1_000_000)])


def test_no_full_collection_while_a_plan_is_made(collections: list[int]) -> None:
    """It would hold up the loop while it looks at everything; the same work elsewhere has some."""
    gc.collect()
    collections.clear()
    assert asyncio.run(search.apart(_plan)) == 1_000_000
    apart = list(collections)
    collections.clear()
    gc.unfreeze()
    _plan()
    assert 2 in collections
    assert 1 in apart
    assert 2 not in apart


def test_what_a_plan_leaves_is_not_looked_at_again() -> None:
    """Full collections are as before once it is made, and do not go through what it keeps."""
    thresholds = gc.get_threshold()
    kept = asyncio.run(search.apart(lambda: [[number] for number in range(1000)]))
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() >= len(kept)
    young = [[number] for number in range(10)]
    assert sum(each is one for each in gc.get_objects() for one in (*kept, *young)) == len(young)
    gc.unfreeze()


def test_a_failed_search_is_told() -> None:
    """The error is the caller's, and collections are as before."""
    thresholds = gc.get_threshold()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(search.apart(lambda: 1 // 0))
    assert gc.get_threshold() == thresholds
    gc.unfreeze()
