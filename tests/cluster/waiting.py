"""Waiting for something to become true, with a deadline and a last word."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    look: Callable[[], Found], seconds: float, last_seen: Callable[[], str], *, every: float = 0.05
) -> Found:
    """The first true answer of `look`.

    Raises:
        AssertionError: there was none in time; the message ends with what `last_seen` says.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {last_seen()}")
        time.sleep(every)
