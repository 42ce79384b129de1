"""A storm of demand against the real controller, and what it makes of it."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autoslicer.core.times import seconds as at
from tests.cluster.api import ApiError, Object
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import Controller, changes, configure, policy

NODES = ("gpu-a", "gpu-b", "gpu-c")
BUDGET, COOLDOWN, STARTS_PER_MINUTE = 1, 10, 6
"""of the policy and the controller, scaled to minutes"""
ENVIRONMENT = {
    "AUTOSLICER_PUBLISH_SETTLE_SECONDS": "0.5",
    "AUTOSLICER_STARTS_PER_MINUTE": str(STARTS_PER_MINUTE),
    # a busy machine renews late
    "AUTOSLICER_LEASE_DURATION_SECONDS": "15",
    "AUTOSLICER_RENEW_DEADLINE_SECONDS": "10",
    "AUTOSLICER_RETRY_PERIOD_SECONDS": "2",
}
SWING_SECONDS = 2.0
CREATORS = 8
DEMANDS = ({"1g.10gb": 1}, {"3g.40gb": 1})
"""what the second namespace wants in turn, two pods of it"""
WHOLE_NODES = ({"3g.40gb": 4}, {"2g.20gb": 6}, {"1g.20gb": 8}, {"1g.10gb": 14})
"""what the third namespace wants in turn, one pod after the other: each is a node cut anew"""
SCHEDULER_PATIENCE = 1800.0
PATIENCE = 300.0
"""seconds in which the third namespace's pods must be served"""


@dataclass
class Figures:
    """What a storm left behind.

    Attributes:
        pods: that nothing can serve.
        created_per_second: how fast the API server took them.
        tried_seconds: until kube-scheduler had tried them all; before that it tries no other pod.
        seconds: that the storm went on after that.
        changes: by their last phase.
        most_at_once: changes under way at one moment.
        most_starts: within a minute.
        least_rest: seconds from Done to the next start of the same node; None where that never happened.
        waits: of the third namespace's pods, in seconds.
        memory: MiB that the controller held, at the flood's end and at each quarter of the storm.
        cycles: per quarter, how many cycles ran, their mean time, and the processor time of the whole
            controller for each of them, in milliseconds.
        violations: what is not as it must be.
    """

    pods: int
    created_per_second: float = 0.0
    tried_seconds: float = 0.0
    seconds: float = 0.0
    changes: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    most_starts: int = 0
    least_rest: float | None = None
    waits: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    cycles: list[tuple[int, float, float]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def storm(cluster: Cluster, controller: Controller, *, pods: int, seconds: float) -> Figures:
    """Let it storm, on three nodes under a policy with a budget of one, and look at everything."""
    for node in NODES:
        cluster.gpu_node(node)
    configure(cluster)
    careful = {"budgets": [{"nodes": str(BUDGET)}], "cooldownSeconds": COOLDOWN}
    policy(cluster, disruption=careful)
    for namespace in ("flood", "swing", "team"):
        _namespace(cluster, namespace)
    controller.start()
    figures, seen = Figures(pods), Seen(cluster)
    with _beside(seen.watch), _beside(partial(_swing, cluster)):
        began = time.monotonic()
        _flood(cluster, pods)
        figures.created_per_second = pods / (time.monotonic() - began)
        until(
            lambda: controller.metric("pending_pods") >= pods, SCHEDULER_PATIENCE, lambda: "they stay untried"
        )
        figures.tried_seconds = time.monotonic() - began
        figures.memory.append(_memory(controller))
        began = time.monotonic()
        with _beside(partial(_ask, cluster, figures.waits)):
            for _ in range(4):
                before = _cycles(controller)
                time.sleep(seconds / 4)
                count, spent, busy = (now - was for now, was in zip(_cycles(controller), before, strict=True))
                each = 1000 / max(1.0, count)
                figures.cycles.append((round(count), spent * each, busy * each))
                figures.memory.append(_memory(controller))
            figures.seconds = time.monotonic() - began
    _judge(figures, seen)
    return figures


class Seen:
    """Every change that there was, also those that were cleared away."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.changes: dict[str, Object] = {}

    def watch(self, stop: threading.Event) -> None:
        """Look a few times a second."""
        while not stop.wait(0.25):
            for change in changes(self._cluster):
                self.changes[change["metadata"]["name"]] = change


def table(figures: Figures) -> str:
    """The figures, to read."""
    rest = "no node changed twice" if figures.least_rest is None else f"{figures.least_rest:.1f} s"
    lines = (
        ("pods that nothing can serve", f"{figures.pods}, {figures.created_per_second:.0f} a second"),
        ("tried by kube-scheduler", f"within {figures.tried_seconds:.0f} s"),
        ("storm", f"{figures.seconds:.0f} s, another demand every {SWING_SECONDS:.0f} s"),
        ("changes", ", ".join(f"{n} {phase}" for phase, n in sorted(figures.changes.items())) or "none"),
        ("at once", f"{figures.most_at_once} (budget {BUDGET})"),
        ("starts within a minute", f"{figures.most_starts} (limit {STARTS_PER_MINUTE})"),
        ("from Done to the node's next start", f"{rest} (cooldown {COOLDOWN} s)"),
        ("waits of the other namespace", ", ".join(f"{wait:.1f} s" for wait in figures.waits)),
        ("memory, MiB", ", ".join(f"{held:.0f}" for held in figures.memory)),
        ("cycles a quarter, mean time", ", ".join(f"{n} x {ms:.0f} ms" for n, ms, _ in figures.cycles)),
        ("processor time for each cycle", ", ".join(f"{ms:.0f} ms" for _, _, ms in figures.cycles)),
    )
    return "\n".join(f"{name:<36}{value}" for name, value in lines)


def _judge(figures: Figures, seen: Seen) -> None:
    """Work the figures out, and say what is not as it must be."""
    spans = [span for change in seen.changes.values() if (span := _span(change)) is not None]
    figures.changes = dict(
        Counter(c.get("status", {}).get("phase", "Waiting") for c in seen.changes.values())
    )
    starts = sorted(start for _, start, _, _ in spans)
    figures.most_starts = max((sum(s <= t < s + 60 for t in starts) for s in starts), default=0)
    figures.most_at_once = max((sum(b <= s < e for _, b, e, _ in spans) for s in starts), default=0)
    rests = [
        later[1] - earlier[2]
        for node in NODES
        for earlier, later in itertools.pairwise(
            sorted((s for s in spans if s[0] == node), key=lambda s: s[1])
        )
        if earlier[3] == "Done"
    ]
    figures.least_rest = min(rests, default=None)
    checks: tuple[tuple[bool, str], ...] = (
        (figures.most_at_once <= BUDGET, "more nodes changed at once than the budget allows"),
        (figures.most_starts <= STARTS_PER_MINUTE, "more changes started within a minute than allowed"),
        (not rests or min(rests) >= COOLDOWN, "a node did not rest for the cooldown"),
        (max(figures.waits) < PATIENCE, "the other namespace waited too long"),
        (figures.memory[-1] < figures.memory[1] * 1.15 + 10, "memory grows"),
        # by the processor: what else runs on the machine is not the controller's doing
        (figures.cycles[-1][2] < figures.cycles[0][2] * 2 + 20, "cycles get longer"),
    )
    figures.violations = [words for holds, words in checks if not holds]


def _span(change: Object) -> tuple[str, float, float, str] | None:
    """Node, start, end (far away where there is none) and last phase of a change that has started."""
    status = change.get("status", {})
    if "startedAt" not in status:
        return None
    phase, steps = status["phase"], status["steps"]
    final = phase in ("Done", "Cancelled", "RolledBack", "Quarantined")
    end = at(steps[-1]["at"]) if final else float("inf")
    return change["spec"]["node"]["name"], at(status["startedAt"]), end, phase


def _namespace(cluster: Cluster, name: str) -> None:
    try:
        cluster.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    except ApiError as error:
        if error.status != 409:
            raise
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    until(lambda: cluster.exists(account), 10, lambda: "no default service account")


def _flood(cluster: Cluster, pods: int) -> None:
    """Pods that ask for more whole GPUs on one node than any has."""
    with ThreadPoolExecutor(CREATORS) as creators:
        for made in [
            creators.submit(cluster.pod, f"hopeless-{n}", {"7g.80gb": 3}, namespace="flood")
            for n in range(pods)
        ]:
            made.result()


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Let it work meanwhile, until the event asks it to end; what it fails with is raised at the end."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work, stop)
        try:
            yield
        finally:
            stop.set()
        working.result()


def _swing(cluster: Cluster, stop: threading.Event) -> None:
    """The second namespace wants one thing, and two seconds later another instead."""
    before: list[str] = []
    for turn in itertools.count():
        if stop.wait(SWING_SECONDS):
            return
        for key in before:
            name = key.partition("/")[2]
            cluster.api.delete(f"/api/v1/namespaces/swing/pods/{name}", now=True)
        wanted = DEMANDS[turn % len(DEMANDS)]
        before = [cluster.pod(f"turn-{turn}-{n}", wanted, namespace="swing") for n in range(2)]


def _ask(cluster: Cluster, waits: list[float], stop: threading.Event) -> None:
    """The third namespace wants a whole node's slices, lets them go once it has them, and wants others."""
    for turn, wanted in enumerate(itertools.cycle(WHOLE_NODES)):
        began, key = time.monotonic(), cluster.pod(f"now-{turn}", wanted, namespace="team")
        while not cluster.node_of(key) and time.monotonic() < began + PATIENCE:
            time.sleep(0.2)
        waits.append(time.monotonic() - began)
        cluster.delete_pod(key)
        if stop.is_set():
            return


def _memory(controller: Controller) -> float:
    """MiB that the controller's process holds."""
    status = Path(f"/proc/{controller.process.pid}/status").read_text(encoding="utf-8")
    [held] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(held.split()[1]) / 1024


def _cycles(controller: Controller) -> tuple[float, float, float]:
    """How many cycles have run, the seconds they took, and the processor's seconds for the whole process."""
    count = controller.metric("cycle_duration_seconds_count", phase="decide")
    after_name = Path(f"/proc/{controller.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    user, system = after_name.split()[11:13]
    busy = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return count, controller.metric("cycle_duration_seconds_sum"), busy
