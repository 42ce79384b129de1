"""What must hold whatever happens: each check says who broke it and when, and nothing where it holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from autoslicer.core import names
from autoslicer.core.phases import Phase
from tests.chaos.history import ChangeLife, History
from tests.cluster.api import Object
from tests.cluster.gpus import LogLine

Held = tuple[str, int, int]
"""an instance: its node, GPU and id"""
SWEEP_SECONDS = 15.0
"""a taint without a live change may stay so long: nobody sweeps it while the controller is away"""

SWAP_SECONDS = 2.0
"""so far apart a binding and the coming of another machine under the node's name may be seen"""


class Invariant(StrEnum):
    """The sentences that must be true of every run."""

    IN_USE = "no GPU instance in use was destroyed"
    OVERLAP = "no two changes of one node overlapped"
    LABEL = "nvidia.com/mig.config was never removed or blank"
    NODES = "every node is consistent or explicitly quarantined"
    TAINT = "no taint of ours without a live change"
    MARKS = "no mark of ours against autoscalers without a live change"
    BOUND = "every servable pod was bound"
    ADMITTED = "no pod was bound to slices that were away"


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold: of whom, and what was seen."""

    invariant: Invariant
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.subject}: {self.message}"


@dataclass(frozen=True)
class NodeState:
    """A node at rest.

    Attributes:
        config: the label, None where it is absent.
        state: mig-manager's.
        paused: `gpu.deploy.*` labels that read paused.
        offered: allocatable, without zeros, by profile.
        cut: what NVML shows, by profile.
        taint: the value of our taint, None where there is none.
        newest: its newest change, None where it has none.
        marked: our note is on it that it carries our marks against other autoscalers.
    """

    name: str
    config: str | None
    state: str
    paused: tuple[str, ...]
    offered: Mapping[str, int]
    cut: Mapping[str, int]
    taint: str | None
    newest: ChangeLife | None
    marked: bool = False


def destroyed_in_use(
    history: History,
    logs: Iterable[tuple[str, LogLine]],
    *,
    held: Mapping[str, Collection[Held]] = MappingProxyType({}),
    walked_in: frozenset[str] = frozenset(),
) -> Iterator[Violation]:
    """Instances destroyed while a process held one, or while a pod was bound that may have held it.

    Args:
        history: of the run.
        logs: of the fake NVML, with the node of each line.
        held: what the pods hold, by pod, where an agent tells it. Of other pods nobody knows, so that every
            instance of their node counts as theirs.
        walked_in: pods that a fault bound to the node past every check, after the label was set.
    """
    for node, line in logs:
        if line.what != "destroy":
            continue
        what = f"{line.profile} of GPU {line.gpu} at {line.at:.3f}"
        if line.busy:
            yield Violation(Invariant.IN_USE, node, f"{what} with an open process")
        for pod in history.pods.values():
            if pod.key in walked_in or not pod.holds(node, line.at):
                continue
            if pod.key not in held or (node, line.gpu, line.id) in held[pod.key]:
                yield Violation(Invariant.IN_USE, node, f"{what} while {pod.key} was bound")


def overlaps(history: History) -> Iterator[Violation]:
    """Two changes of one node, the second begun before the first had ended."""
    for node in sorted({change.node for change in history.changes.values()}):
        for first, second in pairwise(history.of_node(node)):
            if first.ended is None or (second.began or 0.0) < first.ended:
                message = f"{second.name} began at {second.began} while {first.name} was live"
                yield Violation(Invariant.OVERLAP, node, message)


def blank_labels(history: History, audit: Iterable[Object]) -> Iterator[Violation]:
    """A write of ours that takes the config label away, or a node that was seen without one."""
    for event in audit:
        if event.get("objectRef", {}).get("resource") != "nodes":
            continue
        labels = ((event.get("requestObject") or {}).get("metadata") or {}).get("labels") or {}
        if names.MIG_CONFIG in labels and not labels[names.MIG_CONFIG]:
            message = f"{event['verb']} with {names.MIG_CONFIG}: {labels[names.MIG_CONFIG]!r}"
            yield Violation(Invariant.LABEL, event["objectRef"].get("name", "?"), message)
    for node, sights in sorted(history.nodes.items()):
        for sight in sights:
            if not sight.config:
                yield Violation(Invariant.LABEL, node, f"seen without a config at {sight.at:.3f}")


def inconsistent(nodes: Iterable[NodeState]) -> Iterator[Violation]:
    """Nodes at rest that are neither in order nor quarantined."""
    for node in nodes:
        if node.newest is not None and node.newest.phase is Phase.QUARANTINED:
            continue
        wrong = [
            *(() if node.config else ("no config label",)),
            *(() if node.state == "success" else (f"the state is {node.state or 'absent'}",)),
            *(f"{label} is paused" for label in node.paused),
        ]
        if dict(node.offered) != dict(node.cut):
            wrong.append(f"offers {dict(node.offered)}, but NVML shows {dict(node.cut)}")
        if wrong:
            last = "no change" if node.newest is None else f"{node.newest.name} {node.newest.phase}"
            yield Violation(Invariant.NODES, node.name, f"{'; '.join(wrong)}; newest: {last}")


def stray_taints(nodes: Iterable[NodeState], live: Iterable[ChangeLife]) -> Iterator[Violation]:
    """Our taint on a node at rest, with no live change of that number."""
    numbers = {(change.node, change.number) for change in live}
    for node in nodes:
        if node.taint is not None and (node.name, node.taint) not in numbers:
            yield Violation(Invariant.TAINT, node.name, f"the taint {node.taint} belongs to no live change")


def stray_marks(nodes: Iterable[NodeState], live: Iterable[ChangeLife]) -> Iterator[Violation]:
    """Our marks on a node at rest that has no live change."""
    busy = {change.node for change in live}
    for node in nodes:
        if node.marked and node.name not in busy:
            yield Violation(Invariant.MARKS, node.name, "other autoscalers are kept off it for nothing")


def outlived_taints(history: History, until: float) -> Iterator[Violation]:
    """Our taint on a node long after the change that it belongs to had ended."""
    for node, sights in sorted(history.nodes.items()):
        changes = [change for change in history.changes.values() if change.node == node]
        for sight, following in pairwise([*sights, None]):
            if sight is None or sight.taint is None:
                continue
            gone = until if following is None else following.at
            ends = [change.ended for change in changes if change.number == sight.taint]
            if any(end is None for end in ends) or not ends:
                continue
            last = max(end for end in ends if end is not None)
            if gone - max(last, sight.at) > SWEEP_SECONDS:
                message = f"the taint {sight.taint} stayed {gone - last:.1f} s after its change"
                yield Violation(Invariant.TAINT, node, message)


def unbound(history: History, servable: Iterable[str]) -> Iterator[Violation]:
    """Pods that could be served and are still waiting."""
    by_key = {pod.key: pod for pod in history.pods.values()}
    for key in sorted(servable):
        pod = by_key.get(key)
        if pod is None or pod.bound is None:
            yield Violation(Invariant.BOUND, key, "was never bound")


def refused_admission(history: History, *, walked_in: frozenset[str] = frozenset()) -> Iterator[Violation]:
    """Pods that the scheduler bound to a node whose kubelet then had no slices for them.

    Not those whose node became another machine at that moment: the scheduler had seen the old one's slices.
    """
    for pod in history.pods.values():
        bound, swaps = pod.bound or 0.0, history.made_anew.get(pod.node, ())
        swapped = any(abs(bound - at) < SWAP_SECONDS for at in swaps)
        if pod.failed and not pod.named and not swapped and pod.key not in walked_in:
            yield Violation(Invariant.ADMITTED, pod.key, f"{pod.failed} on {pod.node}")
