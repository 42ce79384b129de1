"""A stream of pods of changing profiles that come and end, so that nodes have to be cut anew all the time."""

from __future__ import annotations

import random
import threading
import time

from tests.chaos.recorder import PODS
from tests.chaos.scene import Scene, patiently
from tests.cluster.api import ApiError, Object

WHOLE = (
    {"1g.10gb": 14},
    {"2g.20gb": 6},
    {"3g.40gb": 4},
    {"1g.20gb": 8},
    {"7g.80gb": 2},
)
"""requests that a node of two H100 serves only with exactly this layout"""
SMALL = ({"1g.10gb": 3}, {"2g.20gb": 2}, {"3g.40gb": 1})
LIFE = (0.5, 3.0)
LONG_LIFE = (5.0, 20.0)
"""seconds that a pod runs; one in three of the small ones runs long, so that the rest of its node changes"""


class Stream:
    """One pod after the other in each of several lanes; the lanes run side by side in one thread."""

    def __init__(self, scene: Scene, seed: int, lanes: int) -> None:
        self._scene, self._random = scene, random.Random(f"demand {seed}")
        self._lanes: list[tuple[str, float]] = [("", 0.0)] * lanes
        self._last: list[dict[str, int]] = [{}] * lanes
        self._count = 0
        self._open, self._stop = True, threading.Event()
        self._thread = threading.Thread(target=self._run, name="demand", daemon=True)
        self.pods: list[str] = []

    def start(self) -> None:
        """Let pods come."""
        self._thread.start()

    def close(self) -> None:
        """No new pods from now on; those that are there end once they have run."""
        self._open = False

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            pods = {_key(pod): pod for pod in self._scene.recorder.objects(PODS)}
            for lane in range(len(self._lanes)):
                self._turn(lane, pods)

    def _turn(self, lane: int, pods: dict[str, Object]) -> None:
        key, due = self._lanes[lane]
        if not key:
            if self._open:
                self._lanes[lane] = (self._create(lane), 0.0)
        elif due and time.monotonic() >= due:
            namespace, name = key.split("/")
            path = f"/api/v1/namespaces/{namespace}/pods/{name}"
            patiently(lambda: self._scene.cluster.api.delete(path, now=True))
            self._lanes[lane] = ("", 0.0)
        elif not due and pods.get(key, {}).get("status", {}).get("phase") in ("Running", "Failed"):
            small = self._last[lane] in SMALL and self._random.random() < 1 / 3
            life = self._random.uniform(*(LONG_LIFE if small else LIFE))
            self._lanes[lane] = (key, time.monotonic() + life)

    def _create(self, lane: int) -> str:
        """One more pod, unlike the last of its lane."""
        wanted = [found for found in (*WHOLE, *SMALL) if found != self._last[lane]]
        self._last[lane] = self._random.choice(wanted)
        self._count += 1
        name = f"job-{self._count}"
        try:
            key = patiently(lambda: self._scene.cluster.pod(name, self._last[lane]))
        except ApiError as error:
            # an answer was lost, and the pod was made
            if error.status != 409:
                raise
            key = f"{self._scene.cluster.namespace}/{name}"
        self.pods.append(key)
        return key


def _key(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
