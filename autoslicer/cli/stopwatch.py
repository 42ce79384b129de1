"""How long each part of a command took, for stderr: documents hold no times."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from its making; each lap ends where the next begins."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: list[tuple[str, float]] = []

    def lap(self, name: str) -> None:
        """End the lap of that name."""
        now = time.perf_counter()
        self._laps.append((name, now - self._last))
        self._last = now

    def __str__(self) -> str:
        """The laps in order, in seconds: `read 0.41 s, prepared 0.10 s`."""
        return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self._laps)
