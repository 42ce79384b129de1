"""Planning apart from the event loop, in threads that no end of the process waits for.

A search cannot be interrupted and may take many seconds; nothing is lost when it is abandoned.

The event loop gets its turn every few milliseconds meanwhile, but for the garbage collector: full collections
look at every row of the cluster and hold up all threads for that long. Nothing that a plan leaves behind
needs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

Found = TypeVar("Found")
_NAME = "autoslicer search"
_NEVER = 2**31 - 1


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

    with _no_full_collection():
        threading.Thread(target=run, name=_NAME, daemon=True).start()
        return await answer


@contextlib.contextmanager
def _no_full_collection() -> Iterator[None]:
    """Young garbage is collected as ever; what is left at the end is never looked at again."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)


def warm_up() -> None:
    """Load the solvers' libraries in the background: it takes about a second of the first plan."""

    def load() -> None:
        with contextlib.suppress(Exception):  # the planner does without it, and says so
            importlib.import_module("solver.model")
            importlib.import_module("solver.linear")

    threading.Thread(target=load, name=_NAME, daemon=True).start()


def under_way() -> bool:
    """Some such thread still runs: the process must end without the usual tidying up beneath it."""
    return any(thread.name == _NAME for thread in threading.enumerate())
