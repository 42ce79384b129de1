"""A cache of one resource as rows: list in pages, then watch; a re-list replaces what is there."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

import structlog

from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError, version
from autoslicer.core.reading import Row
from autoslicer.core.snapshot import node_named

RowT = TypeVar("RowT", bound=Row)
PAGE = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""seconds between attempts; doubled after each failure, with jitter"""
SHORTEST_WATCH = 1.0
"""seconds; a watch that ends sooner and brings nothing was not served by an API server that is well"""
FIRST_REFUSAL, LASTING_REFUSAL = 3.0, 60.0
"""seconds after which a refusal means that nothing is there, where nothing is known and where something is:
an API server that starts knows no rights at first"""

log = structlog.get_logger("autoslicer.reflector")


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
        empty_on: Collection[int] = (),
        page: int = PAGE,
    ) -> None:
        """Nothing is asked for before `run`.

        Args:
            client: to ask with.
            kind: for logs and metrics.
            path: of the collection.
            read: the row of an object; ValueError where it cannot be read.
            changed: told (old, new) of every change of a row, and (None, None) when the first list is
                complete or the unread objects change.
            relisted: told the kind and the cause of every list.
            keep: which rows matter.
            empty_on: HTTP statuses of a list that mean that there is nothing (404: the resource is absent)
                once they came for `FIRST_REFUSAL` seconds, or `LASTING_REFUSAL` where something was there.
            page: objects asked for at once.
        """
        self.kind = kind
        self.rows: dict[str, RowT] = {}
        self.unread: dict[str, tuple[str, str]] = {}
        self.synced = False
        self._client, self._path, self._read = client, path, read
        self._changed, self._relisted, self._keep = changed, relisted, keep
        self._empty_on, self._page = empty_on, page
        self._contact = time.monotonic()
        self._trouble = ""
        self._refused = math.inf
        # the newest version that the API server has told of, that of the last list, and those of own writes
        self._told = self._listed = 0
        self._ahead: dict[str, int] = {}

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard of this resource."""
        return time.monotonic() - self._contact

    async def run(self) -> None:
        """List and watch until cancelled."""
        pause, cause = FIRST_PAUSE, "start"
        while True:
            listed = math.inf
            try:
                since = await self._list(cause)
                listed, self._refused = time.monotonic(), math.inf
                while True:
                    since = await self._watch(since)
            except _ExpiredError:
                cause = "expired"
            except RefusedError as error:
                cause = "expired" if error.status == 410 else "refused"
                if error.status in self._empty_on:
                    self._empty()
                pause = max(pause, error.retry_after)
                self._warn(error)
            except UnreachableError as error:
                cause, self._refused = "unreachable", math.inf
                self._warn(error)
            if time.monotonic() - listed > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def refresh(self) -> None:
        """List now, beside whatever the watch does; of the two the newer counts.

        Raises:
            RefusedError, UnreachableError: as the API server answers.
        """
        await self._list("refresh")

    def observe(self, item: Object) -> None:
        """Take over what a write of our own returned, unless the API server has told of it since."""
        key, at = _key(item), version(item)
        if at > max(self._told, self._ahead.get(key, 0)):
            self._ahead[key] = at
            self._put(key, *self._project(item))

    def _empty(self) -> None:
        """Take a refusal that has lasted for a list of nothing."""
        now = time.monotonic()
        self._refused = min(self._refused, now)
        if now - self._refused >= (LASTING_REFUSAL if self.rows or self.unread else FIRST_REFUSAL):
            self._contact = now
            self._replace({}, {}, 0)

    async def _list(self, cause: str) -> str:
        """List and take it over, unless something newer was told meanwhile: a watch tells nothing twice.

        Where nothing was told meanwhile an older version counts too, as of an etcd that was restored.
        """
        self._relisted(self.kind, cause)
        known = self._told
        rows: dict[str, RowT] = {}
        unread: dict[str, tuple[str, str]] = {}
        query = {"limit": str(self._page)}
        while True:
            page = await self._client.get(self._path, **query)
            self._contact = time.monotonic()
            for item in page.get("items") or []:
                row, problem = self._project(item)
                if row is not None:
                    rows[_key(item)] = row
                if problem is not None:
                    unread[_key(item)] = problem
            following = page["metadata"].get("continue")
            if not following:
                break
            query["continue"] = following
            await asyncio.sleep(0)
        if self._told == known or version(page) >= self._told:
            self._replace(rows, unread, version(page))
        return str(page["metadata"].get("resourceVersion", ""))

    async def _watch(self, since: str) -> str:
        """Follow one watch to its end and return the newest version seen."""
        began, brought = time.monotonic(), 0
        events = self._client.watch(
            self._path,
            resourceVersion=since,
            allowWatchBookmarks="true",
            timeoutSeconds=str(random.randint(300, 600)),
        )
        try:
            async for event in events:
                self._contact = time.monotonic()
                brought, self._trouble = brought + 1, ""
                item = event["object"]
                if event["type"] == "ERROR":
                    raise _ExpiredError if item.get("code") == 410 else UnreachableError(item.get("message"))
                since = item["metadata"]["resourceVersion"]
                self._hear(event["type"], item)
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        self._contact = time.monotonic()
        if not brought and self._contact - began < SHORTEST_WATCH:
            raise UnreachableError("the watch ended at once")
        return since

    def _hear(self, what: str, item: Object) -> None:
        """Take over an event, unless a list or an own write to that object has told of a newer state."""
        at, key = version(item), _key(item)
        if at <= self._listed:
            return
        self._told = max(self._told, at)
        if what == "BOOKMARK" or at < self._ahead.get(key, 0):
            return
        self._ahead.pop(key, None)
        self._put(key, *((None, None) if what == "DELETED" else self._project(item)))

    def _warn(self, error: Exception) -> None:
        """Log what goes wrong, once as long as it stays the same."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("a list or watch has failed", kind=self.kind, path=self._path, error=str(error))

    def _project(self, item: Object) -> tuple[RowT | None, tuple[str, str] | None]:
        """The row, if it matters; or what is wrong with the object and which node it names."""
        try:
            row = self._read(item)
        except ValueError as error:
            return None, (str(error), node_named(item))
        return (row if self._keep(row) else None), None

    def _put(self, key: str, row: RowT | None, problem: tuple[str, str] | None) -> None:
        old, known = self.rows.pop(key, None), self.unread.pop(key, None)
        if row is not None:
            self.rows[key] = row
        if problem is not None:
            self.unread[key] = problem
        if old != row:
            self._changed(old, row)
        if known != problem:
            self._complain([] if problem is None else [problem])

    def _replace(self, rows: dict[str, RowT], unread: dict[str, tuple[str, str]], at: int) -> None:
        # a list of an etcd that was restored knows nothing of own writes before
        self._ahead = {
            key: written for key, written in self._ahead.items() if at < written and at >= self._told
        }
        self._told = self._listed = at
        for key in self._ahead:
            rows.pop(key, None)
            if key in self.rows:
                rows[key] = self.rows[key]
        old, self.rows = self.rows, rows
        known, self.unread = self.unread, unread
        first, self.synced = not self.synced, True
        for key in old.keys() | rows.keys():
            if old.get(key) != rows.get(key):
                self._changed(old.get(key), rows.get(key))
        if first or known != unread:
            self._complain([problem for key, problem in unread.items() if known.get(key) != problem])

    def _complain(self, problems: Collection[tuple[str, str]]) -> None:
        for sentence, _ in problems:
            log.warning("an object cannot be read and is left out", kind=self.kind, error=sentence)
        self._changed(None, None)


def _key(item: Object) -> str:
    metadata = item.get("metadata") or {}
    namespace, name = metadata.get("namespace"), metadata.get("name", "")
    return f"{namespace}/{name}" if namespace else str(name)
