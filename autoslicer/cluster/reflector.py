"""A cache of one resource as rows: list in pages, then watch; a re-list replaces what is there."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError
from autoslicer.core.reading import Row
from autoslicer.core.snapshot import node_named

RowT = TypeVar("RowT", bound=Row)
PAGE = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""seconds between attempts; doubled after each failure, with jitter"""
ABSENT_PAUSE = 30.0
"""seconds until a resource that the API server does not have is asked for again"""


class _ExpiredError(Exception):
    """The watch can not go on from where it was: list again."""


class Reflector(Generic[RowT]):
    """Rows by key (`namespace/name` or name), kept up to date until `run` is cancelled.

    Attributes:
        rows: the newest rows; replaced, never emptied, when the resource is listed again.
        unread: by key, what is wrong with an object that cannot be read, and the node that it names.
        synced: the first list is complete.
    """

    def __init__(
        self,
        client: Client,
        kind: str,
        path: str,
        read: Callable[[object], RowT],
        *,
        changed: Callable[[RowT | None, RowT | None], None],
        relisted: Callable[[str, str], None] = lambda kind, cause: None,
        keep: Callable[[RowT], bool] = lambda row: True,
        optional: bool = False,
    ) -> None:
        """`changed` is told (old, new) of every change; an `optional` resource may be absent."""
        self.kind = kind
        self.rows: dict[str, RowT] = {}
        self.unread: dict[str, tuple[str, str]] = {}
        self.synced = False
        self._client, self._path, self._read = client, path, read
        self._changed, self._relisted, self._keep, self._optional = changed, relisted, keep, optional
        self._contact = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard of this resource."""
        return time.monotonic() - self._contact

    async def run(self) -> None:
        """List and watch until cancelled."""
        pause, cause = FIRST_PAUSE, "start"
        while True:
            try:
                version = await self._list(cause)
                pause = FIRST_PAUSE
                while True:
                    version = await self._watch(version)
            except _ExpiredError:
                cause = "expired"
                continue
            except RefusedError as error:
                cause = "expired" if error.status == 410 else "refused"
                if self._optional and error.status == 404:
                    self._replace({}, {})
                    pause = ABSENT_PAUSE
            except UnreachableError:
                cause = "unreachable"
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    def observe(self, item: Object) -> RowT | None:
        """Take over an object that a write or a read of our own returned, unless a newer one is here."""
        key = _key(item)
        try:
            row = self._read(item)
        except ValueError:
            return None
        present = self.rows.get(key)
        if present is None or _version(row) >= _version(present):
            self._set(key, row)
        return row

    async def _list(self, cause: str) -> str:
        self._relisted(self.kind, cause)
        rows: dict[str, RowT] = {}
        unread: dict[str, tuple[str, str]] = {}
        query = {"limit": str(PAGE)}
        while True:
            page = await self._client.get(self._path, **query)
            self._contact = time.monotonic()
            for item in page.get("items") or []:
                self._project(item, rows, unread)
            metadata = page.get("metadata", {})
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
            await asyncio.sleep(0)
        self._replace(rows, unread)
        return str(metadata.get("resourceVersion", ""))

    async def _watch(self, version: str) -> str:
        """Follow one watch to its end and return the newest version seen."""
        seconds = str(random.randint(300, 600))
        events = self._client.watch(
            self._path, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=seconds
        )
        try:
            async for event in events:
                self._contact = time.monotonic()
                item = event["object"]
                if event["type"] == "ERROR":
                    raise _ExpiredError if item.get("code") == 410 else UnreachableError(item.get("message"))
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._set(_key(item), None)
                elif event["type"] != "BOOKMARK":
                    self._take(item)
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        self._contact = time.monotonic()
        return version

    def _take(self, item: Object) -> None:
        key, rows, unread = _key(item), dict[str, RowT](), dict[str, tuple[str, str]]()
        self._project(item, rows, unread)
        if key in unread:
            self._set(key, None)
            self.unread[key] = unread[key]
        else:
            self._set(key, rows.get(key))

    def _project(self, item: Object, rows: dict[str, RowT], unread: dict[str, tuple[str, str]]) -> None:
        key = _key(item)
        try:
            row = self._read(item)
        except ValueError as error:
            unread[key] = (str(error), node_named(item))
            return
        if self._keep(row):
            rows[key] = row

    def _replace(self, rows: dict[str, RowT], unread: dict[str, tuple[str, str]]) -> None:
        old, self.rows, self.unread, self.synced = self.rows, rows, unread, True
        for key in old.keys() | rows.keys():
            if old.get(key) != rows.get(key):
                self._changed(old.get(key), rows.get(key))
        if not old and not rows:
            self._changed(None, None)

    def _set(self, key: str, row: RowT | None) -> None:
        old = self.rows.get(key)
        self.unread.pop(key, None)
        if row is None or not self._keep(row):
            self.rows.pop(key, None)
            row = None
        else:
            self.rows[key] = row
        if old != row:
            self._changed(old, row)


def _key(item: Object) -> str:
    metadata = item.get("metadata") or {}
    namespace, name = metadata.get("namespace"), metadata.get("name", "")
    return f"{namespace}/{name}" if namespace else str(name)


def _version(row: Row) -> int:
    """Resource versions are numbers that grow, as Kubernetes has it since 1.35; 0 where a row has none."""
    text = getattr(row, "resource_version", "")
    return int(text) if text.isdigit() else 0
