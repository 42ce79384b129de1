"""Does the simulator say what the real control plane does: one trace on both, and how far they are apart.

`python -m benchmarks.agreement [--bursts N] [--pods N] [--runs N] [--seed N] [--json FILE]` draws a trace
from a seed, runs it several times on the test cluster (the real scheduler and mig-manager, and the
controller) and once in virtual time. It prints the mean wait and on which node each pod ran, for each real
run against the simulation, and for the real runs against each other. No two nodes are alike, so that a place
is a node. Real pods run as long as virtual ones: this program ends them, as their containers would.

The pods come in bursts, each of which wants one profile and finds room on one node. Where two nodes are cut
at the same time, or a pod ends while a plan is made, a tenth of a second decides which node comes back first
or is taken, and from then on no simulation follows what really happens.
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
from tests.cluster.played import Knobs
from tests.e2e.controller import Controller, configure, install, policy

PRODUCT = "NVIDIA-H100-80GB-HBM3"
NODES = {"small": 32, "medium": 64, "large": 96}
"""cores of each node"""
GPUS = 2
"""of each node"""
POD_CPU = 2000
CONFIG = "all-7g.80gb"
POLICY = {
    "nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}},
    "mode": "Auto",
    "trigger": {"pendingSeconds": 2, "batchIdleSeconds": 2, "batchMaxSeconds": 2},
    "disruption": {"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0, "canary": False},
}
PROFILES = ("3g.40gb", "2g.20gb", "1g.20gb", "1g.10gb")
"""a burst of four finds room on one node, whichever it is"""
FIRST_SECONDS, GAP_SECONDS, BURST_SECONDS = 2.1, 12.0, 0.5
"""until the first burst, from one to the next, and from a burst's first pod to its last; no burst touches the
end of a second, for Kubernetes tells times in whole ones"""
RUNS_SECONDS = (4.0, 8.0)
"""how long a pod runs, at least and at most"""
KNOBS = Knobs(plugin_seconds=1.5, discovery_seconds=3.0)
"""a device plugin takes longer to come back than the scheduler needs after our taint, as everywhere"""
TIMING = Timing(schedule=0.01, apply=4.7, plugin=1.65, reaction=0.06)
"""as measured on the test cluster: its GPUs are cut at once, and each step of the controller takes two or
three writes, for which its etcd waits for the disk"""


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
        """The part of the pods that went to the same node."""
        pods = self.nodes.keys() | other.nodes.keys()
        return sum(self.nodes.get(pod) == other.nodes.get(pod) for pod in pods) / len(pods)


def bursts(number: int, pods: int, seed: int) -> tuple[Job, ...]:
    """So many bursts of so many pods; all pods of a burst ask for one slice of the same profile."""
    draw, jobs = random.Random(seed), list[Job]()
    for burst in range(number):
        requests = {resource_name(draw.choice(PROFILES)): 1, "cpu": POD_CPU}
        for place in range(pods):
            arrival = round(FIRST_SECONDS + burst * GAP_SECONDS + BURST_SECONDS * place / pods, 3)
            name = f"test/job-{len(jobs) + 1:03}"
            jobs.append(Job(name, arrival, round(draw.uniform(*RUNS_SECONDS), 2), requests))
    return tuple(jobs)


def machines() -> Iterator[Node]:
    """The nodes."""
    for name, cores in NODES.items():
        yield Node(name, PRODUCT, GPUS, CONFIG, cores * 1000, 512 * GIB, {}, (), agent=False)


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
    cluster.played.knobs = KNOBS
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
    jobs = bursts(given.bursts, given.pods, given.seed)
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
            f"({row['difference']:+.1%}), same node {row['samePlace']:.1%}"
        )
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def spec() -> Scenario:
    """What is lived in virtual time: the same nodes, and the same policy; the jobs are given beside it."""
    jobs = Trace(Path("bursts.jsonl"), Format.AUTOSLICER)
    raw = {"metadata": {"name": "default", "uid": "policy-default", "generation": 1}, "spec": POLICY}
    return Scenario(tuple(machines()), None, jobs, read_policy(raw), TIMING, ("autoslicer",), 1, {})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("--bursts", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--pods", type=int, default=4, help="in each; default: %(default)s")
    parser.add_argument("--runs", type=int, default=2, help="on the test cluster; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the trace; default: %(default)s")
    parser.add_argument("--json", help="write the figures to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
