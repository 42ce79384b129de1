"""When the next cycle runs: soon after a change, but once for a burst; and when the last one said so."""

from __future__ import annotations

import asyncio
import time

QUIET_SECONDS = 0.02
LONGEST_SECONDS = 0.25
"""changes closer together than the first are one; they hold a cycle back no longer than the second"""


class Batcher:
    """Collects the pokes between two cycles; the demand's own windows are part of the decision itself."""

    def __init__(self) -> None:
        self._poked = asyncio.Event()
        self._wake: float | None = None

    def poke(self) -> None:
        """Something changed."""
        self._poked.set()

    def wake_at(self, at: float | None) -> None:
        """Run a cycle at this time (seconds since the epoch) although nothing changes; None for never."""
        self._wake = at

    async def wait(self) -> None:
        """Return when the next cycle is due."""
        timeout = None if self._wake is None else max(0.0, self._wake - time.time())
        if not await self._poke_within(timeout):
            return
        deadline = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < deadline and await self._poke_within(QUIET_SECONDS):
            pass

    async def _poke_within(self, timeout: float | None) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._poked.wait()
        except TimeoutError:
            return False
        self._poked.clear()
        return True
