"""How a plan leaves a node: what its GPUs hold then, whom they serve, and which changes were of use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulations.baselines.cutting import covers
from solver.problem import Counts, Gpu, Node, Pod
from solver.solution import By


@dataclass(frozen=True, slots=True)
class End:
    """What a plan makes of a node: the pods placed there, and the new layouts of the GPUs that change."""

    node: Node
    pods: tuple[Pod, ...]
    layouts: Mapping[int, Counts]

    def demand(self) -> Counter[str]:
        """The slices that the pods take together."""
        total: Counter[str] = Counter()
        for pod in self.pods:
            total.update(dict(pod.slices))
        return total

    def supply(self) -> Counter[str]:
        """The free slices after the change, those of the pods placed here among them."""
        total = self._staying()
        for layout in self.layouts.values():
            total.update(dict(layout))
        return total

    def resources(self) -> Counter[str]:
        """What the pods leave of everything else."""
        left = Counter(dict(self.node.resources))
        for pod in self.pods:
            left.subtract(dict(pod.resources))
        return left

    def _staying(self) -> Counter[str]:
        """The free slices of GPUs that do not change."""
        left = Counter(dict(self.node.free))
        for gpu in self.node.gpus:
            if gpu.index in self.layouts:
                left.subtract(dict(gpu.layout or ()))
        return left

    def without_needless(self) -> End:
        """No GPU changes whose old layout would serve the same pods."""
        bare = replace(self, layouts={})
        if bare.suffices():
            return bare
        for index in sorted(self.layouts, reverse=True):
            fewer = {other: layout for other, layout in self.layouts.items() if other != index}
            end = replace(self, layouts=first_twins(self.node, fewer))
            if end.suffices():
                return end.without_needless()
        return self

    def suffices(self) -> bool:
        """The pods have their slices."""
        supply = self.supply()
        return all(supply[name] >= count for name, count in self.demand().items())

    def attributed(self) -> list[tuple[Pod, By]]:
        """How each pod is served: by slices that stay wherever these suffice."""
        gone = any(gpu.layout is None for gpu in self.node.gpus if gpu.index in self.layouts)
        left = Counter[str]() if gone else self._staying()
        rows: list[tuple[Pod, By]] = []
        for pod in self.pods:
            stays = covers(left, pod.slices)
            if stays:
                left.subtract(dict(pod.slices))
            rows.append((pod, By.FREE if stays else By.RESHAPE))
        return rows

    def if_worthwhile(self) -> End:
        """This end if the reshape serves enough pods, else the node as it was with those that fit there."""
        benefit = sum(by is By.RESHAPE for _, by in self.attributed())
        if not self.layouts or benefit >= self.node.min_benefit:
            return self
        left, kept = Counter(dict(self.node.free)), []
        for pod in self.pods:
            if covers(left, pod.slices):
                left.subtract(dict(pod.slices))
                kept.append(pod)
        return End(self.node, tuple(kept), {})


def first_twins(node: Node, layouts: Mapping[int, Counts]) -> dict[int, Counts]:
    """The layouts, given to the lowest indices among GPUs that are alike."""
    twins: defaultdict[object, list[Gpu]] = defaultdict(list)
    for gpu in node.gpus:
        if gpu.changeable:
            twins[gpu.geometry, gpu.layout].append(gpu)
    found: dict[int, Counts] = {}
    for gpus in twins.values():
        new = [layouts[gpu.index] for gpu in gpus if gpu.index in layouts]
        found.update({gpu.index: layout for gpu, layout in zip(gpus, new, strict=False)})
    return found
