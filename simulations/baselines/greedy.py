"""First-fit and best-fit: one pod after the other, the most important first, and nothing is taken back.

First-fit takes the first node by name that could hold the pod, whether idle GPUs of it must be cut anew or
not, and on it the first GPU. Best-fit takes a node where the pod fits as the GPUs are cut; where there is
none, the one where fewest nodes and GPUs change that did not yet, and then where least is left. On a node,
both cut a GPU anew only where no slice as it is would do.

A GPU that is cut anew stays open: its layout is settled only at the end, so that it serves later pods too
wherever that is possible. GPUs that turn out to be no use are left as they were (`outcome`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from simulations.baselines.outcome import by_importance, outcome
from simulations.baselines.site import Placing, Site
from solver.problem import Counts, Pod, Problem
from solver.solution import Solution

_Cost = tuple[int, ...]


def first_fit(problem: Problem) -> Solution:
    """The plan of first-fit; `check` accepts it."""
    return _greedy(problem, lambda placing: (), tight=False)


def best_fit(problem: Problem) -> Solution:
    """The plan of best-fit; `check` accepts it."""
    return _greedy(problem, _best, tight=True)


def _best(placing: Placing) -> _Cost:
    return (int(placing.opened > 0), int(placing.first), placing.opened, placing.left)


@dataclass(slots=True)
class _Crowd:
    """Pods that differ in nothing but name, age and priority, and what is known of the nodes for them.

    Attributes:
        nodes: where they may go and have not been turned away: once that happens it stays so.
        seen: how much of the history is known here.
        queue: (cost, node, age of that knowledge), the cheapest first; outdated ones are passed over.
    """

    slices: tuple[str, ...]
    resources: Counts
    nodes: dict[int, int]
    seen: int = 0
    queue: list[tuple[_Cost, int, int]] = field(default_factory=list)


class _Search:
    """Keeps for each crowd the cost of each node, and works it out anew where the node has changed."""

    def __init__(self, problem: Problem, cost: Callable[[Placing], _Cost], *, tight: bool) -> None:
        self.sites = [Site(node, tight=tight) for node in problem.nodes]
        self._position = {node.name: position for position, node in enumerate(problem.nodes)}
        self._cost = cost
        self._history: list[int] = []
        self._crowds: dict[object, _Crowd] = {}
        self._sizes: dict[str, int] = {}
        for node in problem.nodes:
            for geometry in {gpu.geometry for gpu in node.gpus}:
                self._sizes.update({profile.name: profile.size for profile in geometry.profiles})

    def place(self, pod: Pod) -> str | None:
        """The node that takes the pod in; None where none can."""
        crowd = self._crowd(pod)
        changed = crowd.nodes if not crowd.seen else dict.fromkeys(self._history[crowd.seen - 1 :])
        self._learn(crowd, [node for node in changed if node in crowd.nodes])
        crowd.seen = len(self._history) + 1
        while crowd.queue and crowd.nodes.get(crowd.queue[0][1]) != crowd.queue[0][2]:
            heapq.heappop(crowd.queue)
        if not crowd.queue:
            return None
        site = self.sites[crowd.queue[0][1]]
        placing = site.placing(crowd.slices, crowd.resources)
        assert placing is not None, "what is known of a node is up to date"
        site.take(placing, crowd.resources)
        self._history.append(crowd.queue[0][1])
        return site.name

    def _crowd(self, pod: Pod) -> _Crowd:
        key = (pod.slices, pod.resources, pod.nodes)
        if key not in self._crowds:
            slices = sorted(pod.slices, key=lambda item: (-self._sizes.get(item[0], 0), item[0]))
            nodes = sorted(self._position[name] for name in pod.nodes if name in self._position)
            flat = tuple(name for name, count in slices for _ in range(count))
            self._crowds[key] = _Crowd(flat, pod.resources, dict.fromkeys(nodes, 0))
        return self._crowds[key]

    def _learn(self, crowd: _Crowd, nodes: Iterable[int]) -> None:
        now = len(self._history) + 1
        for node in nodes:
            placing = self.sites[node].placing(crowd.slices, crowd.resources)
            if placing is None:
                del crowd.nodes[node]
            else:
                crowd.nodes[node] = now
                heapq.heappush(crowd.queue, (self._cost(placing), node, now))


def _greedy(problem: Problem, cost: Callable[[Placing], _Cost], *, tight: bool) -> Solution:
    search = _Search(problem, cost, tight=tight)
    placed = {pod.name: node for pod in by_importance(problem) if (node := search.place(pod)) is not None}
    layouts = {site.name: cut for site in search.sites if (cut := site.layouts())}
    return outcome(problem, placed, layouts)
