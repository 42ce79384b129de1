"""kube-scheduler once more, pod by pod and node by node: slow, without any state that could be wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest

from autoslicer.core import fitting
from autoslicer.core.actions import Report
from autoslicer.core.rows import NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from simulations.world import Row, World

FIT, REPELLED = "NodeResourcesFit", "InterPodAffinity"
ALL = frozenset(("closed", "tainted", "not selected", FIT, REPELLED))


@dataclass
class Entry:
    """A pod in the queue."""

    since: float
    tick: int
    attempts: int = 0
    rejectors: frozenset[str] = frozenset()


@dataclass
class Happened:
    """What one moment calls for."""

    arrivals: list[str] = field(default_factory=list)
    events: list[tuple[Row | None, Row | None]] = field(default_factory=list)


def waits(row: Row | None) -> bool:
    return isinstance(row, PodRow) and row.phase == "Pending" and not row.node


def holds(row: Row | None) -> bool:
    return isinstance(row, PodRow) and bool(row.node) and not row.finished


class PlainScheduler:
    """Does what `simulations.scheduler.Scheduler` does; `seen` counts what makes that hard."""

    def __init__(self, world: World, delay: float = 0.02) -> None:
        self.world, self.delay = world, delay
        self.queue: dict[str, Entry] = {}
        self.seen: Counter[str] = Counter()
        self._happened: Happened | None = None
        self._at, self._tick, self._start = 0.0, 0, 0
        world.watch(self._notice)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        if waits(new) and not waits(old):
            assert isinstance(new, PodRow)
            self._tick += 1
            self.queue[new.key] = Entry(self.world.clock.now, self._tick)
            self._call().arrivals.append(new.key)
        elif waits(old) and not waits(new):
            assert isinstance(old, PodRow)
            self.queue.pop(old.key, None)
        if _matters(old, new) and any(entry.attempts for entry in self.queue.values()):
            self._call().events.append((old, new))

    def _call(self) -> Happened:
        if self._happened is None or self._at != self.world.clock.now:
            happened = Happened()
            self._happened, self._at = happened, self.world.clock.now
            self.world.clock.after(self.delay, lambda: self._answer(happened))
        return self._happened

    def _answer(self, happened: Happened) -> None:
        now, self._happened = self.world.clock.now, None if self._happened is happened else self._happened
        for entry in self.queue.values():
            for flush in range(30 * math.ceil(entry.since / 30), math.ceil(now), 30):
                if entry.attempts and flush - entry.since > 300:
                    entry.since, entry.attempts = float(flush), entry.attempts + 1
        todo = {key for key in happened.arrivals if key in self.queue and not self.queue[key].attempts}
        for key, entry in self.queue.items():
            pod = self.world.pods[key]
            if entry.attempts and any(wakes(pod, entry, *event) for event in happened.events):
                todo.add(key)
        self._look(todo, now)
        while todo:
            key = min(todo, key=lambda key: self._place(key, now))
            todo.remove(key)
            self._try(key, now)

    def _look(self, todo: set[str], now: float) -> None:
        """Count what makes the order interesting."""
        places = sorted(self._place(key, now) for key in todo)
        self.seen["backoff inversion"] += any(
            one[0] != two[0] and one[1] > two[1] for one, two in pairwise(places)
        )
        self.seen["several kinds"] += len({tuple(self.world.pods[key].requests.items()) for key in todo}) > 1

    def _place(self, key: str, now: float) -> tuple[float, int, float, int]:
        entry = self.queue[key]
        ready = math.floor(entry.since + min(2.0 ** (entry.attempts - 1), 10.0)) if entry.attempts else -1
        late = ready if ready >= math.floor(now) else -1
        return late, -self.world.pods[key].priority, entry.since, entry.tick

    def _try(self, key: str, now: float) -> None:
        pod, entry = self.world.pods[key], self.queue[key]
        nodes = in_order(self.world.nodes)
        found = self._find(pod, nodes)
        if found is not None:
            self.seen["promised and got it"] += pod.nominated == found
            bound = {"tried": True, "unschedulable_since": None, "bound_at": self.world.stamp()}
            self.world.write(replace(pod, node=found, **bound))
            return
        reasons = {node.name: self._reasons(pod, node) for node in nodes}
        entry.rejectors = frozenset(plugin for plugin, _ in reasons.values()) if nodes else ALL
        self.seen["no node at all"] += not nodes
        self._tick += 1
        entry.since, entry.tick, entry.attempts = now, self._tick, entry.attempts + 1
        self.seen["promise lost"] += bool(pod.nominated)
        if pod.unschedulable_since is None:
            words = Counter(word for _, words in reasons.values() for word in words)
            why = ", ".join(sorted(f"{count} {word}" for word, count in words.items()))
            text = (
                f"0/{len(nodes)} nodes are available: {why}."
                if nodes
                else "no nodes available to schedule pods"
            )
            self.world.report(
                Report("Pod", pod.namespace, pod.name, pod.uid, "Warning", "FailedScheduling", text)
            )
        since = self.world.clock.now if pod.unschedulable_since is None else pod.unschedulable_since
        self.world.write(replace(pod, tried=True, unschedulable_since=since, nominated=""))

    def _find(self, pod: PodRow, nodes: list[NodeRow]) -> str | None:
        promised = self.world.nodes.get(pod.nominated)
        if promised is not None and not self._reasons(pod, promised)[1]:
            return promised.name
        wanted = (
            len(nodes) if len(nodes) < 100 else max(100, len(nodes) * max(50 - len(nodes) // 125, 5) // 100)
        )
        feasible: list[NodeRow] = []
        for step in range(len(nodes)):
            node = nodes[(self._start + step) % len(nodes)]
            if not self._reasons(pod, node)[1]:
                if len(feasible) == wanted:
                    self._start = (self._start + step) % len(nodes)
                    self.seen["looked at some nodes"] += 1
                    break
                feasible.append(node)
        if not feasible:
            return None
        dislikes = [disliked(pod, node) for node in feasible]
        scores = [self._score(pod, node) for node in feasible]
        if most := max(dislikes):
            scores = [s + 3 * (100 - 100 * n // most) for s, n in zip(scores, dislikes, strict=True)]
        return feasible[scores.index(max(scores))].name

    def _tenants(self, node: NodeRow) -> list[PodRow]:
        return [pod for pod in self.world.pods.values() if pod.node == node.name and not pod.finished]

    def _reasons(self, pod: PodRow, node: NodeRow) -> tuple[str, list[str]]:
        """The plugin that keeps the pod off, and its words; none where it may come."""
        for plugin in ("closed", "tainted", "not selected"):
            if blocked(plugin, pod, node):
                return plugin, [_said(plugin, pod, node)]
        used = Counter[str]()
        rivals = [
            other
            for other in self.world.pods.values()
            if waits(other) and other.nominated == node.name and other.key != pod.key
        ]
        for other in (*self._tenants(node), *(other for other in rivals if other.priority >= pod.priority)):
            used.update(other.requests)
        short = [r for r, n in pod.requests.items() if n > node.allocatable.get(r, 0) - used[r]]
        if short:
            return FIT, ["Too many pods" if r == "pods" else f"Insufficient {r}" for r in short]
        bound = {key: other for key, other in self.world.pods.items() if holds(other)}
        if fitting.repelled(pod, node, fitting.repulsions(Snapshot(nodes=self.world.nodes, pods=bound))):
            return REPELLED, ["node(s) didn't satisfy existing pods anti-affinity rules"]
        return "", []

    def _score(self, pod: PodRow, node: NodeRow) -> int:
        """LeastAllocated and BalancedAllocation as in noderesources/."""
        tenants, least = self._tenants(node), 0
        for resource, missing in (("cpu", 100), ("memory", 200 * 1024 * 1024)):
            asked = sum(each.requests.get(resource) or missing for each in (*tenants, pod))
            capacity = node.allocatable[resource]
            least += (capacity - asked) * 100 // capacity if asked <= capacity else 0
        if not pod.requests.get("cpu") and not pod.requests.get("memory"):
            return least // 2
        return least // 2 + 50 + (50 + _balance(node, [*tenants, pod]) - _balance(node, tenants)) // 2


def _balance(node: NodeRow, pods: list[PodRow]) -> int:
    cpu, memory = (
        min(sum(pod.requests.get(r, 0) for pod in pods) / node.allocatable[r], 1.0) for r in ("cpu", "memory")
    )
    return int((1 - abs((cpu - memory) / 2)) * 100)


def disliked(pod: PodRow, node: NodeRow) -> int:
    taints = [taint for taint in node.taints if taint.effect == "PreferNoSchedule"]
    return sum(
        not any(fitting.tolerates(toleration, taint) for toleration in pod.tolerations) for taint in taints
    )


def in_order(nodes: Mapping[str, NodeRow]) -> list[NodeRow]:
    zones: dict[str, list[NodeRow]] = {}
    for node in nodes.values():
        zones.setdefault(node.labels.get("topology.kubernetes.io/zone", ""), []).append(node)
    return [node for rank in zip_longest(*zones.values()) for node in rank if node is not None]


def blocked(plugin: str, pod: PodRow, node: NodeRow) -> bool:
    match plugin:
        case "closed":
            return fitting.closed(node) is not None
        case "tainted":
            return fitting.untolerated(pod, node) is not None
    return not fitting.selected(pod, node)


def _said(plugin: str, pod: PodRow, node: NodeRow) -> str:
    taint = fitting.untolerated(pod, node)
    if plugin == "tainted" and taint is not None:
        return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
    closed = plugin == "closed"
    return "node(s) were unschedulable" if closed else "node(s) didn't match Pod's node affinity/selector"


def _matters(old: Row | None, new: Row | None) -> bool:
    """The scheduler makes an event of it."""
    if isinstance(new, NodeRow):
        return True
    if isinstance(old, PodRow):
        lost = (
            waits(old) and old.nominated and not holds(new) and getattr(new, "nominated", "") != old.nominated
        )
        return bool((holds(old) and not holds(new)) or lost)
    return False


def wakes(pod: PodRow, entry: Entry, old: Row | None, new: Row | None) -> bool:
    """The queueing hints."""
    if isinstance(old, PodRow):
        left = holds(old)
        fit = FIT in entry.rejectors and (left or pod.priority <= old.priority)
        return fit or (REPELLED in entry.rejectors and left and bool(old.repels))
    assert isinstance(new, NodeRow)
    assert old is None or isinstance(old, NodeRow)
    taints = old is not None and (old.taints != new.taints or (old.unschedulable and not new.unschedulable))
    if taints and entry.rejectors & {FIT, REPELLED, "not selected"}:
        return True
    for plugin in entry.rejectors - {FIT, REPELLED}:
        if not blocked(plugin, pod, new) and (old is None or blocked(plugin, pod, old)):
            return True
    holding = all(new.allocatable.get(r, 0) >= n for r, n in pod.requests.items())
    more = old is None or any(new.allocatable.get(r, 0) > old.allocatable.get(r, 0) for r in pod.requests)
    if FIT in entry.rejectors and holding and more:
        return True
    return REPELLED in entry.rejectors and (old is None or old.labels != new.labels)
