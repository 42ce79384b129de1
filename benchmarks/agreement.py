"""Does the simulator say what the real control plane does: one trace on both, and how far they are apart.

`python -m benchmarks.agreement [--waves N] [--pods N] [--runs N] [--seed N] [--json FILE]` draws a trace from
a seed, runs it several times on the test cluster (the real scheduler and mig-manager, and the controller) and
once in virtual time. It prints the mean wait and where the pods went, for each real run against the
simulation, and for the real runs against each other. A place is the kind of node: nodes that differ in
nothing but their name are one place. Real pods run as long as virtual ones: this program ends them, as their
containers would.

The pods come in waves, each of which wants mostly other slices than the one before and has ended when the
next one comes. Where waves run into each other the outcome is chaotic: a tenth of a second decides whether a
node is cut or a pod ends before that, and real and virtual life part ways for good.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from autoslicer.core.reading import policy as read_policy
from autoslicer.core.rows import PodRow
from benchmarks.own_share import Timeline
from simulations.cluster import GIB
from simulations.kubelet import ADMIT_SECONDS, START_SECONDS
from simulations.run import run
from simulations.scenario.scenario import Node, Scenario, Timing
from simulations.strategies.planned import Planned
from simulations.workload.job import Job
from simulations.workload.source import Format, Trace
from simulations.world import Row
from solver.profile_name import profile_of_resource, resource_name
from tests.cluster.fixture import Cluster
from tests.e2e.controller import Controller, configure, install, policy

PRODUCT = "NVIDIA-H100-80GB-HBM3"
KINDS = {"small": 32, "large": 96}
"""cores of each kind of node"""
EACH, GPUS = 2, 2
"""nodes of each kind, and GPUs a node"""
POD_CPU = 2000
CONFIG = "all-7g.80gb"
POLICY = {
    "nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}},
    "mode": "Auto",
    "trigger": {"pendingSeconds": 2, "batchIdleSeconds": 2, "batchMaxSeconds": 2},
    "disruption": {"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0, "canary": False},
}
PROFILES = ("7g.80gb", "3g.40gb", "2g.20gb", "1g.10gb")
FIRST_SECONDS, WAVE_SECONDS = 2.0, 45.0
"""until the first wave, and from one wave to the next"""
RUNS_SECONDS = (4.0, 6.0)
"""how long a pod runs, at least and at most"""
TIMING = Timing(schedule=0.02, apply=4.6, plugin=0.7, reaction=0.1)
"""as measured on the test cluster: its GPUs are cut at once, its device plugins come back quickly, and each
step of the controller takes two or three writes, for which its etcd waits for the disk"""


@dataclass
class Lived:
    """What became of the pods: how long each waited (seconds), and the node it was bound to, by name."""

    waits: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean wait of those that were bound, in seconds."""
        return fmean(self.waits.values())

    def alike(self, other: Lived) -> float:
        """The part of the pods that went to nodes of the same kind."""
        pods = self.nodes.keys() | other.nodes.keys()
        return sum(_kind(self.nodes.get(pod)) == _kind(other.nodes.get(pod)) for pod in pods) / len(pods)


def _kind(node: str | None) -> str:
    return node.partition("-")[0] if node else ""


def waves(number: int, pods: int, seed: int) -> tuple[Job, ...]:
    """So many waves of so many pods, each within a second; four of five pods of a wave ask for the same."""
    draw, jobs = random.Random(seed), list[Job]()
    for wave in range(number):
        common = draw.choice(PROFILES)
        for place in range(pods):
            profile = common if draw.random() < 0.8 else draw.choice(PROFILES)
            arrival = round(FIRST_SECONDS + wave * WAVE_SECONDS + place / pods, 3)
            requests = {resource_name(profile): 1, "cpu": POD_CPU}
            name = f"test/job-{len(jobs) + 1:03}"
            jobs.append(Job(name, arrival, round(draw.uniform(*RUNS_SECONDS), 2), requests))
    return tuple(jobs)


def machines() -> Iterator[Node]:
    """The nodes."""
    for kind, cores in KINDS.items():
        for number in range(EACH):
            yield Node(
                f"{kind}-{number}", PRODUCT, GPUS, CONFIG, cores * 1000, 512 * GIB, {}, (), agent=False
            )


def virtual(jobs: Sequence[Job], spec: Scenario) -> Lived:
    """The trace in virtual time."""
    strategy, lived = Planned(spec), Lived()
    start = strategy.world.clock.now
    arrivals = {job.pod: start + job.arrival for job in jobs}

    def look(old: Row | None, new: Row | None) -> None:
        if (
            isinstance(new, PodRow)
            and new.node
            and new.key in arrivals
            and isinstance(old, PodRow)
            and not old.node
        ):
            name = new.name
            lived.waits.setdefault(name, strategy.world.clock.now - arrivals[new.key])
            lived.nodes.setdefault(name, new.node)

    strategy.world.watch(look)
    run("autoslicer", strategy, iter(jobs))
    return lived


class Real:
    """One run of the trace on the test cluster."""

    def __init__(self, cluster: Cluster, jobs: Sequence[Job]) -> None:
        self._cluster, self._jobs = cluster, jobs
        self._created: dict[str, float] = {}

    def live(self) -> Lived:
        """Create every pod at its time, end it when it has run, and wait for the last."""
        timeline = Timeline(self._cluster)
        submitter = threading.Thread(target=self._submit, daemon=True)
        submitter.start()
        keys = self._end(timeline)
        submitter.join()
        lived = Lived()
        for name, key in keys.items():
            lived.waits[name] = timeline.bound[name] - self._created[name]
            lived.nodes[name] = key
        return lived

    def _submit(self) -> None:
        # Kubernetes writes times in whole seconds: virtual time begins with one as well
        time.sleep(-time.time() % 1)
        began = time.monotonic()
        for job in self._jobs:
            time.sleep(max(0.0, began + job.arrival - time.monotonic()))
            name = job.pod.partition("/")[2]
            slices = {profile_of_resource(r): n for r, n in job.requests.items() if profile_of_resource(r)}
            self._created[name] = time.monotonic()
            self._cluster.pod(name, slices, cpu=f"{POD_CPU}m")

    def _end(self, timeline: Timeline) -> dict[str, str]:
        """The node of each pod, once all have ended."""
        runs = {job.pod.partition("/")[2]: job.duration or 0.0 for job in self._jobs}
        due: list[tuple[float, str]] = []
        nodes: dict[str, str] = {}
        seen: set[str] = set()
        while len(nodes) < len(runs):
            for name, at in list(timeline.bound.items()):
                if name in runs and name not in seen:
                    seen.add(name)
                    heapq.heappush(due, (at + ADMIT_SECONDS + START_SECONDS + runs[name], name))
            while due and due[0][0] <= time.monotonic():
                name = heapq.heappop(due)[1]
                key = f"{self._cluster.namespace}/{name}"
                nodes[name] = self._cluster.node_of(key)
                self._cluster.delete_pod(key)
            time.sleep(0.01)
        return nodes


def real(cluster: Cluster, jobs: Sequence[Job]) -> Lived:
    """The trace on the test cluster, from nodes to the last pod's end."""
    for node in machines():
        cluster.gpu_node(node.name, *[{"7g.80gb": 1}] * GPUS, config=CONFIG, cpu=str(node.cpu // 1000))
    configure(cluster)
    policy(cluster, **POLICY)
    controller = Controller(cluster)
    controller.start()
    try:
        return Real(cluster, jobs).live()
    finally:
        controller.kill()


def report(simulated: Lived, runs: Sequence[Lived]) -> Iterator[Mapping[str, object]]:
    """A row for each real run against the simulation, and one for the real runs against each other."""
    for number, lived in enumerate(runs, 1):
        yield {
            "pair": f"run {number} against the simulation",
            "realMeanWait": round(lived.mean, 3),
            "otherMeanWait": round(simulated.mean, 3),
            "difference": round(simulated.mean / lived.mean - 1, 4),
            "samePlace": round(lived.alike(simulated), 4),
        }
    for number, lived in enumerate(runs[1:], 2):
        yield {
            "pair": f"run {number} against run 1",
            "realMeanWait": round(lived.mean, 3),
            "otherMeanWait": round(runs[0].mean, 3),
            "difference": round(runs[0].mean / lived.mean - 1, 4),
            "samePlace": round(lived.alike(runs[0]), 4),
        }


def main() -> int:
    """Run the trace on both, and print a table."""
    given = _arguments()
    jobs = waves(given.waves, given.pods, given.seed)
    cluster, runs = Cluster(), list[Lived]()
    try:
        cluster.start()
        install(cluster)
        for number in range(given.runs):
            print(f"run {number + 1} of {given.runs} ...", file=sys.stderr, flush=True)
            runs.append(real(cluster, jobs))
            cluster.reset()
    finally:
        cluster.stop()
    rows = list(report(virtual(jobs, spec()), runs))
    for row in rows:
        print(
            f"{row['pair']:<30} mean wait {row['realMeanWait']:>8} s and {row['otherMeanWait']:>8} s "
            f"({row['difference']:+.1%}), same kind of node {row['samePlace']:.1%}"
        )
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def spec() -> Scenario:
    """What is lived in virtual time: the same nodes, and the same policy; the jobs are given beside it."""
    jobs = Trace(Path("waves.jsonl"), Format.AUTOSLICER)
    raw = {"metadata": {"name": "default", "uid": "policy-default", "generation": 1}, "spec": POLICY}
    return Scenario(tuple(machines()), None, jobs, read_policy(raw), TIMING, ("autoslicer",), 1, {})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("--waves", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--pods", type=int, default=20, help="in each; default: %(default)s")
    parser.add_argument("--runs", type=int, default=2, help="on the test cluster; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the trace; default: %(default)s")
    parser.add_argument("--json", help="write the figures to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
