"""How calm autoslicer stays: a minute in which nothing can be helped, and two minutes of storm.

`python -m benchmarks.calm [--pods N] [--seconds S] [--quiet S] [-o json]` on the real control plane: first a
cluster that is idle and one with hopeless pods only, with a count of what is written; then one namespace
creates thousands of pods that nothing can serve, as fast as the API server takes them, a second one changes
its mind every two seconds, and a third one wants a slice now and then.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from benchmarks.storm import ENVIRONMENT, Figures, storm, table
from tests.cluster.fixture import Cluster
from tests.e2e.controller import Controller, install
from tests.e2e.hopeless import QUIET, idle_writes, settled


def main() -> int:
    """Measure, print the figures; 1 where one of them is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--quiet", type=int, default=60)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    cluster = Cluster()
    try:
        cluster.start()
        install(cluster)
        quiet = _quiet(cluster, arguments.quiet)
        cluster.reset()
        figures = _storm(cluster, arguments.pods, arguments.seconds)
    finally:
        cluster.stop()
    if arguments.output == "json":
        print(json.dumps({"benchmark": "calm", "quiet": quiet, "storm": asdict(figures)}, indent=1))
    else:
        for name, writes in quiet.items():
            print(f"{name}: written in {arguments.quiet} s: {writes}")
        print(table(figures))
    noisy = [name for name, writes in quiet.items() if set(writes) - QUIET]
    for violation in (*figures.violations, *(f"{name} wrote too much" for name in noisy)):
        print(f"violated: {violation}", file=sys.stderr)
    return 1 if figures.violations or noisy else 0


def _quiet(cluster: Cluster, seconds: int) -> dict[str, dict[str, int]]:
    """What is written while nothing can be helped, by what there is."""
    controller = Controller(cluster, ENVIRONMENT)
    try:
        settled(cluster, controller, hopeless=False)
        idle = idle_writes(cluster, seconds)
        settled(cluster, controller, hopeless=True)
        return {"idle": idle, "hopeless": idle_writes(cluster, seconds)}
    finally:
        controller.kill()


def _storm(cluster: Cluster, pods: int, seconds: int) -> Figures:
    controller = Controller(cluster, ENVIRONMENT)
    try:
        return storm(cluster, controller, pods=pods, seconds=seconds)
    finally:
        controller.kill()


if __name__ == "__main__":
    sys.exit(main())
