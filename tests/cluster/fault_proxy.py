"""A proxy that speaks HTTP, for the faults that API servers and what lies before them have.

It ends the client's TLS with the API server's own certificate, so that it sees verb, path and body of every
request; a token goes through, a client certificate does not. Faults of the network below it are those of
`tests.cluster.proxy.Proxy`, which may stand in front.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from tests.cluster.faults import WRITES, Answer, Expired, Fault, HalfOpen, Reset, Rules, Silence, Slow

Result = TypeVar("Result")
Answered = tuple[int, dict[str, str], bytes]
"""status, headers and body"""
LONGEST_EVENT = 16 * 1024 * 1024
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OWN_HEADERS = ("connection", "content-length", "host", "keep-alive", "transfer-encoding")
_REASONS = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass(slots=True)
class Seen:
    """One request that came in.

    Attributes:
        verb: as in `Rule`.
        path: without the query.
        body: what was sent; empty where nothing was.
        began: when it came in, in seconds of `time.monotonic`.
        fault: what happened to it; None where nothing did.
        true: the HTTP status that the API server gave it; 0 while it has not.
        told: the HTTP status that the client got; 0 while it has none.
    """

    verb: str
    path: str
    body: dict[str, Any]
    began: float
    fault: Fault | None
    true: int = 0
    told: int = 0


class FaultProxy(Rules):
    """Passes requests on to the API server at `target`, but for those that meet a fault.

    Attributes:
        url: where it listens.
        seen: every request so far.
    """

    def __init__(self, target: str, pki: Path, seed: int = 0) -> None:
        self.seen: list[Seen] = []
        super().__init__(seed)
        self._target, self._pki = target, pki
        self._halted = False
        self._beside: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
        self._thread.start()
        self._runner, self._session = self._do(self._start())
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    def halt_watches(self) -> None:
        """Half-open: the watches that are open now, and later ones, bring nothing any more but stay."""
        self._halted = True

    def writes(self, path: str = "", *, since: float = 0.0) -> list[Seen]:
        """What was to be written to such a path, and came in at or after `since`."""
        found = [one for one in self.seen if one.verb in WRITES and one.began >= since]
        return [one for one in found if re.search(path, one.path)]

    def kubeconfig(self, direct: Path) -> Path:
        """A kubeconfig with a token like `direct`, but through this proxy."""
        config = yaml.safe_load(direct.read_text())
        assert "token" in config["users"][0]["user"], "a client certificate does not go through"
        config["clusters"][0]["cluster"]["server"] = self.url
        path = direct.with_name(f"{direct.stem}.{URL(self.url).port}.kubeconfig")
        path.write_text(yaml.safe_dump(config))
        return path

    def close(self) -> None:
        """The end of the proxy; every connection is closed."""
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> tuple[web.AppRunner, aiohttp.ClientSession]:
        near = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        near.load_cert_chain(self._pki / "apiserver.crt", self._pki / "apiserver.key")
        far = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        connector = aiohttp.TCPConnector(limit=0, ssl=far)
        session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=LONGEST_EVENT)
        app.router.add_route("*", "/{any:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=near).start()
        return runner, session

    async def _stop(self) -> None:
        self._over.set()
        await self._runner.cleanup()
        late = [task for task in self._beside if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._session.close()
        # connections over TLS end in the loop's next rounds
        await asyncio.sleep(0.1)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        verb, text = _verb(request), await request.text()
        fault = self.drawn(verb, request.path)
        seen = Seen(verb, request.path, json.loads(text) if text else {}, time.monotonic(), fault)
        self.seen.append(seen)
        try:
            response = await self._met(request, text, seen)
        except (aiohttp.ClientError, OSError):
            _reset(request)
            return web.Response()
        seen.told = response.status
        return response

    async def _met(self, request: web.Request, text: str, seen: Seen) -> web.StreamResponse:
        match seen.fault:
            case Answer(status, retry_after, lost):
                if lost:
                    await self._pass(request, text, seen)
                return _refusal(status, retry_after)
            case Silence(lost):
                if lost:
                    await self._pass(request, text, seen)
                await self._over.wait()
                raise ConnectionResetError
            case Reset(lost):
                if lost:
                    status, headers, body = await self._pass(request, text, seen)
                    await _begin(request, status, headers, body)
                raise ConnectionResetError
            case Slow(seconds, there):
                late = self._passing(request, text, seen, seconds if there else 0.0)
                if not there:
                    await asyncio.sleep(seconds)
                return _response(*await asyncio.shield(late))
        if seen.verb == "watch":
            return await self._watch(request, seen)
        return _response(*await asyncio.shield(self._passing(request, text, seen)))

    def _passing(
        self, request: web.Request, text: str, seen: Seen, late: float = 0.0
    ) -> asyncio.Task[Answered]:
        """What the API server answers; it is asked also where the client has gone meanwhile."""
        task = asyncio.create_task(self._pass(request, text, seen, late))
        self._beside.add(task)
        task.add_done_callback(self._passed)
        return task

    def _passed(self, task: asyncio.Task[Answered]) -> None:
        """How it ended is asked for once: nobody else does where the client has gone."""
        self._beside.discard(task)
        if not task.cancelled():
            task.exception()

    async def _pass(self, request: web.Request, text: str, seen: Seen, late: float = 0.0) -> Answered:
        await asyncio.sleep(late)
        url = URL(self._target + request.raw_path, encoded=True)
        data = text.encode() if text else None
        async with self._session.request(
            request.method, url, headers=_headers(request.headers), data=data
        ) as answer:
            body = await answer.read()
        seen.true = answer.status
        return answer.status, _headers(answer.headers), body

    async def _watch(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        url = URL(self._target + request.raw_path, encoded=True)
        async with self._session.get(url, headers=_headers(request.headers)) as answer:
            seen.true = seen.told = answer.status
            response = web.StreamResponse(status=answer.status, headers=_headers(answer.headers))
            await response.prepare(request)
            left = seen.fault.events if isinstance(seen.fault, HalfOpen | Expired) else None
            while left is None or left > 0:
                line = await answer.content.readuntil(b"\n", max_size=LONGEST_EVENT)
                if not line:
                    return response
                if self._halted:
                    await self._over.wait()
                await response.write(line)
                left = None if left is None else left - 1
            if isinstance(seen.fault, HalfOpen):
                await self._over.wait()
            else:
                status = _status(410, "too old resource version")
                await response.write(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
        return response


def _verb(request: web.Request) -> str:
    if request.method != "GET":
        return _VERBS.get(request.method, request.method.lower())
    if request.query.get("watch") in ("true", "1"):
        return "watch"
    _, kind, *rest = request.path.split("/")
    place = rest[1 if kind == "api" else 2 :]
    if place[:1] == ["namespaces"] and len(place) > 2:
        place = place[2:]
    return "list" if len(place) == 1 else "get"


def _headers(found: Any) -> dict[str, str]:
    return {name: value for name, value in found.items() if name.lower() not in _OWN_HEADERS}


def _status(code: int, message: str) -> dict[str, object]:
    reason = _REASONS.get(code, "Unknown")
    head = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure"}
    return {**head, "message": message, "reason": reason, "code": code}


def _refusal(status: int, retry_after: str) -> web.Response:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return web.json_response(_status(status, f"a fault: {status}"), status=status, headers=headers)


def _response(status: int, headers: dict[str, str], body: bytes) -> web.Response:
    return web.Response(status=status, headers=headers, body=body)


async def _begin(request: web.Request, status: int, headers: dict[str, str], body: bytes) -> None:
    """The head of the answer and the first half of its body."""
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])


def _reset(request: web.Request) -> None:
    """End the connection with an RST, as a server does that was killed."""
    if request.transport is not None:
        found: socket.socket = request.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
