"""When pods turned unschedulable, to the moment: conditions carry whole seconds, rounded down."""

from __future__ import annotations

import time
from dataclasses import replace

from autoslicer.core import reading
from autoslicer.core.reading import Row
from autoslicer.core.rows import PodRow

RECENT_SECONDS = 2.0
"""a condition this young was just written: the time at which it came in is nearer than the one it carries"""


class Arrivals:
    """Reads pods; `unschedulable_since` becomes the moment at which that was seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}

    def pod(self, obj: object) -> PodRow:
        """The row of a pod, as `core.reading.pod` has it but for `unschedulable_since`.

        Raises:
            ValueError: the pod cannot be read.
        """
        row = reading.pod(obj)
        written = row.unschedulable_since
        if written is None or row.node or row.finished:
            return row
        known, precise = self._seen.get(row.uid, (None, 0.0))
        if known != written:
            now = time.time()
            precise = now if 0 <= now - written < RECENT_SECONDS else written
            self._seen[row.uid] = (written, precise)
        return replace(row, unschedulable_since=precise)

    def forget(self, old: Row | None, new: Row | None) -> None:
        """Listen to the cache: a pod that is gone needs no memory."""
        if isinstance(old, PodRow) and not (isinstance(new, PodRow) and not new.node):
            self._seen.pop(old.uid, None)
