"""What is kept of a run: demand and supply, waits, and layouts of the nodes that changed most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulations.history.steps import Course
from solver.problem import Counts

MOST_NODES = 50
QUANTILES = 200


@dataclass(frozen=True, slots=True)
class Supply:
    """Slices of one profile over time.

    Attributes:
        waiting: that pods ask for which wait.
        offered: on nodes that take pods, and what pods hold on others.
        used: by pods.
        stranded: free ones while pods wait, less what the waiting pods ask of this profile.
    """

    waiting: Course
    offered: Course
    used: Course
    stranded: Course


@dataclass(frozen=True, slots=True)
class Distribution:
    """The waits of the pods of one profile.

    Attributes:
        bound: how many pods were bound.
        unserved: how many never were.
        quantiles: the waits of those that were, in seconds, at equal shares from the shortest to the longest.
    """

    bound: int
    unserved: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A time in which a node took no pod because it was changed.

    Attributes:
        since: seconds since the start: our taint, or no slice offered.
        until: when its slices were back; None where they were not while the node was there.
    """

    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """The layouts of one GPU: each with the time (seconds since the start) from which it had it."""

    memory_slices: int
    layouts: tuple[tuple[float, Counts | None], ...]


@dataclass(frozen=True, slots=True)
class NodeBands:
    """A node over time.

    Attributes:
        node: its name.
        changed: how often a layout of one of its GPUs became another.
        gpus: its GPUs in order.
        changes: when it took no pod because it was changed, at most `bands.MOST_CHANGES`.
        changes_in_all: how often it was.
        joined: seconds since the start; 0 where it was there already.
        left: seconds since the start; None where it is there to the end.
    """

    node: str
    changed: int
    gpus: tuple[Band, ...]
    changes: tuple[Change, ...]
    changes_in_all: int
    joined: float = 0.0
    left: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A run.

    Attributes:
        strategy: whose.
        seconds: from the start until a pod came, was bound or ended last.
        there: memory slices of the GPUs of the nodes that are there.
        sizes: memory slices of each profile that occurs; 0 where no GPU has it.
        used: memory slices that pods hold.
        stranded: memory slices of the stranded slices.
        supplies: by profile.
        waits: by each pod's first profile by name.
        nodes: by name; where there are more than `MOST_NODES`, those that changed, and of them those that
            changed most.
        nodes_in_all: how many nodes with GPUs there are.
    """

    strategy: str
    seconds: float
    there: Course
    sizes: Mapping[str, int]
    used: Course
    stranded: Course
    supplies: Mapping[str, Supply]
    waits: Mapping[str, Distribution]
    nodes: tuple[NodeBands, ...]
    nodes_in_all: int


def distribution(waits: Sequence[float], unserved: int) -> Distribution:
    """The distribution of these waits.

    >>> distribution([3.0, 1.0, 2.0], 1)
    Distribution(bound=3, unserved=1, quantiles=(1.0, 2.0, 3.0))
    """
    found = sorted(waits)
    if len(found) > QUANTILES:
        found = [found[math.ceil(len(found) * rank / QUANTILES) - 1] for rank in range(1, QUANTILES + 1)]
    return Distribution(len(waits), unserved, tuple(found))
