"""What happens in the virtual cluster, as lines to read: who, what, and a few words on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from autoslicer.core import names
from autoslicer.core.fitting import slices
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase
from autoslicer.core.rows import NodeRow, PodRow, ReconfigurationRow, Step
from simulations.world import Row, World

_TOLD = {
    Phase.VALIDATED: "validated",
    Phase.TAINTED: "tainted",
    Phase.DRAINED: "idle",
    Phase.PUBLISHED: "published",
    Phase.LABELLED: "labelled",
}
"""the phases whose message says it all; of the others the node tells, or `_step`"""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened at `at` (seconds since the epoch) to `who`."""

    at: float
    who: str
    what: str
    words: str


@dataclass(slots=True)
class Story:
    """Collects what there is to tell; `told` hands it over moment by moment.

    Attributes:
        bound: when each pod was bound (seconds since the epoch), by key.
        cut: when mig-manager reported success on each node (seconds since the epoch), by name.
    """

    world: World
    bound: dict[str, float] = field(default_factory=dict)
    cut: dict[str, float] = field(default_factory=dict)
    _lines: list[Line] = field(default_factory=list)
    _fresh: dict[str, list[PodRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.watch(self._notice)

    def told(self) -> list[Line]:
        """What happened since the last call; pods that were bound at one moment share a line."""
        for node, pods in sorted(self._fresh.items()):
            wanted = Counter(profile for pod in pods for profile in slices(pod.requests))
            self._lines.append(Line(self.world.clock.now, node, "bound", f"{_amounts(wanted)}: {_few(pods)}"))
        lines = list(self._lines)
        self._lines.clear()
        self._fresh.clear()
        return lines

    def _notice(self, old: Row | None, new: Row | None) -> None:
        match old, new:
            case PodRow(node=""), PodRow() if new.node:
                self.bound[new.key] = self.world.clock.now
                self._fresh.setdefault(new.node, []).append(new)
            case ReconfigurationRow(), ReconfigurationRow():
                for step in new.status.steps[len(old.status.steps) :]:
                    self._add(new.node, *_step(new, step))
            case NodeRow(), NodeRow():
                if evidence.state(old) != evidence.state(new) == "success":
                    self.cut[new.name] = self.world.clock.now
                for what, words in _of_node(old, new):
                    self._add(new.name, what, words)

    def _add(self, who: str, what: str, words: str) -> None:
        if what:
            self._lines.append(Line(self.world.clock.now, who, what, words))


def _step(change: ReconfigurationRow, step: Step) -> tuple[str, str]:
    phase = Phase(step.phase)
    if phase is Phase.DONE:
        changed = sum(gpu.changed for gpu in change.gpus)
        return "done", f"{change.name} has changed {changed} of {len(change.gpus)} GPUs"
    if phase is Phase.VERIFIED:
        return "verified", "allocatable and labels are as promised"
    if phase in (Phase.QUARANTINED, Phase.CANCELLED):
        return phase.lower(), step.message
    return _TOLD.get(phase, ""), step.message


def _of_node(old: NodeRow, new: NodeRow) -> Iterator[tuple[str, str]]:
    """What mig-manager, the device plugin and a lifted taint change on a node."""
    if evidence.paused(new) and not evidence.paused(old):
        yield "pending", "mig-manager pauses the GPU clients"
    if evidence.state(new) == "success" != evidence.state(old):
        yield "success", "the GPUs are cut; the device plugin is still away"
    if evidence.state(new) == "failed" != evidence.state(old):
        yield "failed", "mig-manager could not do it"
    if _tainted(old) and not _tainted(new):
        yield "taint lifted", "so that the device plugin's pod can come back"
    offered = dict(evidence.advertised(new))
    if offered and not evidence.advertised(old):
        found = Counter({name.removeprefix(names.MIG_RESOURCE_PREFIX): n for name, n in offered.items()})
        yield "offered", _amounts(found)


def _tainted(node: NodeRow) -> bool:
    return any(taint.key == names.TAINT for taint in node.taints)


def _amounts(profiles: Counter[str]) -> str:
    return ", ".join(f"{amount} x {profile}" for profile, amount in sorted(profiles.items()))


def _few(pods: list[PodRow]) -> str:
    shown = ", ".join(pod.name for pod in pods[:2])
    return f"{shown}, ..." if len(pods) > 2 else shown
