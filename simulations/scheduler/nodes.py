"""The scheduler's own count of what every node has left, kept from the writes that it is told of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from autoslicer.core.rows import NodeRow, Resources

Amounts = npt.NDArray[np.int64]
MISSING = {"cpu": 100, "memory": 200 << 20}
"""what a pod that asks for none of it counts as in LeastAllocated (one container)"""
_REMEMBERED = 4096
_NOTHING: Mapping[str, int] = {}


class Nodes:
    """The nodes in kube-scheduler's order, and what is free on them.

    Attributes:
        rows: by name, in the order of their coming.
        order: the names, from zone to zone in turn (the scheduler's node tree).
        index: the place of each name in `order`, which is that in every array.
        version: counts how often these were made anew.
        stale: nodes came or went since.
    """

    def __init__(self) -> None:
        self.rows: dict[str, NodeRow] = {}
        self.order: list[str] = []
        self.index: dict[str, int] = {}
        self.version = 0
        self._used: dict[str, Counter[str]] = {}
        self._scored: dict[str, Counter[str]] = {}
        self._arrays: dict[tuple[str, str], Amounts] = {}
        self.stale = False
        self._gained: list[str] = []
        self._forgotten = 0

    def put(self, row: NodeRow) -> None:
        """A node is there, or is another than it was."""
        old = self.rows.get(row.name)
        self.rows[row.name] = row
        if old is None or _zone(old) != _zone(row) or old.allocatable.keys() != row.allocatable.keys():
            self.stale = True
        elif not self.stale and old.allocatable != row.allocatable:
            for resource in row.allocatable:
                self._refresh(row.name, resource)
        self.gain(row.name)

    def remove(self, name: str) -> None:
        """A node is gone; what is bound to it may stay a while."""
        del self.rows[name]
        self.stale = True

    def occupy(self, node: str, requests: Resources) -> None:
        """A pod is bound to the node."""
        self._count(node, requests, 1)

    def release(self, node: str, requests: Resources) -> None:
        """A pod has left the node."""
        self._count(node, requests, -1)
        self.gain(node)

    def gain(self, name: str) -> None:
        """A pod that did not fit there may do so now."""
        self._gained.append(name)
        if len(self._gained) > _REMEMBERED:
            self._forgotten += len(self._gained)
            self._gained.clear()

    def gain_all(self) -> None:
        """A pod may fit anywhere now."""
        self._forgotten += len(self._gained) + 1
        self._gained.clear()

    @property
    def gains(self) -> int:
        """How often any node gained something."""
        return self._forgotten + len(self._gained)

    def gained(self, since: int) -> list[str] | None:
        """The nodes that gained something after so many gains; None where that is forgotten."""
        return None if since < self._forgotten else self._gained[since - self._forgotten :]

    def settle(self) -> None:
        """Bring order and arrays up to date after nodes came or went."""
        if self.stale:
            self.stale = False
            self.version += 1
            self.order = _in_turn(self.rows)
            self.index = {name: at for at, name in enumerate(self.order)}
            self._arrays.clear()

    def free(self, resource: str) -> Amounts:
        """Allocatable less what bound pods ask for."""
        return self._array("free", resource)

    def allocatable(self, resource: str) -> Amounts:
        """What the nodes offer."""
        return self._array("allocatable", resource)

    def scored(self, resource: str) -> Amounts:
        """What bound pods count as in LeastAllocated."""
        return self._array("scored", resource)

    def fits(self, name: str, requests: Resources, reserved: Mapping[str, int]) -> bool:
        """The node has room for the requests beside what is reserved there."""
        offered, used = self.rows[name].allocatable, self._used.get(name, _NOTHING)
        return all(
            amount <= offered.get(resource, 0) - used.get(resource, 0) - reserved.get(resource, 0)
            for resource, amount in requests.items()
        )

    def _array(self, what: str, resource: str) -> Amounts:
        found = self._arrays.get((what, resource))
        if found is None:
            amounts = (self._amount(what, name, resource) for name in self.order)
            found = np.fromiter(amounts, np.int64, len(self.order))
            self._arrays[what, resource] = found
        return found

    def _amount(self, what: str, name: str, resource: str) -> int:
        if what == "scored":
            return self._scored.get(name, _NOTHING).get(resource, 0)
        offered = self.rows[name].allocatable.get(resource, 0)
        return offered if what == "allocatable" else offered - self._used.get(name, _NOTHING).get(resource, 0)

    def _refresh(self, name: str, resource: str) -> None:
        for what in ("free", "allocatable", "scored"):
            array = self._arrays.get((what, resource))
            if array is not None:
                array[self.index[name]] = self._amount(what, name, resource)

    def _count(self, node: str, requests: Resources, sign: int) -> None:
        used = self._used.setdefault(node, Counter())
        for resource, amount in requests.items():
            used[resource] += sign * amount
        scored = self._scored.setdefault(node, Counter())
        for resource, missing in MISSING.items():
            scored[resource] += sign * (requests.get(resource, 0) or missing)
        if not self.stale and node in self.index:
            for resource in {**requests, **MISSING}:
                self._refresh(node, resource)


def _zone(node: NodeRow) -> tuple[str, str]:
    """As `GetZoneKey` of the scheduler's node tree."""
    region, zone = (
        node.labels.get(f"failure-domain.beta.kubernetes.io/{part}")
        or node.labels.get(f"topology.kubernetes.io/{part}", "")
        for part in ("region", "zone")
    )
    return region, zone


def _in_turn(rows: Mapping[str, NodeRow]) -> list[str]:
    """One node of each zone after the other; zones and nodes in the order of their coming."""
    zones: dict[tuple[str, str], list[str]] = {}
    for name, row in rows.items():
        zones.setdefault(_zone(row), []).append(name)
    return [name for rank in zip_longest(*zones.values()) for name in rank if name is not None]
