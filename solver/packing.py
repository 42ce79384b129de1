"""Which multisets of GPU instances fit on an empty GPU, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

Multiset = tuple[tuple[str, int], ...]
"""(name, count) sorted by name, every count positive."""

Placement = tuple[str, int]
"""A GPU instance: (profile, start in memory units)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of GPU instance.

    Attributes:
        name: as mig-parted spells it.
        compute: compute slices.
        size: memory units that one instance covers.
        starts: the memory units where an instance may begin, ascending.
        max_count: how many instances one GPU takes.
        engines: media engines that one instance takes: (engine, count) sorted by engine.
        gi_id: NVML's GPU instance profile id; None where unknown.
    """

    name: str
    compute: int
    size: int
    starts: tuple[int, ...]
    max_count: int
    engines: Multiset = ()
    gi_id: int | None = None


def multiset(items: Mapping[str, int] | Multiset) -> Multiset:
    """The canonical form: sorted by name, without zero counts."""
    pairs = items.items() if isinstance(items, Mapping) else items
    return tuple(sorted((name, count) for name, count in pairs if count))


@cache
def legal_multisets(profiles: tuple[Profile, ...], limits: Multiset) -> dict[Multiset, frozenset[int]]:
    """Every multiset that disjoint placements realise, with the memory units (bit masks) they can cover.

    Grown one instance at a time: at most 128 multisets and 256 masks on the known models.

    Args:
        profiles: what may be placed.
        limits: totals of the whole GPU: "compute" (slices) and each media engine.
    """
    found: dict[Multiset, frozenset[int]] = {(): frozenset({0})}
    frontier = dict(found)
    while frontier:
        grown: dict[Multiset, set[int]] = {}
        for layout, masks in frontier.items():
            for profile in profiles:
                bigger = _with_one_more(layout, profile.name)
                if not _within(profiles, limits, bigger):
                    continue
                covered = {mask | bits for mask in masks for bits in _bits(profile) if not mask & bits}
                if covered:
                    grown.setdefault(bigger, set()).update(covered)
        frontier = {layout: frozenset(masks) for layout, masks in grown.items()}
        found.update(frontier)
    return found


@cache
def maximal(
    profiles: tuple[Profile, ...],
    limits: Multiset,
    allowed: frozenset[str],
    refused: frozenset[Multiset] = frozenset(),
) -> tuple[Multiset, ...]:
    """The legal multisets of allowed profiles to which no further allowed instance can be added, sorted."""
    legal = legal_multisets(profiles, limits).keys() - refused
    within = [layout for layout in legal if all(name in allowed for name, _ in layout)]
    names = sorted(allowed)
    return tuple(sorted(m for m in within if not any(_with_one_more(m, name) in legal for name in names)))


def place(profiles: tuple[Profile, ...], layout: Multiset, free: int) -> tuple[Placement, ...] | None:
    """Disjoint placements for the instances of `layout` within the memory units `free` (a bit mask).

    None where there are none; counts and engines are not looked at.
    """
    if not layout:
        return ()
    have = dict(layout)
    profile = max((p for p in profiles if p.name in have), key=lambda p: (p.size, p.name))
    have[profile.name] -= 1
    for start, bits in zip(profile.starts, _bits(profile), strict=True):
        if bits & free == bits and (rest := place(profiles, multiset(have), free & ~bits)) is not None:
            return ((profile.name, start), *rest)
    return None


def _bits(profile: Profile) -> Iterator[int]:
    return (((1 << profile.size) - 1) << start for start in profile.starts)


def _with_one_more(layout: Multiset, name: str) -> Multiset:
    have = dict(layout)
    have[name] = have.get(name, 0) + 1
    return tuple(sorted(have.items()))


def _within(profiles: tuple[Profile, ...], limits: Multiset, layout: Multiset) -> bool:
    """Whether no profile's `max_count` and no total of the whole GPU is exceeded."""
    left = dict(limits)
    by_name = {p.name: p for p in profiles}
    for name, count in layout:
        profile = by_name[name]
        if count > profile.max_count:
            return False
        for what, each in (("compute", profile.compute), *profile.engines):
            left[what] -= count * each
    return min(left.values()) >= 0
