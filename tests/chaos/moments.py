"""The moments at which the controller is killed: how they are seen, and what makes the rare ones come."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from autoslicer.core import names
from autoslicer.core.phases import Phase
from tests.chaos import breakages
from tests.chaos.recorder import NODES
from tests.chaos.scene import Scene
from tests.cluster.api import Object
from tests.e2e.controller import CHANGES


class Trap:
    """Listens for a phase, and kills as soon as it is seen, from the thread that saw it."""

    def __init__(self, aim: str, pid: int) -> None:
        self.sprung, self.change = threading.Event(), ""
        self._aim, self._pid = aim, pid
        self._lock = threading.Lock()

    def __call__(self, path: str, item: Object) -> None:
        """See an object of a list."""
        if path != CHANGES or (item.get("status", {}).get("phase") or Phase.WAITING) != self._aim:
            return
        with self._lock:
            if self.sprung.is_set():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            self.change = item["metadata"]["name"]
            self.sprung.set()


@contextlib.contextmanager
def provoked(scene: Scene, aim: str) -> Iterator[None]:
    """What makes a phase come, or last: GPUs that are empty after a success, a scheduler that is slow."""
    if aim == Phase.ROLLING_BACK:
        with _emptied(scene):
            yield
    elif aim == Phase.VERIFIED:
        with _slow_scheduler(scene):
            yield
    else:
        yield


@contextlib.contextmanager
def _emptied(scene: Scene) -> Iterator[None]:
    """Each success that mig-manager reports for a change has emptied its GPUs."""

    def listen(path: str, item: Object) -> None:
        if path != NODES:
            return
        name, labels = item["metadata"]["name"], item["metadata"]["labels"]
        newest = scene.newest(name)
        ours = labels.get(names.MIG_CONFIG, "").startswith(names.CONFIG_PREFIX)
        succeeded = ours and labels.get(names.MIG_CONFIG_STATE) == "success"
        if succeeded and newest is not None and newest.phase is Phase.LABELLED:
            breakages.clear(scene, name)

    scene.recorder.listen(listen)
    try:
        yield
    finally:
        scene.recorder.unlisten(listen)


@contextlib.contextmanager
def _slow_scheduler(scene: Scene) -> Iterator[None]:
    """The scheduler sleeps from each Applied to the next Verified, or for two seconds at most."""
    scheduler = scene.cluster.control_plane.scheduler
    timers: list[threading.Timer] = []

    def listen(path: str, item: Object) -> None:
        if path == CHANGES and item.get("status", {}).get("phase") == Phase.APPLIED:
            scheduler.signal(signal.SIGSTOP)
            timers.append(threading.Timer(4, scheduler.signal, (signal.SIGCONT,)))
            timers[-1].start()

    scene.recorder.listen(listen)
    try:
        yield
    finally:
        scene.recorder.unlisten(listen)
        for timer in timers:
            timer.cancel()
        scheduler.signal(signal.SIGCONT)
