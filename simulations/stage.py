"""Where the story is told: on a terminal at a reader's pace with live progress, elsewhere at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from simulations.story import Line

WIDTH = 80
PACE = 0.45
"""real seconds for a virtual one"""
READING = 1.6
"""real seconds to look at a drawing"""
_FRAME = 0.1
_COLOURS = {"bound": "green", "done": "green", "success": "cyan", "verified": "cyan", "failed": "red"}


class Stage:
    """Prints lines and lets virtual time pass.

    Args:
        start: when virtual time begins (seconds since the epoch).
        fast: do not wait, on a terminal either.
    """

    def __init__(self, start: float, *, fast: bool) -> None:
        terminal = sys.stdout.isatty()
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._start = start
        self._shown = start
        self._paced = terminal and not fast
        self._progress = Progress(
            TextColumn("{task.fields[clock]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._paced,
        )
        self._task = self._progress.add_task("", clock="   0.0 s")

    def __enter__(self) -> Stage:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def progress(self, done: int, of: int, words: str) -> None:
        """Show how far the story is."""
        self._progress.update(self._task, completed=done, total=of, description=words)

    def title(self, text: str) -> None:
        """Print a heading."""
        self._console.print(Text(f"\n{text}", style="bold"))

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        self._console.print(Text(text, style=style))

    def tell(self, lines: Iterable[Line]) -> None:
        """Print what happened at one moment; the time stands before the first line."""
        for number, line in enumerate(lines):
            clock = self._clock(line.at) if number == 0 else ""
            text = Text(f"{clock:>8}  {line.who}  ")
            text.append(f"{line.what:<13}", style=_COLOURS.get(line.what, "yellow"))
            self._console.print(text.append(line.words))

    def read(self) -> None:
        """Give the reader time to look."""
        if self._paced:
            time.sleep(READING)

    def wait(self, until: float) -> None:
        """Let virtual time pass; the clock runs while it does."""
        while self._paced and self._shown < until:
            time.sleep(min(_FRAME, (until - self._shown) * PACE))
            self._shown = min(until, self._shown + _FRAME / PACE)
            self._progress.update(self._task, clock=f"{self._clock(self._shown):>8}")
        self._shown = until

    def _clock(self, at: float) -> str:
        return f"{at - self._start:.1f} s"
