"""Whether the GPUs of a node can be cut so that they hold certain slices, whatever other pods want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from solver.geometry import Geometry
from solver.known import most_slices
from solver.problem import Counts, Node

_Vector = tuple[int, ...]


def possible(geometries: Sequence[Geometry], need: Counts) -> bool:
    """GPUs like these, cut anew, can hold the slices together."""
    return _holds(tuple(geometry.maximal_multisets() for geometry in geometries), need)


def most(geometries: Iterable[Geometry], profile: str) -> int:
    """How many slices of a profile GPUs like these can hold together."""
    return sum(_most(geometry, profile) for geometry in geometries)


def reachable(node: Node, need: Counts) -> bool:
    """The node can come to offer the slices together: free ones, and those of GPUs that may change.

    The policy's profiles count, other pods and `min_benefit` do not.
    """
    if len(need) == 1:
        ((profile, count),) = need
        return most_slices(node).get(profile, 0) >= count
    fixed = dict(node.free)
    options: list[tuple[Counts, ...]] = []
    for gpu in node.gpus:
        if not gpu.changeable or (gpu.layout is None and not node.mode_change):
            continue
        for profile, count in gpu.layout or ():
            fixed[profile] = fixed.get(profile, 0) - count
        options.append((gpu.layout or (), *gpu.geometry.maximal_multisets(node.profiles)))
    rest = tuple((profile, count - fixed.get(profile, 0)) for profile, count in need)
    return _holds(tuple(options), tuple((profile, count) for profile, count in rest if count > 0))


@cache
def _most(geometry: Geometry, profile: str) -> int:
    return max((dict(layout).get(profile, 0) for layout in geometry.maximal_multisets()), default=0)


@cache
def _holds(options: tuple[tuple[Counts, ...], ...], need: Counts) -> bool:
    """One option a GPU can be chosen so that together they cover the need."""
    profiles = [profile for profile, _ in need]
    vectors = [_vectors(layouts, profiles) for layouts in options]
    bounds = (sum(max((v[i] for v in gpu), default=0) for gpu in vectors) for i in range(len(profiles)))
    if any(count > bound for (_, count), bound in zip(need, bounds, strict=True)):
        return False
    nothing: _Vector = (0,) * len(need)
    open_needs: set[_Vector] = {tuple(count for _, count in need)}
    for gpu in vectors:
        if nothing in open_needs:
            break
        met = {
            tuple(max(0, want - have) for want, have in zip(rest, vector, strict=True))
            for rest in open_needs
            for vector in gpu
        }
        open_needs = {rest for rest in met if not any(_covers(rest, other) for other in met if other != rest)}
    return nothing in open_needs


def _vectors(layouts: Iterable[Counts], profiles: Sequence[str]) -> list[_Vector]:
    """The layouts' counts of these profiles, without those that another one covers."""
    found = {tuple(dict(layout).get(profile, 0) for profile in profiles) for layout in layouts}
    return sorted(v for v in found if not any(_covers(other, v) for other in found if other != v))


def _covers(more: _Vector, less: _Vector) -> bool:
    return all(a >= b for a, b in zip(more, less, strict=True))
