"""One fault on every node at once, and what follows until every node's pod runs."""

from __future__ import annotations

import heapq
import itertools
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

import urllib3

from autoslicer.core import names
from autoslicer.core.phases import BEFORE_LABEL, FINAL, Phase
from tests.chaos.faults import AT_THE_END, BEFORE, SUCCESS, Fault
from tests.chaos.history import ChangeLife
from tests.chaos.human import Human
from tests.chaos.recorder import NODES
from tests.chaos.scene import Scene, patiently
from tests.cluster.api import ApiError, Object
from tests.cluster.waiting import until
from tests.e2e.controller import CHANGES

LAYOUTS = ({"1g.10gb": 14}, {"2g.20gb": 6}, {"1g.20gb": 8}, {"3g.40gb": 4})
"""requests for a whole node of two H100s; with several instances a GPU, so that some can be lost alone"""
ODD = tuple(
    {"1g.10gb": ones, "2g.20gb": twos, "3g.40gb": threes}
    for ones, twos, threes in (
        (5, 1, 2),
        (6, 2, 1),
        (3, 2, 2),
        (8, 1, 1),
        (4, 3, 1),
        (2, 1, 3),
        (9, 2, 0),
        (1, 3, 2),
    )
)
"""requests for other mixtures, all of which two H100s can hold"""
IDLE_SECONDS = 60.0
"""where no change begins for so long, a human helps"""
OWN_SECONDS = 15.0
"""so long a node may heal by itself after its change has ended and the fault is over; then a human helps"""
ROUND_SECONDS = 150.0
HELP_SECONDS = 90.0

ITSELF, RESTED, BY_HAND = "itself", "itself, its rest cut short", "a human's help"
"""who saw to it that the pod is served: a rest after a change that was cancelled, or failed, is cut short by
deleting the change; help is to adopt the node, or to put it in order"""


@dataclass(frozen=True)
class Injection:
    """One fault on one node.

    Attributes:
        ends: how the changes of the node ended, phase and reason, in order.
        by: how the pod was served in the end, one of the words above; empty where it was not.
    """

    node: str
    ends: tuple[str, ...]
    by: str


class Round:
    """One fault on every node at once, and what follows until every node's pod runs."""

    def __init__(self, scene: Scene, fault: Fault, number: int, human: Human) -> None:
        self._scene, self._fault, self._number, self._human = scene, fault, number, human
        self._seen: queue.Queue[tuple[str, str]] = queue.Queue()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._hit: dict[str, float] = {}
        self._reached: dict[str, float] = {}
        self._mended: set[str] = set()
        with scene.recorder.lock:
            self._before = set(scene.recorder.history.changes)
        self.pods: dict[str, str] = {}
        self.injections: list[Injection] = []
        self.seconds, self._began = 0.0, time.time()

    def run(self) -> None:
        """Let it happen, look what becomes of it, help where it must be, and clean up."""
        began = time.monotonic()
        self._scene.recorder.listen(self._listen)
        try:
            self._demand()
            if self._fault.moment == BEFORE:
                self._strike(self._scene.nodes)
            self._demand_pods()
            self._until_over(began + ROUND_SECONDS)
        finally:
            self._scene.recorder.unlisten(self._listen)
            for node in self._hit:
                self._mend(node)
        ends = {node: self._ends(node) for node in self._scene.nodes}
        served = [node for node in self._scene.nodes if self._served(node)]
        by = {node: ITSELF if node in served else self._help(node) for node in self._scene.nodes}
        for node in self._hit:
            self.injections.append(Injection(node, ends[node], by[node]))
        self.clean_up()
        self.seconds = time.monotonic() - began

    def _demand(self) -> None:
        for node in self._scene.nodes if self._fault.slices else ():
            offered = self._scene.cluster.slices(node)
            if all(
                offered.get(profile.replace("+", "."), 0) >= count for profile, count in self._fault.slices
            ):
                self._human.drive(node)
        self._wanted = {
            node: dict(self._fault.slices) or self._other_layout(position, node)
            for position, node in enumerate(self._scene.nodes)
        }

    def _demand_pods(self) -> None:
        for node, wanted in self._wanted.items():
            if self._fault.same:
                self._await_loss(node, wanted)
            place = {"kubernetes.io/hostname": node}
            name = f"round-{self._number}-{node}"
            self.pods[node] = patiently(
                lambda wanted=wanted, name=name, place=place: self._scene.cluster.pod(  # type: ignore[misc]
                    name, wanted, nodeSelector=place
                )
            )

    def _await_loss(self, node: str, wanted: dict[str, int]) -> None:
        """Wait until the node does not offer any more what was taken from it."""

        def lost() -> bool:
            slices = self._scene.cluster.slices(node)
            return any(slices.get(profile, 0) < count for profile, count in wanted.items())

        until(lost, 30, self._scene.cluster.describe, every=0.01)

    def _other_layout(self, position: int, node: str) -> dict[str, int]:
        """A request that the present layout cannot serve, or just that one where the fault wants it."""
        if self._fault.odd:
            return {profile: count for profile, count in ODD[self._number % len(ODD)].items() if count}
        present = dict(self._scene.state(node).cut)
        if self._fault.same and len(present) == 1:
            return present
        wanted = LAYOUTS[(self._number + position) % len(LAYOUTS)]
        profile, count = next(iter(wanted.items()))
        if present.get(profile, 0) >= count:
            return LAYOUTS[(self._number + position + 1) % len(LAYOUTS)]
        return wanted

    def _listen(self, path: str, item: Object) -> None:
        """Note a change that came to a phase, and mig-manager's success for our label."""
        if path == CHANGES and item["metadata"]["uid"] not in self._before:
            self._seen.put((item["spec"]["node"]["name"], item.get("status", {}).get("phase", "")))
        elif path == NODES:
            labels = item["metadata"]["labels"]
            ours = labels.get(names.MIG_CONFIG, "").startswith(names.CONFIG_PREFIX)
            name = item["metadata"]["name"]
            if (
                ours
                and labels.get(names.MIG_CONFIG_STATE) == "success"
                and Phase.LABELLED in self._passed(name)
            ):
                self._seen.put((name, SUCCESS))

    def _passed(self, node: str) -> set[str]:
        return {phase for change in self._mine(node) for phase, _ in change.steps}

    def _mine(self, node: str) -> list[ChangeLife]:
        """The changes of this round, those that were deleted as well."""
        with self._scene.recorder.lock:
            found = list(self._scene.recorder.history.changes.values())
        return [change for change in found if change.node == node and change.uid not in self._before]

    def _until_over(self, deadline: float) -> None:
        looked = 0.0
        while time.monotonic() < deadline:
            try:
                self._at(*self._seen.get(timeout=0.05))
                continue
            except queue.Empty:
                pass
            while self._due and self._due[0][0] <= time.monotonic():
                heapq.heappop(self._due)[2]()
            if time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                self._scene.keep_alive()
                if not self._due and all(map(self._over, self._scene.nodes)):
                    return

    def _at(self, node: str, moment: str) -> None:
        """A node came to a moment."""
        if moment != self._fault.moment or node in self._reached:
            return
        now = time.monotonic()
        self._reached[node] = now
        if not self._fault.together:
            self._later(now + self._fault.delay, lambda: self._strike([node]))
        elif len(self._reached) == 1:
            self._later(now + max(self._fault.gather, self._fault.delay), lambda: self._strike(self._there()))

    def _there(self) -> list[str]:
        """The nodes whose change is in the fault's moment, or under way before the label as that is."""
        before = BEFORE_LABEL - {Phase.WAITING}
        wanted = before if self._fault.moment in before else {self._fault.moment}
        newest = {node: self._scene.newest(node) for node in self._scene.nodes}
        return [node for node, change in newest.items() if change and change.phase in wanted]

    def _strike(self, nodes: list[str]) -> None:
        now = time.monotonic()
        for node in [""] if self._fault.together else nodes:
            try:
                self._fault.inject(self._scene, node)
            except (ApiError, OSError, urllib3.exceptions.HTTPError):
                # what was to be broken is gone meanwhile: that counts for nothing
                return
            if self._fault.lasts != AT_THE_END:
                self._later(now + self._fault.lasts, lambda node=node: self._mend(node))  # type: ignore[misc]
        self._hit.update(dict.fromkeys(nodes, now))

    def _mend(self, node: str) -> None:
        """Once for each node, or once for all."""
        key = "" if self._fault.together else node
        if key not in self._mended:
            self._mended.add(key)
            self._fault.mend(self._scene, key)

    def _later(self, at: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), what))

    def _over(self, node: str) -> bool:
        """The pod runs, or nothing goes on any more that could serve it; then the world is well again."""
        mine = self._mine(node)
        live = [change for change in mine if change.live]
        if self._served(node) and not live:
            return True
        if live:
            return False
        if not mine:
            return time.time() - self._began > IDLE_SECONDS
        ended = max(change.ended or 0.0 for change in mine)
        if self._fault.lasts == AT_THE_END and node in self._hit:
            if self._fault.together and any(c.live for n in self._scene.nodes for c in self._mine(n)):
                return False
            self._mend(node)
        if mine[-1].phase is Phase.CANCELLED:
            return True
        return time.time() - ended > OWN_SECONDS

    def _served(self, node: str) -> bool:
        with self._scene.recorder.lock:
            lives = self._scene.recorder.history.pods.values()
            return any(pod.key == self.pods[node] and pod.bound is not None for pod in lives)

    def _ends(self, node: str) -> tuple[str, ...]:
        ended = [change for change in self._mine(node) if change.phase in FINAL or change.deleted]
        ended.sort(key=lambda change: change.ended or 0.0)
        return tuple(
            "Done"
            if c.phase is Phase.DONE
            else "deleted"
            if c.phase not in FINAL
            else f"{c.phase} {c.reason}"
            for c in ended
        )

    def _help(self, node: str) -> str:
        """What a human does; the pod must be served then. Who served it, empty for nobody."""
        by, deadline = self._helped(node), time.monotonic() + HELP_SECONDS
        while time.monotonic() < deadline:
            if self._served(node):
                return by
            self._scene.keep_alive()
            time.sleep(0.5)
        return ""

    def _helped(self, node: str) -> str:
        """Put the node in order where it is not, disown it, and end its rest or quarantine."""
        found, by = patiently(lambda: self._scene.cluster.node(node))["metadata"], RESTED
        label, ours = (
            found["labels"].get(names.MIG_CONFIG),
            found.get("annotations", {}).get(names.APPLIED_CONFIG),
        )
        if not self._orderly(node) and not self._scene.tenants(node):
            self._human.repair(node)
            by = BY_HAND
        elif ours not in (None, label):
            self._scene.patch_node(node, {"metadata": {"annotations": {names.APPLIED_CONFIG: None}}})
            by = BY_HAND
        self._human.release(node)
        self._human.allow_again()
        return by

    def _orderly(self, node: str) -> bool:
        """The node is in order, or comes to be so by itself; nobody meddles with one that is in a change."""
        deadline = time.monotonic() + OWN_SECONDS
        while not (found := self._scene.in_order(node)) and time.monotonic() < deadline:
            if any(change.live for change in self._scene.changes(node)):
                deadline = time.monotonic() + OWN_SECONDS
            self._scene.keep_alive()
            time.sleep(0.5)
        return found

    def clean_up(self) -> None:
        """Every pod goes, every change ends, and the ended ones are forgotten."""
        for pod in self.pods.values():
            patiently(lambda pod=pod: self._scene.cluster.delete_pod(pod))  # type: ignore[misc]
        deadline = time.monotonic() + HELP_SECONDS
        while time.monotonic() < deadline and self._scene.live():
            self._scene.keep_alive()
            time.sleep(0.3)
        for node in self._scene.nodes:
            self._human.release(node)
