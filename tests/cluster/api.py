"""A small JSON client of the API server for the played parts and the tests: requests, lists and watches."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]
MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused: `status` is the HTTP status, the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Requests with the admin certificate in `pki`."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        self._pool = urllib3.PoolManager(
            maxsize=32,
            retries=False,
            cert_file=str(pki / "admin.crt"),
            key_file=str(pki / "admin.key"),
            ca_certs=str(pki / "ca.crt"),
        )

    def get(self, path: str, **query: str) -> Object:
        """GET."""
        return self._request("GET", path, None, query)

    def create(self, path: str, body: Object) -> Object:
        """POST."""
        return self._request("POST", path, body, {})

    def patch(self, path: str, body: Object) -> Object:
        """A merge patch."""
        return self._request("PATCH", path, body, {}, MERGE)

    def delete(self, path: str, *, uid: str = "", now: bool = False) -> None:
        """DELETE, where it is there; `now` without a grace period, `uid` as precondition."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if now:
            body["gracePeriodSeconds"] = 0
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._request("DELETE", path, body, {})
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def list(self, path: str, **query: str) -> list[Object]:
        """The items of a list; asked for again while the storage of a new resource is being made (429)."""
        for _ in range(20):
            try:
                return self._items(path, query)
            except ApiError as error:
                if error.status != 429:
                    raise
                time.sleep(0.25)
        return self._items(path, query)

    def _items(self, path: str, query: dict[str, str]) -> list[Object]:
        items: list[Object] = self.get(path, **query)["items"]
        return items

    def watch(self, path: str, version: str) -> Iterator[tuple[str, Object]]:
        """Events (type, object) from a resourceVersion on, until the server ends the watch."""
        query = urlencode({"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"})
        limit = urllib3.Timeout(connect=5, read=3600)
        answer = self._pool.request(
            "GET", f"{self._server}{path}?{query}", preload_content=False, timeout=limit
        )
        try:
            rest = b""
            for chunk in answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]
        finally:
            answer.release_conn()
            answer.close()

    def _request(
        self,
        method: str,
        path: str,
        body: Object | None,
        query: dict[str, str],
        kind: str = "application/json",
    ) -> Object:
        answer = self._pool.request(
            method,
            f"{self._server}{path}" + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": kind, "Accept": "application/json"},
            timeout=10,
        )
        if answer.status >= 300:
            raise ApiError(answer.status, answer.data.decode(errors="replace"))
        found: Object = json.loads(answer.data or b"{}")
        return found


class Mirror:
    """The objects of one resource, kept up to date by a thread of its own.

    `changed` is called after each change.
    """

    def __init__(self, api: Api, path: str, changed: Callable[[], None], stop: threading.Event) -> None:
        self._api, self._path, self._changed, self._stop = api, path, changed, stop
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name=f"mirror {path}", daemon=True)
        self.thread.start()

    def objects(self) -> list[Object]:
        """A copy of the list of all objects; the objects themselves are not to be changed."""
        with self._lock:
            return list(self._objects.values())

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (OSError, ApiError, urllib3.exceptions.HTTPError, ValueError):
                self._stop.wait(0.2)

    def _follow(self) -> None:
        first = self._api.get(self._path)
        with self._lock:
            self._objects = {item["metadata"]["uid"]: item for item in first["items"]}
        self._changed()
        for what, item in self._api.watch(self._path, first["metadata"]["resourceVersion"]):
            if self._stop.is_set() or what == "ERROR":
                return
            if what == "BOOKMARK":
                continue
            with self._lock:
                if what == "DELETED":
                    self._objects.pop(item["metadata"]["uid"], None)
                else:
                    self._objects[item["metadata"]["uid"]] = item
            self._changed()
