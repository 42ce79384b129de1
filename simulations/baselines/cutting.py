"""What can still be added to a GPU that is cut as its pods come; one table for all equal GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from solver.geometry import Geometry
from solver.problem import Counts, counts


class Cutting:
    """A GPU that may be cut freely into allowed profiles.

    `given` is always the multiset of slices that pods hold on it already.
    """

    def __init__(self, geometry: Geometry, allowed: frozenset[str] | None) -> None:
        self.units = geometry.memory_slices
        self._sizes = {profile.name: profile.size for profile in geometry.profiles}
        self._layouts = [dict(layout) for layout in geometry.maximal_multisets(allowed) if layout]
        self._grown: dict[tuple[Counts, str], Counts | None] = {}

    def grown(self, given: Counts, profile: str) -> Counts | None:
        """`given` and one more slice; None where no layout holds them together."""
        key = (given, profile)
        if key not in self._grown:
            more = counts({**dict(given), profile: dict(given).get(profile, 0) + 1})
            self._grown[key] = more if any(covers(layout, more) for layout in self._layouts) else None
        return self._grown[key]

    def left(self, given: Counts) -> int:
        """Memory units that the slices leave."""
        return self.units - sum(self._sizes[name] * count for name, count in given)

    def filled(self, given: Counts) -> Counts:
        """A layout that holds the slices and has no room for another: the one with the largest slices."""
        found = [counts(layout) for layout in self._layouts if covers(layout, given)]
        return min(found, key=lambda layout: (-sum(self._sizes[n] ** 2 * c for n, c in layout), layout))


@cache
def cutting(geometry: Geometry, allowed: frozenset[str] | None) -> Cutting:
    """The one table of that GPU and those profiles."""
    return Cutting(geometry, allowed)


def covers(layout: Mapping[str, int], part: Counts) -> bool:
    """The layout has at least the slices of the part."""
    return all(layout.get(name, 0) >= count for name, count in part)
