"""`autoslicer` whose searches never end, as those of a very large cluster seem to."""

from __future__ import annotations

import sys
import time
from typing import Any

from autoslicer.cli.main import main
from autoslicer.controller import loop


def _search(*arguments: Any, **limits: Any) -> Any:
    print("searching", file=sys.stderr, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    setattr(loop, "decide", _search)  # noqa: B010
    sys.exit(main())
