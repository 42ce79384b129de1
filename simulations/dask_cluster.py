"""Tasks on a Dask cluster; the one module that imports `distributed`, and that only to ask a cluster."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from autoslicer import __version__
from simulations.workers import NoSchedulerError, WorkersLostError
from simulations.workload.mistakes import InputError

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

PATIENCE_SECONDS = 10
"""real seconds for the scheduler to answer"""


@contextmanager
def cluster(address: str) -> Iterator[DaskCluster]:
    """The workers of the scheduler at an address such as `tcp://10.0.0.7:8786`.

    Raises:
        InputError: `distributed` is not installed, or the address is none.
        NoSchedulerError: nobody answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        right = "install the extra: pip install 'autoslicer[dask]'"
        raise InputError(f"--dask {address}: needs the package distributed; {right}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told in a sentence
    try:
        client = Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except ValueError as error:
        raise InputError(f"--dask {address}: {error}; it must read like tcp://HOST:PORT") from None
    except OSError:
        raise NoSchedulerError(f"--dask {address}: no Dask scheduler answers there") from None
    with client:
        yield DaskCluster(address, client)


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """The workers of one Dask scheduler, which begins a task again whose worker is gone.

    Attributes:
        address: of the scheduler.
        client: of it.
    """

    address: str
    client: Client

    def results(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[], None]
    ) -> list[Result]:
        """See `Workers`."""
        executor = self.client.get_executor(pure=False)
        futures: list[Future[Result]] = []
        try:
            for task in tasks:
                future = executor.submit(_elsewhere, __version__, function, task)
                future.add_done_callback(lambda _: done())
                futures.append(future)
            return [self._result(future, task) for future, task in zip(futures, tasks, strict=True)]
        finally:
            executor.shutdown(wait=False)

    def _result(self, future: Future[Result], task: object) -> Result:
        from distributed import KilledWorker

        try:
            return future.result()
        except CancelledError:
            raise NoSchedulerError(f"--dask {self.address}: the scheduler went away") from None
        except KilledWorker:
            again = "every worker that it was given to was lost; it may need more memory than there is"
            raise WorkersLostError(f"{task}: {again}") from None
        except ImportError as error:
            right = f"install autoslicer {__version__} there"
            raise WorkersLostError(
                f"--dask {self.address}: a worker cannot simulate: {error}; {right}"
            ) from None


def _elsewhere(version: str, function: Callable[[Any], Any], task: Any) -> Any:
    """What the function makes of the task on a worker.

    Raises:
        ImportError: another version of autoslicer is installed there.
        InputError: the function's, with the worker's host.
    """
    if version != __version__:
        raise ImportError(f"{socket.gethostname()} has autoslicer {__version__}")
    try:
        return function(task)
    except InputError as error:
        raise InputError(f"on {socket.gethostname()}: {error}") from None
