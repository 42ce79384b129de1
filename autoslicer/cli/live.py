"""The cluster behind the kubeconfig, for commands that read or change a few objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoslicer.cli.failures import BadInputError, CommandError, UnreachableError

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient

KubeconfigOption = Annotated[
    str, typer.Option("--kubeconfig", help="As kubectl's; else $KUBECONFIG, ~/.kube/config, or in-cluster.")
]
ContextOption = Annotated[str, typer.Option("--context", help="The kubeconfig's context to use.")]
MERGE_PATCH = "application/merge-patch+json"
PAGE = 500
TIMEOUT_SECONDS = 30


class RefusedError(CommandError):
    """The API server answered, but not with what was asked for; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @property
    def absent(self) -> bool:
        """There is no such object, or no such kind."""
        return self.status == 404


class Session:
    """A few requests to one API server, made one after the other.

    Every method raises UnreachableError where the server does not answer and RefusedError where it refuses.
    """

    def __init__(self, runner: asyncio.Runner, client: ApiClient) -> None:
        self._runner = runner
        self._client = client

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at a path; None where there is none."""
        try:
            return self._request("GET", path)
        except RefusedError as refused:
            if refused.absent:
                return None
            raise

    def items(self, path: str) -> list[dict[str, Any]]:
        """All objects of a list, read in pages."""
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": str(PAGE)}
        while True:
            page = self._request("GET", path, query)
            found += page.get("items") or []
            if not (more := page.get("metadata", {}).get("continue")):
                return found
            query["continue"] = more

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object in the list at a path."""
        self._request("POST", path, body=body)

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Merge `body` into the object at a path; a resourceVersion in it is a precondition."""
        self._request("PATCH", path, body=body, content_type=MERGE_PATCH)

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        return self._runner.run(_request(self._client, method, path, query or {}, body, content_type))


@contextmanager
def session(kubeconfig: str, context: str) -> Iterator[Session]:
    """A session with the cluster that the kubeconfig names.

    Raises:
        BadInputError: the named kubeconfig or context is not there.
        UnreachableError: no kubeconfig is found, and this is no pod of a cluster.
    """
    with asyncio.Runner() as runner:
        client = runner.run(_connect(kubeconfig, context))
        try:
            yield Session(runner, client)
        finally:
            runner.run(client.close())


async def _connect(kubeconfig: str, context: str) -> ApiClient:
    from kubernetes.aio import config
    from kubernetes.aio.client import ApiClient, Configuration

    settings = Configuration()
    try:
        await config.load_kube_config(kubeconfig or None, context or None, settings)
    except (config.ConfigException, OSError) as error:
        if kubeconfig or context:
            raise BadInputError(f"the kubeconfig cannot be used: {_first_line(error)}") from None
        try:
            config.load_incluster_config(settings)
        except config.ConfigException:
            raise UnreachableError(
                f"there is no cluster to ask: {_first_line(error)}; name a kubeconfig with --kubeconfig, "
                "or a dump with -f"
            ) from None
    return ApiClient(settings)


async def _request(
    client: ApiClient,
    method: str,
    path: str,
    query: dict[str, str],
    body: dict[str, Any] | None,
    content_type: str,
) -> dict[str, Any]:
    """The parsed answer to one request."""
    from aiohttp import ClientError

    method, url, headers, *_ = await client.param_serialize(
        method=method,
        resource_path=path,
        query_params=list(query.items()),
        header_params={"Accept": "application/json", "Content-Type": content_type},
        auth_settings=["BearerToken"],
    )
    try:
        response = await client.call_api(method, url, headers, body, _request_timeout=TIMEOUT_SECONDS)
        text = (await response.read()).decode()
    except (ClientError, OSError, TimeoutError) as error:
        host = client.configuration.host
        raise UnreachableError(f"the cluster at {host} cannot be reached: {_first_line(error)}") from None
    if response.status >= 400:
        raise RefusedError(_reason(text) or f"the API server answered {response.status}", response.status)
    answer: dict[str, Any] = json.loads(text)
    return answer


def _reason(text: str) -> str:
    """The message of a Status object."""
    try:
        return str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        return ""


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
