"""The GPUs of all nodes as a per-pod system books them: which pod has which instances, and who has room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simulations.gpu import Gpu, Instance
from simulations.strategies.per_pod.rules import Rule, Seat
from solver.problem import Counts

_Offer = tuple[Seat, ...] | None


@dataclass(slots=True)
class Seating:
    """Books instances for pods by a rule; what was worked out for a node is kept until its instances change.

    Attributes:
        rule: where instances go.
        gpus: of each node, by name.
    """

    rule: Rule
    gpus: Mapping[str, Sequence[Gpu]]
    _offers: dict[str, dict[Counts, _Offer]] = field(default_factory=dict)
    _taken: dict[str, tuple[str, list[tuple[Gpu, Instance]]]] = field(default_factory=dict)

    def adopt(self, node: str) -> None:
        """Take a node over that is not yet known.

        MIG mode goes on, and what its GPUs were cut into goes, but for the instances that somebody holds.
        """
        if node not in self._offers:
            self._offers[node] = {}
            for gpu in self.gpus.get(node, ()):
                held = [instance for instance in gpu.instances or () if instance.holder]
                for instance in [one for one in gpu.instances or () if not one.holder]:
                    gpu.destroy(instance)
                if not held:
                    gpu.set_mode(enabled=True)

    def hold(self, pod: str, node: str) -> None:
        """The pod was there before and has the instances that name it."""
        gpus = self.gpus.get(node, ())
        made = [(gpu, one) for gpu in gpus for one in gpu.instances or () if one.holder == pod]
        self._taken[pod] = node, made

    def offer(self, node: str, slices: Counts) -> _Offer:
        """Where the slices would go on the node; None where they do not fit."""
        known = self._offers[node]
        if slices not in known:
            known[slices] = self.rule.seats(self.gpus.get(node, ()), dict(slices))
        return known[slices]

    def take(self, pod: str, node: str, seats: Sequence[Seat]) -> None:
        """Create the instances for the pod."""
        gpus = self.gpus.get(node, ())
        made = [(gpus[seat.gpu], gpus[seat.gpu].create(seat.profile, seat.start, pod)) for seat in seats]
        self._taken[pod] = node, made
        self._offers[node] = {}

    def leave(self, pod: str) -> tuple[str, list[tuple[Gpu, Instance]]] | None:
        """The pod gives its instances back: (node, instances to be destroyed); None where it has none."""
        found = self._taken.pop(pod, None)
        for _, instance in found[1] if found is not None else ():
            instance.holder = ""
        return found

    def clear(self, node: str, made: Sequence[tuple[Gpu, Instance]]) -> None:
        """Destroy instances that nobody holds."""
        for gpu, instance in made:
            gpu.destroy(instance)
        self._offers[node] = {}
