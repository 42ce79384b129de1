"""Sites in blocks that are relaxed one after the other, because a relaxation takes more than linear time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from solver.instance import Instance

LARGEST = 800
"""sites of one block"""


def blocks(instance: Instance) -> tuple[tuple[int, ...], ...]:
    """The positions of all sites in blocks that look alike, as nodes of a kind tend to have similar names."""
    number = -(-len(instance.sites) // LARGEST)
    return tuple(tuple(range(first, len(instance.sites), number)) for first in range(number))


def room(instance: Instance, sites: Sequence[int]) -> Counter[int]:
    """The most pods of each class that the sites could take, each by itself."""
    total: Counter[int] = Counter()
    for s in sites:
        total.update(instance.sites[s].fits)
    return total


def shares(wanted: Mapping[int, int], here: Mapping[int, int], there: Mapping[int, int]) -> dict[int, int]:
    """Of the pods that are still wanted, by class, those that a block may place before the next ones.

    Args:
        wanted: pods without a place.
        here: the room of the block.
        there: the room of the blocks to come.
    """
    return {
        q: -(-count * here[q] // (here[q] + there.get(q, 0))) if here.get(q) else 0
        for q, count in wanted.items()
    }
