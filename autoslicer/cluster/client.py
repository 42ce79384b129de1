"""Requests to the API server: plain JSON over the official client's connection, authentication and TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from kubernetes.aio.client import ApiClient

from autoslicer.cluster.fence import Fence

Object = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TIMEOUT_SECONDS = 30.0
INACTIVE_SECONDS = 70.0
"""a watch that is silent for so long is dead: bookmarks come every minute"""

_FAREWELL_SECONDS = 0.25
"""aiohttp's own advice for the end of connections under TLS"""

Counter = Callable[[str, str], None]
"""told the verb and the HTTP status (or "error") of every request"""

LONGEST_RETRY_AFTER = 60.0
"""seconds; a server that asks for more is asked again all the same"""


class UnreachableError(Exception):
    """The API server did not answer."""


class FencedError(UnreachableError):
    """Nothing was sent: somebody else may lead by now."""


class RefusedError(Exception):
    """The API server answered with an error.

    Attributes:
        status: the HTTP status.
        retry_after: seconds after which it wants to be asked again; 0 where it said nothing of that.
    """

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message or f"the API server answered {status}")
        self.status, self.retry_after = status, retry_after

    @property
    def conflict(self) -> bool:
        """A precondition did not hold: the object is newer than thought, or exists, or is gone."""
        return self.status in (404, 409)


class Client:
    """One connection pool to one API server; every call raises UnreachableError or RefusedError."""

    def __init__(
        self,
        api: ApiClient,
        count: Counter = lambda verb, code: None,
        inactive_seconds: float = INACTIVE_SECONDS,
        fence: Fence | None = None,
    ) -> None:
        """Nothing is asked for yet.

        Args:
            api: the official client, for its connections, authentication and TLS.
            count: told of every request.
            inactive_seconds: a watch that is silent for so long has failed.
            fence: writes are sent only while it is open; None for always.
        """
        self.api = api
        self._count, self._inactive, self._fence = count, inactive_seconds, fence

    def fenced(self, fence: Fence) -> Client:
        """A client over the same connections that writes only while the fence is open."""
        return Client(self.api, self._count, self._inactive, fence)

    async def get(self, path: str, **query: str) -> Object:
        """GET one object or list."""
        return await self._request("get", "GET", path, query)

    async def create(self, path: str, body: Object, **query: str) -> Object:
        """POST to a collection; what was made is returned."""
        return await self._request("create", "POST", path, query, body)

    async def update(self, path: str, body: Object) -> Object:
        """PUT; a resourceVersion in the body is a precondition."""
        return await self._request("update", "PUT", path, {}, body)

    async def patch(self, path: str, body: Object) -> Object:
        """A merge patch; a resourceVersion in it is a precondition."""
        return await self._request("patch", "PATCH", path, {}, body, MERGE_PATCH)

    async def patch_where(self, path: str, tests: Mapping[str, Any], values: Mapping[str, Any]) -> Object:
        """A JSON patch: set values where others are as expected; both by JSON pointer, None for absent.

        Raises:
            RefusedError: something is not as expected, or an admission policy says no (both 422).
            UnreachableError: the API server did not answer.
        """
        body = [{"op": "test", "path": at, "value": value} for at, value in tests.items()]
        for at, value in values.items():
            body.append(
                {"op": "remove", "path": at} if value is None else {"op": "add", "path": at, "value": value}
            )
        return await self._request("patch", "PATCH", path, {}, body, JSON_PATCH)

    async def delete(self, path: str, *, uid: str) -> None:
        """DELETE the object with exactly this uid."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        await self._request("delete", "DELETE", path, {}, body)

    async def watch(self, path: str, **query: str) -> AsyncIterator[Object]:
        """The events of a watch, until the server ends it.

        Lines are split here: a limit on their length, as a line reader has it, breaks on large nodes.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_SECONDS, sock_read=self._inactive)
        response = await self._send("watch", "GET", path, {"watch": "true", **query}, None, timeout=timeout)
        try:
            if response.status >= 400:
                raise _refused(response, await response.text())
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _parsed(line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error
        finally:
            # a farewell in TLS would outlive the event loop where the process ends right now
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()
            response.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()
        # one that a cancelled request had says farewell in TLS, which would outlive the event loop
        await asyncio.sleep(_FAREWELL_SECONDS)

    async def _request(
        self,
        verb: str,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | list[Object] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        response = await self._send(verb, method, path, query, body, content_type)
        try:
            text = await response.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error
        if response.status >= 400:
            raise _refused(response, text)
        return _parsed(text)

    async def _send(
        self,
        verb: str,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | list[Object] | None,
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        method, url, headers, *_ = await self.api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        limit = timeout or aiohttp.ClientTimeout(total=self._patience(method))
        try:
            answer = await self.api.call_api(method, url, headers, body, _request_timeout=limit)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._count(verb, "error")
            raise UnreachableError(str(error) or type(error).__name__) from error
        self._count(verb, str(answer.status))
        response: aiohttp.ClientResponse = answer.response
        return response

    def _patience(self, method: str) -> float:
        """Seconds that a request may take; a write is given up when the fence closes, sent or not.

        Raises:
            FencedError: it is closed.
        """
        if self._fence is None or method == "GET":
            return TIMEOUT_SECONDS
        if (left := self._fence.left) <= 0:
            raise FencedError("nothing is written any more: somebody else may lead by now")
        return min(TIMEOUT_SECONDS, left)


def segment(name: str) -> str:
    """A name as one segment of a path.

    Raises:
        RefusedError: no object can be called so (404). The API server takes an encoded slash for a slash, and
            a name from the cluster must not lead to another path.
    """
    if name in ("", ".", "..") or any(character in "/%" for character in name):
        raise RefusedError(404, f"{name[:64]!r} is not a name that Kubernetes allows")
    return quote(name, safe="")


def version(item: Object) -> int:
    """The resourceVersion of an object or a list: a number that grows, as Kubernetes has it since 1.35."""
    text = str((item.get("metadata") or {}).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def _parsed(text: str | bytes) -> Object:
    """The object in an answer; something between here and the API server may have answered for it."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise UnreachableError("the answer is no JSON object, so that it is not the API server's")
    return answer


def _refused(response: aiohttp.ClientResponse, text: str) -> RefusedError:
    after = response.headers.get("Retry-After", "")
    seconds = min(float(after), LONGEST_RETRY_AFTER) if after.isascii() and after.isdigit() else 0.0
    return RefusedError(response.status, _message(text), seconds)


def _message(text: str) -> str:
    try:
        return str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        return text[:200]
