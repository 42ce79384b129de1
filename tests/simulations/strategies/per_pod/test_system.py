"""Per-pod systems in the virtual world: who is bound when and where, and that nothing is lost."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core.rows import NodeRow, PodRow
from simulations.clock import Clock
from simulations.gpu import Gpu
from simulations.strategies.per_pod.rules import Dra, Hami
from simulations.strategies.per_pod.system import CREATE_SECONDS, DESTROY_SECONDS, System
from simulations.world import World
from solver.geometry import by_product
from solver.profile_name import resource_name

H100 = by_product("NVIDIA-H100-80GB-HBM3")
RULES = pytest.mark.parametrize("rule", [Hami(), Dra()], ids=lambda rule: rule.name)
START = 1000.0


class Site:
    """Nodes with GPUs, pods that come at their time, and a per-pod system."""

    def __init__(self, rule, nodes, pods=(), schedule=0.0):
        self.world = World(Clock(START))
        self.gpus = {name: tuple(Gpu(name, index, H100) for index in range(gpus)) for name, gpus, _ in nodes}
        for name, _, cpu in nodes:
            self.world.write(_node(name, cpu))
        self.bound = {}
        self.ended = []
        self.world.watch(self._notice)
        self.system = System(self.world, self.gpus, rule, schedule)
        for number, pod in enumerate(pods):
            self.world.clock.after(pod[0], lambda number=number, pod=pod: self.submit(number, *pod))

    def submit(self, number, arrival, duration, slices, cpu=1, priority=0):
        """Create a pod now."""
        key = f"team/pod-{number:03}"
        self.world.durations[key] = duration
        self.world.write(_pod(key, slices, cpu, priority, self.world.stamp()))

    def live(self):
        """Until nothing happens any more."""
        times = list(self.system.moments())
        assert times == sorted(times)
        return self

    def _notice(self, old, new):
        match old, new:
            case PodRow(node=""), PodRow() if new.node:
                assert new.key not in self.bound
                self.bound[new.key] = (self.world.clock.now - START, new.node)
            case PodRow(), PodRow(phase="Succeeded"):
                self.ended.append(new.key)


def _node(name, cpu):
    allocatable = {"cpu": cpu * 1000, "memory": 1 << 40, "pods": 110}
    return NodeRow(name, f"uid-{name}", "", {}, {}, (), False, True, False, allocatable)


def _pod(key, slices, cpu, priority, created):
    namespace, _, name = key.partition("/")
    requests = {"pods": 1, "cpu": cpu * 1000, **{resource_name(p): n for p, n in slices.items()}}
    return PodRow(
        namespace=namespace,
        name=name,
        uid=f"uid-{key}",
        created=created,
        phase="Pending",
        node="",
        terminating=False,
        gated=False,
        scheduler="default-scheduler",
        priority=priority,
        requests=requests,
        selector=(),
        affinity=None,
        tolerations=(),
        nominated="",
        tried=False,
        unschedulable_since=None,
        bound_at=None,
        ignored=False,
        unknown=(),
        hidden_gpu_use=False,
        app="",
        config_map="",
        ready=False,
        daemon=False,
    )


@RULES
def test_a_pod_is_bound_when_its_slice_can_be_created_and_keeps_it_to_its_end(rule):
    """The room of a pod that ended is cut anew beside one that runs: nothing waits for an idle GPU."""
    pods = [(0, 100, {"3g.40gb": 1}), (0, 10, {"3g.40gb": 1}), (1, 5, {"2g.20gb": 1})]
    site = Site(rule, [("node-a", 1, 64)], pods, schedule=0.5).live()
    ended = 0.5 + CREATE_SECONDS + 10
    assert DESTROY_SECONDS < 0.5, "so that the attempts after the end find the room already"
    assert [at for at, _ in site.bound.values()] == pytest.approx([0.5, 0.5, ended + 0.5])
    assert sorted(site.ended) == sorted(site.bound)
    assert site.gpus["node-a"][0].instances == []


@RULES
@given(st.lists(st.integers(0, 40), min_size=2, max_size=8))
@settings(max_examples=30, deadline=None)
def test_no_pod_is_bound_sooner_than_it_takes_to_schedule_one(rule, quarters):
    """Attempts that others caused do not find a pod that has just come, so that a bound on waits holds."""
    pods = [(quarter / 4, 5, {"1g.10gb": 1}) for quarter in sorted(quarters)]
    site = Site(rule, [("node-a", 2, 64)], pods, schedule=1.0).live()
    waits = [site.bound[f"team/pod-{n:03}"][0] - pod[0] for n, pod in enumerate(pods)]
    assert waits == pytest.approx([1.0] * len(pods))
    event("pods come while others are being scheduled" if len(set(quarters)) > 1 else "all at once")


@RULES
def test_one_that_does_not_fit_keeps_no_other_from_being_bound(rule):
    """A large pod is passed by small ones for as long as they come: neither system keeps room for it."""
    pods = [(0, 50, {"1g.10gb": 1}), (1, 10, {"7g.80gb": 1})]
    pods += [(2 + 40 * n, 50, {"1g.10gb": 1}) for n in range(5)]
    site = Site(rule, [("node-a", 1, 64)], pods).live()
    assert site.bound["team/pod-006"][0] == pytest.approx(162)
    assert site.bound["team/pod-001"][0] == pytest.approx(162 + 50 + CREATE_SECONDS + DESTROY_SECONDS)


@RULES
def test_priority_comes_before_age(rule):
    """Of two pods for one free GPU the more important one gets it, though it came later."""
    pods = [(0, 10, {"7g.80gb": 1}), (1, 10, {"7g.80gb": 1}), (2, 10, {"7g.80gb": 1}, 1, 5)]
    site = Site(rule, [("node-a", 1, 64)], pods).live()
    assert site.bound["team/pod-002"][0] < site.bound["team/pod-001"][0]


@RULES
def test_cpu_counts_too_and_pods_without_slices_are_bound(rule):
    """A node without CPU left takes no pod, whatever its GPUs could hold; its CPU comes back."""
    pods = [(0, 10, {}, 3), (1, 10, {"1g.10gb": 1}, 2), (1, 10, {"1g.10gb": 1}, 1)]
    site = Site(rule, [("node-a", 1, 4)], pods).live()
    assert site.bound["team/pod-002"][0] == pytest.approx(1)
    assert site.bound["team/pod-001"][0] == pytest.approx(10 + CREATE_SECONDS)


@RULES
def test_a_pod_that_is_deleted_gives_its_instances_back(rule):
    """Eviction is no end that leaves instances behind, and a pod that still waits is forgotten."""
    site = Site(rule, [("node-a", 1, 64)], [(n, 50, {"7g.80gb": 1}) for n in range(3)])
    for key in ("team/pod-000", "team/pod-001"):
        site.world.clock.after(10, lambda key=key: site.world.delete(site.world.pods[key]))
    site.live()
    assert site.bound["team/pod-002"][0] == pytest.approx(10 + DESTROY_SECONDS)
    assert (site.ended, len(site.bound)) == (["team/pod-002"], 2)


@RULES
def test_nodes_come_and_go(rule):
    """A node that joins is used at once, its old layout gone; one that has left gets no pod."""
    pods = [(0, 100, {"7g.80gb": 1}), (1, 10, {"7g.80gb": 1}), (20, 10, {"7g.80gb": 1})]
    site = Site(rule, [("node-a", 1, 64)], pods)
    site.gpus["node-b"] = (Gpu("node-b", 0, H100),)
    site.world.clock.after(5, lambda: site.world.write(_node("node-b", 64)))
    site.world.clock.after(18, lambda: site.world.delete(site.world.nodes["node-b"]))
    site.live()
    assert site.bound["team/pod-001"] == (5, "node-b")
    assert site.bound["team/pod-002"][1] == "node-a"


@st.composite
def crowds(draw):
    """Pods of any profile that come within a minute, on one to three nodes."""
    nodes = [(f"node-{n}", draw(st.integers(1, 2)), draw(st.sampled_from([3, 64]))) for n in "abc"]
    slices = st.sampled_from(
        [{"1g.10gb": 1}, {"2g.20gb": 1}, {"3g.40gb": 1}, {"7g.80gb": 1}, {"1g.10gb": 2, "3g.40gb": 1}, {}]
    )
    pod = st.tuples(st.integers(0, 60), st.integers(1, 90), slices, st.integers(1, 2), st.integers(0, 1))
    pods = sorted(draw(st.lists(pod, min_size=1, max_size=25)), key=lambda pod: pod[0])
    return nodes[: draw(st.integers(1, 3))], pods


@RULES
@given(crowds())
@settings(max_examples=60, deadline=None)
def test_it_does_what_the_rules_say_whatever_it_remembers(rule, crowd):
    """Against a system that looks at every node anew for every pod: the same pods, nodes and times."""
    nodes, pods = crowd
    site = Site(rule, nodes, pods).live()
    expected = _looking_anew(rule, nodes, pods)
    assert {key: (pytest.approx(at), node) for key, (at, node) in expected.items()} == site.bound
    assert len(site.ended) == len(set(site.ended)) == len(site.bound)
    assert all(gpu.instances == [] for gpus in site.gpus.values() for gpu in gpus)
    waits = sum(at > pods[int(key[-3:])][0] for key, (at, _) in expected.items())
    event("somebody waits" if waits else "nobody waits")


def _looking_anew(rule, nodes, pods):
    """(time, node) of every pod's binding, worked out as simply as can be."""
    gpus = {name: [Gpu(name, index, H100) for index in range(number)] for name, number, _ in nodes}
    cpu = {name: amount for name, _, amount in nodes}
    whole = dict(cpu)
    room = dict.fromkeys(gpus, 110)
    for each in gpus.values():
        for gpu in each:
            gpu.set_mode(enabled=True)
    heap = [(float(pod[0]), 0, number, None) for number, pod in enumerate(pods)]
    heapq.heapify(heap)
    waiting, bound = [], {}
    while heap:
        now = heap[0][0]
        while heap and heap[0][0] <= now + 1e-9:
            _, kind, number, held = heapq.heappop(heap)
            if kind == 0:
                waiting.append(number)
            elif kind == 1:
                cpu[held[0]] += pods[number][3]
                room[held[0]] += 1
                heapq.heappush(heap, (now + DESTROY_SECONDS, 2, number, held))
            else:
                for gpu, instance in held[1]:
                    gpu.destroy(instance)
        for number in sorted(waiting, key=lambda n: (-pods[n][4], n)):
            _, duration, slices, cores, _ = pods[number]
            best = None
            for name in sorted(gpus):
                seats = rule.seats(gpus[name], slices)
                if cpu[name] < cores or room[name] < 1 or seats is None:
                    continue
                worth = rule.worth(gpus[name], (cpu[name] / whole[name] + 1) / 2)
                if best is None or worth > best[0]:
                    best = worth, name, seats
            if best is not None:
                waiting.remove(number)
                cpu[best[1]] -= cores
                room[best[1]] -= 1
                made = [
                    (gpus[best[1]][s.gpu], gpus[best[1]][s.gpu].create(s.profile, s.start)) for s in best[2]
                ]
                bound[f"team/pod-{number:03}"] = (now, best[1])
                heapq.heappush(heap, (now + CREATE_SECONDS + duration, 1, number, (best[1], made)))
    return bound
