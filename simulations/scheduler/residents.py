"""What pods hold beside resources: the nodes that they are nominated to, and others that they keep away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoslicer.core.rows import NodeRow, PodRow, Repulsion, Resources


@dataclass(slots=True)
class Residents:
    """Nominations of pods that wait, and the required anti-affinity of pods that are bound.

    Attributes:
        nominations: by node, the pods that are promised it: their priority and what they ask for.
        repulsions: the terms, each with the topology value that it reigns over.
    """

    nominations: dict[str, dict[str, tuple[int, Resources]]] = field(default_factory=dict)
    repulsions: tuple[tuple[Repulsion, str], ...] = ()
    _repelling: dict[str, PodRow] = field(default_factory=dict)

    def nominate(self, pod: PodRow) -> None:
        """The pod waits, and is promised a node or not."""
        if pod.nominated:
            self.nominations.setdefault(pod.nominated, {})[pod.key] = pod.priority, pod.requests

    def dismiss(self, pod: PodRow) -> bool:
        """The pod does not wait for the promised node any more; whether it did."""
        promised = self.nominations.get(pod.nominated, {})
        if promised.pop(pod.key, None) is None:
            return False
        if not promised:
            del self.nominations[pod.nominated]
        return True

    def reserved(self, node: str, priority: int, pod: str) -> Mapping[str, int]:
        """What others of at least that priority are promised on the node."""
        found = Counter[str]()
        for other, (rank, requests) in self.nominations.get(node, {}).items():
            if rank >= priority and other != pod:
                found.update(requests)
        return found

    def settle(self, pod: PodRow, nodes: Mapping[str, NodeRow]) -> bool:
        """The pod is bound; whether it keeps others away."""
        if pod.repels:
            self._repelling[pod.key] = pod
            self.survey(nodes)
        return bool(pod.repels)

    def part(self, pod: PodRow, nodes: Mapping[str, NodeRow]) -> bool:
        """The pod is bound no more; whether it kept others away."""
        if self._repelling.pop(pod.key, None) is None:
            return False
        self.survey(nodes)
        return True

    def survey(self, nodes: Mapping[str, NodeRow]) -> None:
        """Look at the labels of the nodes anew."""
        if self._repelling or self.repulsions:
            placed = [(pod, nodes[pod.node].labels) for pod in self._repelling.values() if pod.node in nodes]
            self.repulsions = tuple(
                dict.fromkeys(
                    (repulsion, labels[repulsion.topology])
                    for pod, labels in placed
                    for repulsion in pod.repels
                    if repulsion.topology in labels
                )
            )
