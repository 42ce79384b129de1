"""Where pods may go by everything but resources; pods that agree on what counts share one answer."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, replace

from autoslicer.core import fitting
from autoslicer.core.planning.differences import differing
from autoslicer.core.planning.sites import Site, Sites
from autoslicer.core.policy import Policy
from autoslicer.core.rows import NodeRow, PodRow, Repulsion
from autoslicer.core.snapshot import Snapshot

_FEW = 64
"""nodes that differ; with more of them every answer is worked out anew"""
_MOST_KINDS = 10_000
"""kinds of pods of which the answers are kept"""


_Reign = frozenset[tuple[Repulsion, str]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Where pods such as this one may go while they wait for no policies but these."""

    pod: PodRow
    policies: frozenset[str] | None
    nodes: frozenset[str]


class Places:
    """The nodes for each kind of pod, as far as it was asked for; what has not changed is taken from before.

    Attributes:
        sites: the nodes to choose from.
        repulsions: the anti-affinity of pods that hold a place.
        known: the answers by kind.
        moved: some answer may differ from before.
    """

    def __init__(self, snapshot: Snapshot, sites: Sites, before: Places | None) -> None:
        self.sites = sites
        same = before is not None and before.sites is sites
        self.repulsions: _Reign = (
            before.repulsions if before is not None and same else fitting.repulsions(snapshot)
        )
        self._changing = frozenset(
            name for name in snapshot.history if fitting.live_change(snapshot, name) is not None
        )
        self.known: dict[tuple[object, ...], _Answer] = {}
        self.moved = True
        if before is None or before.repulsions != self.repulsions or len(before.known) > _MOST_KINDS:
            return
        changed = set() if same else differing(before.sites.by_name, sites.by_name)
        if len(changed) <= _FEW:
            self.known = {kind: self._revised(answer, changed) for kind, answer in before.known.items()}
            self.moved = any(map(operator.is_not, self.known.values(), before.known.values()))

    def of(self, pod: PodRow, policies: frozenset[str] | None) -> frozenset[str]:
        """The nodes where the pod may go; of governed ones only those of `policies`, unless that is None."""
        if pod.unknown:
            return frozenset()
        crowd = (pod.namespace, tuple(sorted(pod.labels.items()))) if self.repulsions else ()
        kind = (pod.selector, pod.affinity, pod.tolerations, policies, crowd)
        if kind not in self.known:
            nodes = frozenset(self._open(pod, policies, self.sites.by_name))
            self.known[kind] = _Answer(pod, policies, nodes)
        return self.known[kind].nodes

    def _revised(self, answer: _Answer, changed: set[str]) -> _Answer:
        now = frozenset(self._open(answer.pod, answer.policies, changed & self.sites.by_name.keys()))
        if answer.nodes & changed == now:
            return answer
        return replace(answer, nodes=(answer.nodes - changed) | now)

    def _open(self, pod: PodRow, policies: frozenset[str] | None, names: Iterable[str]) -> Iterable[str]:
        choosy = bool(pod.selector) or pod.affinity is not None
        for name in names:
            site = self.sites.by_name[name]
            if site.node is None or (choosy and not fitting.selected(pod, site.row)):
                continue
            if _turn(site, policies) and self._admits(pod, site.row):
                yield name

    def _admits(self, pod: PodRow, row: NodeRow) -> bool:
        """Neither a taint nor a pod that runs there keeps the pod off."""
        if row.taints and fitting.untolerated(pod, row, own_taint=row.name in self._changing) is not None:
            return False
        return not self.repulsions or not fitting.repelled(pod, row, self.repulsions)


def _turn(site: Site, policies: frozenset[str] | None) -> bool:
    return policies is None or not isinstance(site.policy, Policy) or site.policy.name in policies
