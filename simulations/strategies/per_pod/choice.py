"""The best node for pods that are alike but for name and age, worked out anew only where a node changed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from autoslicer.core.rows import PodRow

_MOST_KINDS = 256
"""so many kinds of pods are remembered; the one that was asked for longest ago is forgotten"""


@dataclass(slots=True)
class _Kind:
    """What is known of the nodes for one kind of pods.

    Attributes:
        worth: of each node where they fit.
        queue: (worth, negated; node), the best first; outdated ones are passed over.
        seen: the age of that knowledge.
    """

    worth: dict[str, float] = field(default_factory=dict)
    queue: list[tuple[float, str]] = field(default_factory=list)
    seen: int = 0

    def learn(self, node: str, worth: float | None) -> None:
        if worth is None:
            self.worth.pop(node, None)
        elif self.worth.get(node) != worth:
            self.worth[node] = worth
            heapq.heappush(self.queue, (-worth, node))

    def best(self) -> str | None:
        if len(self.queue) > 4 * len(self.worth) + 64:
            self.queue = [(-worth, node) for node, worth in self.worth.items()]
            heapq.heapify(self.queue)
        while self.queue and self.worth.get(self.queue[0][1]) != -self.queue[0][0]:
            heapq.heappop(self.queue)
        return self.queue[0][1] if self.queue else None


@dataclass(slots=True)
class Choice:
    """Chooses among all nodes that `change` was called for.

    Attributes:
        worth: of a node for a pod; None where it does not fit.
    """

    worth: Callable[[PodRow, str], float | None]
    _age: int = 0
    _changed: dict[str, int] = field(default_factory=dict)
    _kinds: dict[Hashable, _Kind] = field(default_factory=dict)

    def change(self, node: str) -> None:
        """A node came, went, or is worth something else now."""
        self._age += 1
        self._changed.pop(node, None)
        self._changed[node] = self._age

    def best(self, kind: Hashable, pod: PodRow) -> str | None:
        """The node of most worth, the first by name of equal ones; None where the pod fits nowhere.

        Args:
            kind: equal for pods for which every node is worth the same.
            pod: one of them.
        """
        known = self._kinds.pop(kind, None) or _Kind()
        self._kinds[kind] = known
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.pop(next(iter(self._kinds)))
        for node, age in reversed(self._changed.items()):
            if age <= known.seen:
                break
            known.learn(node, self.worth(pod, node))
        known.seen = self._age
        return known.best()
