"""Writes the history of a run from the API server's watches, through its outages, and tells listeners."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import urllib3

from tests.chaos.history import History
from tests.cluster.api import Api, ApiError, Object
from tests.e2e.controller import CHANGES

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
Listener = Callable[[str, Object], None]
"""is told of the path of a list and of an object in it, as soon as it is seen there"""


class Recorder:
    """Watches nodes, pods and changes until it is stopped; `history` is read under `lock`."""

    def __init__(self, api: Api) -> None:
        self.history, self.lock = History(), threading.Lock()
        self._api, self._stop = api, threading.Event()
        self._listeners: list[Listener] = []
        self._known: dict[str, dict[str, Object]] = {path: {} for path in (NODES, PODS, CHANGES)}
        self._threads = [
            threading.Thread(target=self._run, args=(path,), name=f"recorder {path}", daemon=True)
            for path in self._known
        ]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Note nothing any more; the threads end with their watches."""
        self._stop.set()

    def listen(self, listener: Listener) -> None:
        """Call it from the watching thread at each event, before the event is noted."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    def objects(self, path: str) -> list[Object]:
        """The objects of a list as they were last seen."""
        with self.lock:
            return list(self._known[path].values())

    def _run(self, path: str) -> None:
        while not self._stop.is_set():
            try:
                self._follow(path)
            except (OSError, ApiError, urllib3.exceptions.HTTPError, ValueError):
                self._stop.wait(0.1)

    def _follow(self, path: str) -> None:
        first = self._api.get(path)
        present = {item["metadata"]["uid"]: item for item in first["items"]}
        for uid, item in list(self._known[path].items()):
            if uid not in present:
                self._see(path, item, gone=True)
        for item in first["items"]:
            self._see(path, item)
        for what, item in self._api.watch(path, first["metadata"]["resourceVersion"]):
            if self._stop.is_set() or what == "ERROR":
                return
            if what != "BOOKMARK":
                self._see(path, item, gone=what == "DELETED")

    def _see(self, path: str, item: Object, *, gone: bool = False) -> None:
        if self._stop.is_set():
            return
        if not gone:
            for listener in list(self._listeners):
                listener(path, item)
        at, uid = time.time(), item["metadata"]["uid"]
        with self.lock:
            if gone:
                self._known[path].pop(uid, None)
            else:
                self._known[path][uid] = item
            if path == PODS:
                self.history.see_pod(item, at, gone=gone)
            elif path == CHANGES:
                self.history.see_change(item, at, gone=gone)
            elif not gone:
                self.history.see_node(item, at)
