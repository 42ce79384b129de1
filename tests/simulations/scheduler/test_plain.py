"""The scheduler that is quick binds what the plain one binds, in the same order, and says the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core.rows import NodeRow, PodRow, Repulsion, Requirement, Taint, Toleration
from simulations.clock import Clock
from simulations.scheduler import Scheduler
from simulations.world import Row, World
from tests.simulations.scheduler.plain import PlainScheduler, waits
from tests.simulations.scheduler.rows import ZONE, node, pod

SLICE = "nvidia.com/mig-1g.10gb"
MIB = 1 << 20
KINDS = (
    {SLICE: 1, "pods": 1},
    {SLICE: 1, "cpu": 2000, "pods": 1},
    {SLICE: 3, "cpu": 1000, "memory": 900 * MIB, "pods": 1},
    {"cpu": 3000, "memory": 500 * MIB, "pods": 1},
    {"pods": 1},
)
TAINTS = (
    (),
    (Taint("team", "a", "NoSchedule"),),
    (Taint("slow", "", "PreferNoSchedule"), Taint("old", "", "PreferNoSchedule")),
    (Taint("slow", "", "PreferNoSchedule"),),
)
TOLERATIONS = ((), (Toleration("team", "Equal", "a", ""),), (Toleration("slow", "Exists", "", ""),))
ALONE = Repulsion((Requirement("app", "In", ("db",)),), None, ZONE)
Operation = tuple[str, int, int]


class Twin:
    """One of two worlds to which the same happens."""

    def __init__(self, scheduler: Callable[[World], object]) -> None:
        self.world = World(Clock(1_000_000.0))
        self.bound: list[tuple[float, str, str]] = []
        self.world.watch(self._record)
        self.scheduler = scheduler(self.world)
        self._numbers = 0

    def _record(self, old: Row | None, new: Row | None) -> None:
        if isinstance(new, PodRow) and new.node and isinstance(old, PodRow) and not old.node:
            self.bound.append((self.world.clock.now, new.key, new.node))

    def state(self) -> object:
        """What the two must agree in."""
        pods = sorted(self.world.pods.values(), key=lambda pod: pod.key)
        return pods, self.bound, [(report.name, report.message) for report in self.world.events]

    def do(self, operation: Operation) -> None:
        """Let one thing happen."""
        name, one, two = operation
        getattr(self, name)(one, two)

    def come(self, one: int, two: int) -> None:
        """One to three pods come."""
        for _ in range(1 + two % 3):
            self._numbers += 1
            more = {"tolerations": TOLERATIONS[two % len(TOLERATIONS)]} if one % 3 == 0 else {}
            more |= {"selector": (("pool", "b"),)} if one % 7 == 6 else {}
            more |= {"labels": {"app": "db"}} if one % 5 == 4 else {}
            more |= {"repels": (ALONE,)} if two % 11 == 10 else {}
            requests = KINDS[one % len(KINDS)]
            self.world.write(
                pod(f"p{self._numbers}", requests, self.world.stamp(), priority=10 * (two % 4 == 3), **more)
            )

    def end(self, one: int, two: int) -> None:
        """A bound pod ends, or is deleted."""
        if found := [each for each in self._pods() if each.node and not each.finished]:
            chosen = found[one % len(found)]
            if two % 2:
                self.world.write(replace(chosen, phase="Succeeded"))
            else:
                self.world.delete(chosen)

    def withdraw(self, one: int, two: int) -> None:
        """A pod that waits is deleted."""
        if found := [each for each in self._pods() if waits(each)]:
            self.world.delete(found[one % len(found)])

    def nominate(self, one: int, two: int) -> None:
        """A pod that waits is promised a node, or no longer."""
        if found := [each for each in self._pods() if waits(each)]:
            names = ["", *sorted(self.world.nodes)]
            self.world.write(replace(found[one % len(found)], nominated=names[two % len(names)]))

    def change(self, one: int, two: int) -> None:
        """Somebody writes a node."""
        if found := sorted(self.world.nodes):
            row = self.world.nodes[found[one % len(found)]]
            self.world.write(_changed(row, two))

    def add(self, one: int, two: int) -> None:
        """A node comes."""
        name = f"n{one % 5}"
        if name not in self.world.nodes:
            self.world.write(node(name, slices=two % 4, zone="ab"[two % 2]))

    def drop(self, one: int, two: int) -> None:
        """A node goes."""
        if self.world.nodes and two % 3 == 0:
            self.world.delete(self.world.nodes[sorted(self.world.nodes)[one % len(self.world.nodes)]])

    def wait(self, one: int, two: int) -> None:
        """Time passes."""
        seconds = (0.01, 0.5, 1.0, 1.7, 4.0, 11.0, 400.0)[one % 7]
        self.world.clock.jump(self.world.clock.now + seconds)

    def _pods(self) -> list[PodRow]:
        return [self.world.pods[key] for key in sorted(self.world.pods)]


def _changed(row: NodeRow, how: int) -> NodeRow:
    match how % 5:
        case 0:
            return replace(row, unschedulable=not row.unschedulable)
        case 1:
            return replace(row, taints=TAINTS[how // 5 % len(TAINTS)])
        case 2:
            return replace(row, labels={**row.labels, "pool": "ab"[how // 5 % 2]})
        case 3:
            return replace(row, labels={**row.labels, ZONE: "ab"[how // 5 % 2]})
    return replace(row, allocatable={**row.allocatable, SLICE: how // 5 % 5})


NAMES = (
    *("come", "come", "come", "end", "end", "withdraw", "nominate", "nominate", "change", "change"),
    *("add", "drop", "wait", "wait", "wait", "wait"),
)
operations = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.integers(0, 999),
        st.integers(0, 999),
    ),
    min_size=10,
    max_size=80,
)


def same(slices: list[int], happens: list[Operation]) -> Counter[str]:
    """Let the same happen to both, and see that they do the same; what was hard about it."""
    quick, plain = Twin(Scheduler), Twin(PlainScheduler)
    for number, amount in enumerate(slices):
        for twin in (quick, plain):
            twin.world.write(node(f"n{number}", slices=amount, zone="ab"[number % 2]))
    for operation in (*happens, ("wait", 5, 0)):
        for twin in (quick, plain):
            twin.do(operation)
        assert quick.state() == plain.state()
    assert isinstance(plain.scheduler, PlainScheduler)
    return plain.scheduler.seen


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), operations)
def test_both_do_the_same(slices: list[int], happens: list[Operation]) -> None:
    """Whatever comes, ends, is promised or changes: same bindings in the same order, same reasons."""
    for what, count in same(slices, happens).items():
        event(f"{what}: {bool(count)}")


def test_both_do_the_same_in_long_worlds() -> None:
    """The same holds where much happens, and what tells the two apart does come up."""
    seen = Counter[str]()
    for seed in range(150):
        drawn = random.Random(seed)
        slices = [drawn.randint(0, 7) for _ in range(drawn.randint(1, 4))]
        happens = [
            (drawn.choice(NAMES), drawn.randrange(1000), drawn.randrange(1000))
            for _ in range(drawn.randint(10, 90))
        ]
        seen.update(same(slices, happens))
    print(dict(seen))
    for what in (
        "backoff inversion",
        "several kinds",
        "promised and got it",
        "promise lost",
        "no node at all",
    ):
        assert seen[what] >= 30, what


def test_more_than_a_hundred_nodes_are_looked_at_in_turn() -> None:
    """Of many nodes some are looked at, from where the last search ended."""
    quick, plain = Twin(Scheduler), Twin(PlainScheduler)
    for twin in (quick, plain):
        for number in range(150):
            twin.world.write(node(f"n{number:03}", slices=1 + number % 3, zone="abc"[number % 7 % 3]))
        for number in range(40):
            twin.come(number, number)
            twin.wait(number % 3, 0)
    assert quick.state() == plain.state()
    assert isinstance(plain.scheduler, PlainScheduler)
    assert plain.scheduler.seen["looked at some nodes"] >= 30
