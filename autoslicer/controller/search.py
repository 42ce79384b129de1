"""Planning apart from the event loop, in threads that no end of the process waits for.

A search cannot be interrupted and may take many seconds; nothing is lost when it is abandoned.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
_NAME = "autoslicer search"


async def apart(work: Callable[[], Found]) -> Found:
    """What `work` returns or raises, done in a thread of its own; a cancelled caller does not wait for it."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(lambda: None if answer.done() else settle())

    def run() -> None:
        try:
            found = work()
        except BaseException as error:
            failure = error
            tell(lambda: answer.set_exception(failure))
        else:
            tell(lambda: answer.set_result(found))

    threading.Thread(target=run, name=_NAME, daemon=True).start()
    return await answer


def warm_up() -> None:
    """Load the exact model's library in the background: it takes about a second of the first plan."""

    def load() -> None:
        with contextlib.suppress(Exception):  # the planner does without it, and says so
            importlib.import_module("solver.model")

    threading.Thread(target=load, name=_NAME, daemon=True).start()


def under_way() -> bool:
    """Some such thread still runs: the process must end without the usual tidying up beneath it."""
    return any(thread.name == _NAME for thread in threading.enumerate())
