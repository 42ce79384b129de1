"""What a run has done so far, a line of JSON each, so that one that was cut short can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """Lines of several kinds in one file; without a path nothing is kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def lines(self, kind: str) -> list[Line]:
        """What was written of this kind so far; a last line that was cut short does not count."""
        if self._path is None or not self._path.exists():
            return []
        whole = [text for text in self._path.read_text().splitlines() if text.endswith("}")]
        found = [json.loads(text) for text in whole]
        return [line["what"] for line in found if line["kind"] == kind]

    def write(self, kind: str, what: Line) -> None:
        """Add a line."""
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"kind": kind, "what": what}) + "\n")
