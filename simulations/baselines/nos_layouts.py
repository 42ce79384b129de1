"""The layouts that nos may give a GPU: those that it ships, or every one there is."""

from __future__ import annotations

from collections import Counter
from functools import cache

from solver.geometry import Geometry
from solver.problem import Counts, counts

_SHIPPED = {
    7: ({1: 7}, {1: 2, 2: 1, 3: 1}, {3: 2}, {1: 1, 2: 3}, {7: 1}, {1: 4, 3: 1}),
    4: ({1: 4}, {1: 2, 2: 1}, {2: 2}, {4: 1}),
}
"""how many instances of how many compute slices, by the GPU's compute slices: as for A100 and A30"""


@cache
def layouts(geometry: Geometry, allowed: frozenset[str] | None, *, complete: bool) -> tuple[Counts, ...]:
    """What a GPU of this model may be cut into, in a fixed order.

    Args:
        geometry: of the GPU.
        allowed: the profiles that may be used; None for all.
        complete: somebody has configured every layout without media extensions that has no room left; else
            only those that nos ships for an A100 or A30, under this model's names.
    """
    plain = frozenset(name for name in geometry.names if "+" not in name)
    usable = plain if allowed is None else plain & allowed
    every = geometry.maximal_multisets(plain)
    if not complete:
        smallest = _smallest(geometry, plain)
        shapes = _SHIPPED.get(geometry.compute_slices, ())
        named = (counts(Counter({smallest.get(c, ""): n for c, n in shape.items()})) for shape in shapes)
        every = tuple(layout for layout in named if geometry.legal(layout)) or every
    return tuple(layout for layout in every if all(name in usable for name, _ in layout))


def _smallest(geometry: Geometry, plain: frozenset[str]) -> dict[int, str]:
    """Of each number of compute slices the profile with the least memory."""
    ordered = sorted(geometry.profiles, key=lambda profile: (-profile.size, profile.name))
    return {profile.compute: profile.name for profile in ordered if profile.name in plain}
