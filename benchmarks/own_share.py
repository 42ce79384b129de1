"""How long autoslicer itself takes from a pod's creation to its binding, on the real control plane.

`python -m benchmarks.own_share [--rounds N] [-o json]` serves ten small and two large pods on two nodes with
the real mig-manager, several times, and splits the time of the last pod: the policy's window, the two
configured waits, mig-manager's run, the device plugin's return, and what is left, which is ours (with the API
server and the scheduler).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator

import urllib3

from tests.cluster.api import Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, install, phases, policy

WINDOW, CONFIRM, SETTLE = 1.0, 1.0, 5.0
"""the policy's pendingSeconds and batchIdleSeconds; the controller's default waits, which overlap"""
SEGMENTS = ("window", "waits", "mig-manager", "device plugin", "own share", "total")


class Timeline:
    """When things were first seen to happen, by watching nodes and pods."""

    def __init__(self, cluster: Cluster) -> None:
        self.bound: dict[str, float] = {}
        self.labelled: dict[str, float] = {}
        self.success: dict[str, float] = {}
        self.lifted: dict[str, float] = {}
        self.back: dict[str, float] = {}
        for path, see in (("/api/v1/nodes", self._node), ("/api/v1/pods", self._pod)):
            version = cluster.api.get(path)["metadata"]["resourceVersion"]
            events = cluster.api.watch(path, version)
            threading.Thread(target=self._follow, args=(events, see), daemon=True).start()

    def _follow(self, events: Iterator[tuple[str, Object]], see: Callable[[Object, float], None]) -> None:
        # the watch ends with its cluster
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
            for what, item in events:
                if what in ("ADDED", "MODIFIED"):
                    see(item, time.monotonic())

    def _pod(self, pod: Object, now: float) -> None:
        if pod["spec"].get("nodeName"):
            self.bound.setdefault(pod["metadata"]["name"], now)

    def _node(self, node: Object, now: float) -> None:
        name, labels = node["metadata"]["name"], node["metadata"]["labels"]
        if not labels["nvidia.com/mig.config"].startswith("autoslicer-"):
            return
        self.labelled.setdefault(name, now)
        if labels["nvidia.com/mig.config.state"] != "success":
            return
        self.success.setdefault(name, now)
        if not node["spec"].get("taints"):
            self.lifted.setdefault(name, now)
            if any(
                value != "0"
                for key, value in node["status"]["allocatable"].items()
                if "nvidia.com/mig-" in key
            ):
                self.back.setdefault(name, now)


def measure(cluster: Cluster) -> dict[str, float]:
    """Seconds by segment for the last of twelve pods."""
    for node in ("gpu-a", "gpu-b"):
        cluster.gpu_node(node)
    configure(cluster)
    policy(cluster)
    controller = Controller(cluster)
    controller.start()
    try:
        timeline = Timeline(cluster)
        pods = [cluster.pod(f"small-{n}", {"1g.10gb": 1}) for n in range(10)]
        pods += [cluster.pod(f"large-{n}", {"3g.40gb": 1}) for n in range(2)]
        created = time.monotonic()
        cluster.wait_running(pods)
        until(lambda: all(phases(change)[-1] == "Done" for change in changes(cluster)), 20, cluster.describe)
    finally:
        controller.kill()
    last = max(pods, key=lambda key: timeline.bound[key.split("/")[1]])
    bound, node = timeline.bound[last.split("/")[1]], cluster.node_of(last)
    segments = {
        "window": WINDOW,
        "waits": max(CONFIRM, SETTLE),
        "mig-manager": timeline.success[node] - timeline.labelled[node],
        "device plugin": timeline.back[node] - timeline.lifted[node],
        "total": bound - created,
    }
    segments["own share"] = 2 * segments["total"] - sum(segments.values())
    return segments


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    cluster = Cluster()
    rounds: list[dict[str, float]] = []
    try:
        cluster.start()
        install(cluster)
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            rounds.append(measure(cluster))
            cluster.reset()
    finally:
        cluster.stop()
    if arguments.output == "json":
        print(json.dumps({"benchmark": "own_share", "rounds": rounds}, indent=1))
        return
    print(f"{'seconds':<14}{'median':>9}{'worst':>9}")
    for segment in SEGMENTS:
        figures = [found[segment] for found in rounds]
        print(f"{segment:<14}{statistics.median(figures):>9.2f}{max(figures):>9.2f}")


if __name__ == "__main__":
    main()
