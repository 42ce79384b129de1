"""The kopf shell: start-up, shutdown and policy events; it watches no pods or nodes and writes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import kopf
import structlog

from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import UnreachableError
from autoslicer.controller import process
from autoslicer.controller.settings import Settings
from autoslicer.core import names

log = structlog.get_logger("autoslicer")


class Shell:
    """One run of the controller under kopf, which brings the event loop, the signals and the policy watch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._cache: Cache | None = None
        self._early: list[tuple[str | None, dict[str, Any]]] = []
        self.failed = False
        self.registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=self.registry)(self._startup)
        kopf.on.cleanup(registry=self.registry)(self._cleanup)
        kopf.on.login(registry=self.registry)(kopf.login_with_kubeconfig)
        kopf.on.login(registry=self.registry)(kopf.login_with_service_account)
        kopf.on.event(names.GROUP, names.VERSION, "migautoscalingpolicies", registry=self.registry)(
            self._policy
        )

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, or until leadership is lost; `failed` tells which."""
        if self._settings.kubeconfig:
            os.environ["KUBECONFIG"] = self._settings.kubeconfig
        kopf.run(registry=self.registry, standalone=True, clusterwide=True)

    async def _startup(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.scanning.disabled = True
        settings.peering.standalone = True
        settings.posting.enabled = False
        settings.persistence.finalizer = f"{names.GROUP}/finalizer"
        settings.watching.chunk_size = 500
        settings.networking.request_timeout = 30
        settings.networking.error_backoffs = [1, 2, 4, 8, 16, 30]
        self._task = asyncio.create_task(process.run(self._settings, self._ready), name="autoslicer")
        self._task.add_done_callback(self._ended)

    async def _cleanup(self, **_: Any) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _policy(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        item = dict(body)
        if self._cache is None:
            self._early.append((type, item))
        else:
            self._cache.apply_policy(type, item)

    def _ready(self, cache: Cache) -> None:
        self._cache = cache
        for event, item in self._early:
            cache.apply_policy(event, item)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The work ended by itself: that is a failure, and the process goes with it."""
        if task.cancelled():
            return
        self.failed = True
        error = task.exception()
        if isinstance(error, UnreachableError | OSError | ValueError):
            log.error(str(error))
        elif error is not None:
            log.error("the controller failed", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
