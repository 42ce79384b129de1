"""The cluster behind the kubeconfig, for commands that read or change a few objects."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoslicer.cli.failures import BadInputError, CommandError, UnreachableError

if TYPE_CHECKING:
    import asyncio

    from autoslicer.cluster.client import Client, Object

KubeconfigOption = Annotated[
    str, typer.Option("--kubeconfig", help="As kubectl's; else $KUBECONFIG, ~/.kube/config, or in-cluster.")
]
ContextOption = Annotated[str, typer.Option("--context", help="The kubeconfig's context to use.")]
PAGE = "500"
"""objects asked for at once"""


class RefusedError(CommandError):
    """The API server answered with an error; `absent` where there is no such object or kind."""

    def __init__(self, message: str, *, absent: bool) -> None:
        super().__init__(message)
        self.absent = absent


class Session:
    """A few requests to one API server, made one after the other.

    Every method raises UnreachableError where the server does not answer and RefusedError where it refuses.
    """

    def __init__(self, runner: asyncio.Runner, client: Client) -> None:
        self._runner = runner
        self._client = client

    def get(self, path: str) -> Object | None:
        """The object at a path; None where there is none."""
        try:
            return self._run(self._client.get(path))
        except RefusedError as refused:
            if refused.absent:
                return None
            raise

    def items(self, path: str) -> list[Object]:
        """All objects of a collection, read in pages."""
        found: list[Object] = []
        following: dict[str, str] = {}
        while True:
            page = self._run(self._client.get(path, limit=PAGE, **following))
            found += page.get("items") or []
            if not (more := page.get("metadata", {}).get("continue")):
                return found
            following = {"continue": more}

    def create(self, path: str, body: Object) -> Object:
        """Create an object in the collection at a path, and return it as the server has it."""
        return self._run(self._client.create(path, body))

    def user(self) -> str:
        """Who the API server takes us for; "somebody" where it does not say."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            review = self.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        except RefusedError:
            return "somebody"
        return str(review["status"]["userInfo"].get("username") or "somebody")

    def patch(self, path: str, body: Object) -> None:
        """Merge `body` into the object at a path; a resourceVersion in it is a precondition."""
        self._run(self._client.patch(path, body))

    def run(self, task: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
        """Do something of several requests to its end."""
        self._runner.run(task(self._client))

    def _run(self, request: Coroutine[Any, Any, Object]) -> Object:
        from autoslicer.cluster import client

        try:
            return self._runner.run(request)
        except client.RefusedError as error:
            raise RefusedError(_first_line(error), absent=error.status == 404) from None
        except client.UnreachableError as error:
            host = self._client.api.configuration.host
            raise UnreachableError(f"the cluster at {host} cannot be reached: {_first_line(error)}") from None


@contextmanager
def session(kubeconfig: str, context: str) -> Iterator[Session]:
    """A session with the cluster that the kubeconfig names, or with the one that this is a pod of.

    Raises:
        BadInputError: the named kubeconfig or context is not there.
        UnreachableError: nothing was named and no cluster is found.
    """
    import asyncio

    from autoslicer.cluster import client, connection

    with asyncio.Runner() as runner:
        try:
            connected = runner.run(connection.connect(kubeconfig, context))
        except client.UnreachableError as error:
            wrong = BadInputError if kubeconfig or context else UnreachableError
            raise wrong(_first_line(error)) from None
        try:
            yield Session(runner, connected)
        finally:
            runner.run(connected.close())


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
