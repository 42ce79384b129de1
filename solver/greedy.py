"""A good plan at once: free slices first, then the cheapest reshapes, less whatever proves needless."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable

from solver.draft import Draft, benefit, prune
from solver.instance import Instance
from solver.merit import merit
from solver.room import Room

_Order = Callable[[Instance, int], tuple[int, ...]]


def draft(instance: Instance) -> Draft:
    """The best of three greedy plans, which differ in the order of the classes within a rank.

    No order dominates the others: large pods first wastes least, small pods first serves most, and the pods
    with the fewest sites first saves those that cannot go elsewhere.
    """
    orders: tuple[_Order, ...] = (_largest, _smallest, _scarcest)
    return max((_one(instance, order) for order in orders), key=lambda plan: merit(instance, plan).score)


def free(instance: Instance) -> Draft:
    """A plan that changes nothing: free slices go to the more important, then the larger pods."""
    rooms = [Room(instance, s, changeable=False) for s in range(len(instance.sites))]
    for q in sorted(
        range(len(instance.classes)), key=lambda q: (instance.classes[q].rank, _largest(instance, q))
    ):
        wanted = len(instance.classes[q].pods)
        for room in rooms:
            while wanted and q in room.needs and room.fits(q):
                room.take(q)
                wanted -= 1
    return Draft({s: dict(sorted(room.pods.items())) for s, room in enumerate(rooms) if room.pods})


def _largest(instance: Instance, q: int) -> tuple[int, ...]:
    return -_size(instance, q), q


def _smallest(instance: Instance, q: int) -> tuple[int, ...]:
    return _size(instance, q), q


def _scarcest(instance: Instance, q: int) -> tuple[int, ...]:
    return sum(site.fits.get(q, 0) for site in instance.sites), -_size(instance, q), q


def _size(instance: Instance, q: int) -> int:
    """Memory units of one pod of the class, on the site where they are fewest."""
    slices = instance.classes[q].slices
    sites = (site for site in instance.sites if q in site.fits)
    return min(sum(count * site.weights.get(name, 1) for name, count in slices) for site in sites)


def _one(instance: Instance, order: _Order) -> Draft:
    """One greedy plan. Sites whose change would serve too few pods may not change in another attempt."""
    frozen: set[int] = set()
    while True:
        plan = _relocated(instance, _filled(instance, order, frozen))
        poor = {s for s in plan.layouts if benefit(instance, plan, s) < instance.sites[s].node.min_benefit}
        if not poor:
            return plan
        frozen |= poor


def _filled(instance: Instance, order: _Order, frozen: set[int]) -> list[Room]:
    rooms = [Room(instance, s, s not in frozen) for s in range(len(instance.sites))]
    sites: dict[int, list[int]] = defaultdict(list)
    for s, site in enumerate(instance.sites):
        for q in site.fits:
            sites[q].append(s)
    keys = {q: (instance.classes[q].rank, *order(instance, q)) for q in range(len(instance.classes))}
    for q in sorted(keys, key=keys.__getitem__):
        _serve(rooms, sites[q], q, len(instance.classes[q].pods))
    return rooms


def _serve(rooms: list[Room], sites: list[int], q: int, wanted: int) -> None:
    """Place as many of the `wanted` pods of class `q` as go, one at a time at the best price."""
    heap = []
    for s in sites:
        if (offer := rooms[s].offer(q, wanted)) is not None:
            heap.append((offer.price, s, offer.steps))
    heapq.heapify(heap)
    while heap and wanted:
        _, s, steps = heapq.heappop(heap)
        rooms[s].take(q, steps)
        wanted -= 1
        if wanted and (offer := rooms[s].offer(q, wanted)) is not None:
            heapq.heappush(heap, (offer.price, s, offer.steps))


def _relocated(instance: Instance, rooms: list[Room]) -> Draft:
    """The rooms as a draft, after closing every changed site whose pods free slices elsewhere can take."""
    order = sorted(range(len(rooms)), key=lambda s: (rooms[s].pods.total(), s))
    for s in order:
        if rooms[s].changed:
            _close(instance, rooms, s)
    return prune(
        instance,
        Draft(
            {
                s: {q: n for q, n in sorted(room.pods.items()) if n}
                for s, room in enumerate(rooms)
                if room.pods.total()
            },
            {s: room.layouts() for s, room in enumerate(rooms) if room.changed},
        ),
    )


def _close(instance: Instance, rooms: list[Room], s: int) -> None:
    unchanged = Room(instance, s, changeable=False)
    moved: list[tuple[Room, int]] = []
    for q in sorted(rooms[s].pods.elements()):
        for room in (unchanged, *rooms[:s], *rooms[s + 1 :]):
            if q in room.needs and room.fits(q):
                room.take(q)
                moved.append((room, q))
                break
        else:
            for room, p in moved:
                room.drop(p)
            return
    rooms[s] = unchanged
