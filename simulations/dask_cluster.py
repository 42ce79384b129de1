"""Tasks on a Dask cluster; the one module that imports `distributed`, and that only to ask a cluster."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from autoslicer import __version__
from autoslicer.core.plain_text import plain
from simulations.workers import NoSchedulerError, WorkersLostError
from simulations.workload.mistakes import InputError

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

PATIENCE_SECONDS = 10
"""real seconds for the scheduler to answer"""
_RIGHT = "it must read like tcp://HOST:PORT or tls://HOST:PORT, with an IPv6 address in brackets"
_ADDRESS = re.compile(r"(?:tcp|tls)://(?:\[([^\[\]]+)\]|([^\[\]:]+)):([1-9]\d{0,4})", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.ASCII | re.I
)
_MOST_PORT = 65535


@contextmanager
def cluster(address: str) -> Iterator[DaskCluster]:
    """The workers of the scheduler at an address such as `tcp://10.0.0.7:8786`.

    Raises:
        InputError: `distributed` is not installed, the address is none, or TLS is not set up as it needs.
        NoSchedulerError: nobody answers there.
    """
    if not _is_address(address):
        raise InputError(plain(f"--dask {address}: is no address of a Dask scheduler; {_RIGHT}"))
    try:
        from distributed import Client
    except ImportError:
        right = "install the extra: pip install 'autoslicer[dask]'"
        raise InputError(f"--dask {address}: needs the package distributed; {right}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told in a sentence
    try:
        _secured(address)
        client = Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except InputError:
        raise
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        raise InputError(plain(f"--dask {address}: Dask cannot connect: {error}")) from None
    except OSError:
        raise NoSchedulerError(f"--dask {address}: no Dask scheduler answers there") from None
    with client:
        yield DaskCluster(address, client)


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[3]) > _MOST_PORT:
        return False
    if found[1] is None:
        return _HOST.fullmatch(found[2]) is not None
    try:
        ipaddress.IPv6Address(found[1])
    except ValueError:
        return False
    return True


def _secured(address: str) -> None:
    """Refuse a connection that Dask's settings do not allow, before there is a `Client`.

    One that was not made to its end waits for itself when it is collected, and says so on stderr.

    Raises:
        InputError: the address wants TLS and it is not set up, or the settings want TLS and the address not.
    """
    import dask
    from distributed import Security

    if dask.config.get("distributed.client.security-loader", None):
        return  # who has a loader has TLS from it, not from the settings
    try:
        given = Security().get_connection_args("client")
    except (OSError, ValueError, TypeError) as error:
        wrong = f"Dask's settings distributed.comm.tls cannot be used: {error}"
        raise InputError(plain(f"--dask {address}: {wrong}")) from None
    if address.startswith("tls:") and given["ssl_context"] is None:
        names = "ca-file, client.cert and client.key"
        right = f"name the files in Dask's settings, {names} under distributed.comm.tls"
        raise InputError(f"--dask {address}: TLS is not set up; {right}")
    if not address.startswith("tls:") and given["require_encryption"]:
        wrong = "Dask's setting distributed.comm.require-encryption allows no connection without TLS"
        raise InputError(f"--dask {address}: {wrong}; use tls://HOST:PORT")


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
