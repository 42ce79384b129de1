"""nebuly's nos: the planner of its MIG partitioner (0.1.2), as it is and as its authors may have meant it.

It sees the pods that the scheduler has found no place for, so that pods are given what is free first. Then it
counts what the rest lacks, goes through the nodes by name, cuts each node's GPUs one after the other into the
layout that covers most of that, and keeps the node if a pod came in.

`as_it_is` keeps what was observed of the program. Every pod is measured alone against the free slices of the
whole cluster, usable or not. What a pod lacks counts on nodes too where it cannot go. Pods that were placed
are placed again on the next node, so that nodes change for nobody. Equal layouts, equal pods and the profiles
of one pod come in the random order of Go's maps. The number of pods on a node is not counted. A pod that does
not fit leaves part of itself booked, a node that is given up leaves phantom slices behind. And no pod is
promised a node: who is served is up to the scheduler afterwards.

`charitable` repairs all that: pods compete for what is free, each is placed once, and what it says counts.
It is not always the better one: where pods ask for slices that no layout chosen so brings together on one
GPU, they go on to steer each node, which is given up then; as it is, needless changes help others by chance.

What stays are its rules: smaller pods before larger ones, all slices of a pod on one GPU, GPUs in the order
of their indices, free slices that a new layout destroys do not count. As for every planner here, a GPU in use
keeps its layout: nos itself would cut around the instances in use, which NVIDIA's mig-manager cannot. Which
of these GPUs has the node's free slices is not part of the problem; they are given to the first that may have
them, which suits the rule of one GPU a pod.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key
from random import Random

from simulations.baselines.end import End
from simulations.baselines.nos_cluster import NosNode
from simulations.baselines.outcome import by_importance, outcome, scheduled
from solver.problem import Counts, Pod, Problem
from solver.profile_name import parse
from solver.solution import Solution


def as_it_is(problem: Problem, seed: int, *, complete: bool = False) -> Solution:
    """The plan of the program as observed; it may change GPUs for nobody, else `check` accepts it.

    Args:
        problem: what is asked.
        seed: stands for the random order of Go's maps.
        complete: see `nos_layouts.layouts`.
    """
    rng = Random(seed)
    planner = _Nos(problem, rng, complete=complete)
    crowds = planner.crowds
    rng.shuffle(crowds)
    crowds.sort(key=cmp_to_key(lambda a, b: -1 if _before(a, b, rng.choice) else 0))
    crowds.sort(key=lambda crowd: -crowd.priority)
    planner.run(again=True)
    return outcome(problem, planner.bound, planner.layouts(), needless=True)


def charitable(problem: Problem, *, complete: bool = True, needless: bool = True) -> Solution:
    """The plan without the program's slips; `check` accepts it but for GPUs that it changes for nobody.

    Args:
        problem: what is asked.
        complete: see `nos_layouts.layouts`.
        needless: keep changes that serve nobody.
    """
    planner = _Nos(problem, None, complete=complete)
    planner.crowds.sort(key=lambda crowd: (-crowd.priority, crowd.size))
    planner.run(again=False)
    return outcome(problem, planner.placed(), planner.layouts(), needless=needless)


@dataclass(slots=True)
class _Crowd:
    """Pods that differ in nothing but name and age, the oldest first.

    Attributes:
        done: how many of them have been placed at least once.
        lacking: what each of them was found to lack.
        nodes: of those placed, in turn; each counts once, on the first node that took it.
    """

    priority: int
    slices: Counts
    resources: Counts
    places: frozenset[str]
    pods: list[Pod]
    done: int = 0
    lacking: Counts = ()
    nodes: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[tuple[int, int], ...]:
        """Memory and compute slices of its profiles."""
        return tuple(sorted(_size(name) for name, _ in self.slices))


def _before(a: _Crowd, b: _Crowd, choose: Callable[[Sequence[str]], str]) -> bool:
    """An order that is none: 1g.20gb comes before 2g.10gb, and 2g.10gb before 1g.20gb."""
    one, other = (_size(choose([name for name, _ in crowd.slices])) for crowd in (a, b))
    return one[0] < other[0] or one[1] < other[1]


def _size(profile: str) -> tuple[int, int]:
    parts = parse(profile)
    return parts.gigabytes, parts.compute


class _Nos:
    """One run of the planner over a cluster; `rng` is the order of maps, None for a fixed one."""

    def __init__(self, problem: Problem, rng: Random | None, *, complete: bool) -> None:
        self._rng = rng
        self.nodes = [NosNode(node, complete=complete) for node in problem.nodes]
        self.bound: dict[str, str] = {}
        now = scheduled(problem, [End(node, (), {}) for node in problem.nodes])
        for node, end in zip(self.nodes, now, strict=True):
            for pod in end.pods:
                node.bind(pod.slices, pod.resources)
                self.bound[pod.name] = node.name
        self.crowds = list(_crowds(pod for pod in by_importance(problem) if pod.name not in self.bound))
        self._pool: Counter[str] = Counter()
        for node in self.nodes:
            self._pool.update(node.free())
        self._lack: Counter[str] = Counter()

    def layouts(self) -> dict[str, dict[int, Counts]]:
        """The new layouts, by node and GPU."""
        return {node.name: changed for node in self.nodes if (changed := node.changed())}

    def placed(self) -> dict[str, str]:
        """The node of each pod that was placed, that of the first time."""
        return {
            pod.name: node
            for crowd in self.crowds
            for pod, node in zip(crowd.pods, crowd.nodes, strict=False)
        }

    def run(self, *, again: bool) -> None:
        """Go through the nodes once; `again` places pods anew that an earlier node has taken."""
        for crowd in self.crowds:
            have = self._pool if again else Counter[str]()
            crowd.lacking = tuple((n, c - max(0, have[n])) for n, c in crowd.slices if c > max(0, have[n]))
            for name, count in crowd.lacking:
                self._lack[name] += count * len(crowd.pods)
        for node in self.nodes:
            if not any(self._lack.values()):
                return
            if node.candidate:
                self._visit(node, again=again)

    def _visit(self, node: NosNode, *, again: bool) -> None:
        """Cut the node's GPUs for what is lacking; undo it unless a pod comes in."""
        before, fork = node.free(), node.copy()
        node.cut(+self._lack if again else self._lack_of(node), self._rng)
        self._pool.update(node.free())
        self._pool.subtract(before)
        came = sum([self._admit(node, crowd, again=again) for crowd in self.crowds])
        if came:
            return
        if not again:
            self._pool.subtract(node.free())
            self._pool.update(before)
        node.restore(fork)

    def _lack_of(self, node: NosNode) -> Counter[str]:
        """What the pods lack that might go to the node."""
        total: Counter[str] = Counter()
        for crowd in self.crowds:
            waiting = len(crowd.pods) - crowd.done
            if waiting and node.name in crowd.places and node.might_hold(crowd.slices, crowd.resources):
                total.update({name: count * waiting for name, count in crowd.lacking})
        return total

    def _admit(self, node: NosNode, crowd: _Crowd, *, again: bool) -> int:
        """How many pods of the crowd the node takes."""
        if node.name not in crowd.places:
            return 0
        came, waiting = 0, len(crowd.pods) if again else len(crowd.pods) - crowd.done
        while came < waiting and self._enough(crowd.slices):
            if not node.take(crowd.slices, crowd.resources, self._rng):
                break
            self._pool.subtract(dict(crowd.slices))
            came += 1
        new = max(0, came - crowd.done) if again else came
        crowd.done += new
        crowd.nodes += [node.name] * new
        for name, count in crowd.lacking:
            self._lack[name] = max(0, self._lack[name] - count * new)
        return came

    def _enough(self, slices: Counts) -> bool:
        return all(self._pool[name] >= count for name, count in slices)


def _crowds(pods: Iterable[Pod]) -> Iterable[_Crowd]:
    groups: defaultdict[tuple[int, Counts, Counts, frozenset[str]], list[Pod]] = defaultdict(list)
    for pod in pods:
        groups[pod.priority, pod.slices, pod.resources, pod.nodes].append(pod)
    return (_Crowd(*key, members) for key, members in groups.items())
