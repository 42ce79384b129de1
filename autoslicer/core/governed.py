"""Which nodes each policy governs, worked out anew only where labels or selectors have changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from autoslicer.core.planning.differences import differing
from autoslicer.core.policy import Policy, governing
from autoslicer.core.rows import NodeRow, Requirement


@dataclass(frozen=True, slots=True)
class Governed:
    """The nodes of each policy.

    Attributes:
        nodes: all of them, by name.
        selectors: of the policies, by name.
        by_policy: the names of each policy's nodes, sorted; a node that two policies claim equally belongs to
            none.
    """

    nodes: Mapping[str, NodeRow] = field(default_factory=dict)
    selectors: Mapping[str, tuple[Requirement, ...]] = field(default_factory=dict)
    by_policy: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOBODY = Governed()


def governed_nodes(
    nodes: Mapping[str, NodeRow], policies: Mapping[str, Policy], before: Governed = NOBODY
) -> Governed:
    """The nodes of each policy.

    Args:
        nodes: by name.
        policies: by name.
        before: what this function returned for others; it saves work and never changes the result.
    """
    selectors = {name: policy.selector for name, policy in policies.items()}
    if before.selectors == selectors and all(
        _alike(before.nodes.get(name), nodes.get(name)) for name in differing(before.nodes, nodes)
    ):
        return replace(before, nodes=nodes)
    found: dict[str, list[str]] = {name: [] for name in sorted(policies)}
    for name, node in sorted(nodes.items()):
        policy = governing(policies, node)
        if isinstance(policy, Policy):
            found[policy.name].append(name)
    return Governed(nodes, selectors, {name: tuple(names) for name, names in found.items()})


def _alike(row: NodeRow | None, other: NodeRow | None) -> bool:
    """The node is there in both cases, under the same labels."""
    return row is not None and other is not None and row.labels == other.labels
