"""Which layouts of a GPU can be part of a best plan."""

from __future__ import annotations

from functools import cache

from solver.geometry import Geometry
from solver.problem import Counts


@cache
def worthwhile(
    geometry: Geometry,
    allowed: frozenset[str] | None,
    asked: frozenset[str],
    weights: Counts,
    merge_only: bool,
    without: Counts | None = None,
) -> tuple[Counts, ...]:
    """The maximal multisets that can be part of a best plan.

    Only the asked profiles tell packings apart; of those that agree there the one with the best leftovers
    stays. A packing goes where another has no less of any asked profile and no worse leftovers in all: what
    pods take from it they can take from the other, and the instances that stay free count no less.

    Args:
        geometry: of the GPU.
        allowed: profiles that a layout may use; None for all.
        asked: profiles that pods ask for.
        weights: what an instance that stays free counts for, by profile.
        merge_only: keep packings that others dominate, and only merge those that agree on the asked profiles.
        without: a packing to leave out.
    """
    value = dict(weights)
    compute = {profile.name: profile.compute for profile in geometry.profiles}
    best: dict[Counts, tuple[tuple[int, int, int], Counts]] = {}
    for packing in geometry.maximal_multisets(allowed):
        seen = tuple((name, count) for name, count in packing if name in asked)
        if seen and packing != without:
            worth = sum(value[name] * count for name, count in packing)
            # Among equals plain profiles, for nobody asked for an attribute, then the most compute slices.
            plain = -sum(count for name, count in packing if "+" in name or "-" in name)
            slices = sum(compute[name] * count for name, count in packing)
            if seen not in best or (worth, plain, slices) > best[seen][0]:
                best[seen] = (worth, plain, slices), packing
    return tuple(
        sorted(
            packing
            for seen, ((worth, _, _), packing) in best.items()
            if merge_only or not any(_dominates(other, best[other][0][0], seen, worth) for other in best)
        )
    )


def _dominates(other: Counts, other_value: int, seen: Counts, value: int) -> bool:
    more = dict(other)
    covers = all(more.get(name, 0) >= count for name, count in seen)
    return other != seen and other_value >= value and covers
