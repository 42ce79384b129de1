"""The kopf shell: start-up, shutdown and policy events; it watches no pods or nodes and writes nothing."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Iterator
from typing import Any

import kopf
import structlog

from autoslicer.cluster.cache import Cache
from autoslicer.cluster.connection import connect
from autoslicer.cluster.tasks import running
from autoslicer.controller import process, search
from autoslicer.controller.process import ControllerError
from autoslicer.controller.settings import Settings
from autoslicer.core import names
from autoslicer.observability.metrics import Metrics

log = structlog.get_logger("autoslicer")


def run(settings: Settings) -> None:
    """Run the controller until SIGTERM or SIGINT.

    Raises:
        UnreachableError: there is neither a kubeconfig nor a service account to connect with.
        ControllerError: it ended by itself.
    """
    shell = _Shell(settings)
    try:
        kopf.run(registry=shell.registry, standalone=True, clusterwide=True, stop_flag=shell.ending)
    except Exception as error:
        shell.failure = shell.failure or error
    if search.under_way():
        _leave_at_once(shell.failure)
    if isinstance(shell.failure, ControllerError):
        raise shell.failure
    if shell.failure is not None:
        log.error("the controller failed", exc_info=shell.failure)
        raise ControllerError("the controller failed; the log says why")


class _Shell:
    """One run of the controller under kopf, which brings the event loop, the signals and the policy watch.

    Attributes:
        ending: set when the work has ended by itself, and at the latest at the end: kopf waits for it.
        failure: why the work ended by itself.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._metrics = settings, Metrics()
        self._client = asyncio.run(connect(settings.kubeconfig, settings.context, self._count))
        self._cache = Cache(self._client, self._relisted)
        self._work: asyncio.Task[None] | None = None
        self.ending = asyncio.Event()
        self.failure: BaseException | None = None
        self.registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=self.registry)(self._startup)
        kopf.on.cleanup(registry=self.registry)(self._cleanup)
        kopf.on.login(registry=self.registry)(self._login)
        kopf.on.event(names.GROUP, names.VERSION, "migautoscalingpolicies", registry=self.registry)(
            self._policy
        )

    async def _startup(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.scanning.disabled = True
        settings.peering.standalone = True
        settings.posting.enabled = False
        settings.persistence.finalizer = f"{names.GROUP}/finalizer"
        settings.watching.chunk_size = 500
        settings.networking.request_timeout = 30
        settings.networking.error_backoffs = _Backoffs()
        self._work = asyncio.create_task(
            process.run(self._settings, self._client, self._cache, self._metrics), name="autoslicer"
        )
        self._work.add_done_callback(self._ended)
        # kopf looks for the custom resource but once; whatever is to be seen before it is there, we serve
        try:
            async with running(self._cache.policies.listed.wait()) as listed:
                await asyncio.wait([listed, self._work], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._cleanup()
            raise

    async def _cleanup(self, **_: Any) -> None:
        self.ending.set()
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self._client.close()

    async def _login(self, **_: Any) -> kopf.ConnectionInfo:
        """The connection of our own client; asked for again when its credentials are refused."""
        settings = self._client.api.configuration
        header = await settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        scheme, _blank, token = (header or "").partition(" ")
        return kopf.ConnectionInfo(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            insecure=not settings.verify_ssl,
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
            scheme=scheme or None,
            token=token or None,
            proxy_url=settings.proxy,
            trust_env=True,
        )

    async def _policy(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        self._cache.policies.apply(type, dict(body))

    def _ended(self, work: asyncio.Task[None]) -> None:
        """The work ended by itself: that is a failure, and the process goes with it."""
        if not work.cancelled():
            self.failure = work.exception()
            self.ending.set()

    def _count(self, verb: str, code: str) -> None:
        self._metrics.api_requests.labels(verb, code).inc()

    def _relisted(self, kind: str, cause: str) -> None:
        self._metrics.relists.labels(kind, cause).inc()


class _Backoffs:
    """Seconds between kopf's attempts at one request: it never gives up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 2, 4, 8, 16), itertools.repeat(30))


def _leave_at_once(failure: BaseException | None) -> None:
    """End the process while a search is under way, whose libraries must not be torn down beneath it."""
    if failure is not None:
        log.error("the controller ended by itself", exc_info=failure)
    logging.shutdown()
    os._exit(0 if failure is None else 1)
