"""Waiting in an event loop that must go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SECONDS = 30.0


async def until(look: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return when `look` is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    async with asyncio.timeout(seconds):
        while not look():
            await asyncio.sleep(0.01)
