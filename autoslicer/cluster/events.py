"""Events on objects, at most one for each object and reason, posted beside the work and not too fast."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections import OrderedDict
from datetime import UTC, datetime

import structlog

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client, RefusedError, UnreachableError
from autoslicer.core import names
from autoslicer.core.actions import Report

REMEMBERED = 50_000
"""objects and reasons that are remembered; those that were reported longest ago go first"""
FORGOTTEN_SECONDS = 3600.0
"""after which a reason that was not reported meanwhile is said again; so long the API server keeps events"""
PACE_SECONDS = 0.02
"""between two events; thousands of pods that cannot be helped are told one after the other"""
RETRY_SECONDS = 1.0
NOTE_BYTES = 1024
"""the longest note that the API server takes, in UTF-8"""
_API_VERSIONS = {"Pod": "v1", "Node": "v1"}
_PLACE_OF_CLUSTER_SCOPED = "default"
"""Kubernetes keeps the events of objects without a namespace there"""
_Key = tuple[str, str]

log = structlog.get_logger("autoslicer.events")


class Recorder:
    """Posts events; what was said of an object is not said again while it goes on, nor by the next process.

    An event is called after its object and reason: as long as the API server keeps it, no second one is made.
    """

    def __init__(self, client: Client, instance: str = "") -> None:
        self._client = client
        self._instance = instance or socket.gethostname()
        self._said: OrderedDict[_Key, float] = OrderedDict()
        self._waiting: dict[_Key, Report] = {}
        self._any = asyncio.Event()

    def report(self, action: Report) -> None:
        """Have the event posted soon, unless it is said already; `run` does it."""
        key = _key(action)
        if not self._is_said(key) and len(self._waiting) < REMEMBERED:
            self._waiting.setdefault(key, action)
            self._any.set()

    async def run(self) -> None:
        """Post what is reported until cancelled; what is refused is left to the next report of it."""
        while True:
            await self._any.wait()
            key, action = next(iter(self._waiting.items()))
            pause = PACE_SECONDS
            try:
                await self.post(action)
            except RefusedError as error:
                # as in a namespace that is being deleted
                log.warning(
                    "an event was refused", object=action.name, reason=action.reason, error=str(error)
                )
            except UnreachableError:
                pause = RETRY_SECONDS
            del self._waiting[key]
            if not self._waiting:
                self._any.clear()
            await asyncio.sleep(pause)

    async def post(self, action: Report) -> None:
        """Post the event, unless it is said already or is about to be.

        Raises:
            RefusedError, UnreachableError: it could not be posted; it counts as not said.
        """
        key = _key(action)
        if self._is_said(key):
            return
        self._said[key] = time.monotonic()
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        namespace = action.namespace or _PLACE_OF_CLUSTER_SCOPED
        try:
            await self._client.create(paths.events(namespace), self._event(action, namespace))
        except BaseException as error:
            # 409: another process said it, and its event is still there
            if not (isinstance(error, RefusedError) and error.status == 409):
                self._said.pop(key, None)
                raise

    def _is_said(self, key: _Key) -> bool:
        """It was said and goes on: it was reported again and again since."""
        now, last = time.monotonic(), self._said.pop(key, None)
        if last is None or now - last > FORGOTTEN_SECONDS:
            return False
        self._said[key] = now
        return True

    def _event(self, action: Report, namespace: str) -> dict[str, object]:
        now = time.time_ns()
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": _name(action), "namespace": namespace},
            "eventTime": _micro_time(now / 1e9),
            "reportingController": f"{names.GROUP}/controller",
            "reportingInstance": self._instance[:128],
            "action": "Plan" if action.kind == "Pod" else "Reshape",
            "type": action.type,
            "reason": action.reason,
            "note": action.message.encode()[:NOTE_BYTES].decode(errors="ignore"),
            "regarding": {
                "apiVersion": _API_VERSIONS.get(action.kind, names.API_VERSION),
                "kind": action.kind,
                "name": action.name,
                "uid": action.uid,
                **({"namespace": action.namespace} if action.namespace else {}),
            },
        }


def _key(action: Report) -> _Key:
    return action.uid or f"{action.kind}/{action.namespace}/{action.name}", action.reason


def _name(action: Report) -> str:
    digest = hashlib.sha256("/".join((action.kind, *_key(action))).encode()).hexdigest()
    return f"{action.name[:200].rstrip('-.')}.{digest[:16]}"


def _micro_time(at: float) -> str:
    """RFC 3339 with exactly six digits of a fraction, as MicroTime has it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
