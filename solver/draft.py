"""A plan under construction: pods of each class by site, new layouts by GPU class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from solver.instance import Instance, Site
from solver.problem import Counts
from solver.solution import By, Change, Eviction, Reserve, Served, Solution

Slices = Counter[str]


@dataclass(slots=True)
class Draft:
    """Counts only; GPUs and pods get their names when the draft is finished.

    Attributes:
        pods: pods by class, by site, all by position in the instance; every count positive.
        layouts: new layouts by GPU class, by site; sorted, not empty.
        kept: of the pods on a changed site, by class, how many are served by slices that stay; where a site
            is missing, `kept_pods` finds them.
    """

    pods: dict[int, dict[int, int]] = field(default_factory=dict)
    layouts: dict[int, dict[int, tuple[Counts, ...]]] = field(default_factory=dict)
    kept: dict[int, dict[int, int]] = field(default_factory=dict)


def of_solution(instance: Instance, solution: Solution) -> Draft:
    """What of a solution that evicts nobody belongs to the instance: the pods served, and the changes."""
    waiting = [(q, g) for q, g in enumerate(instance.classes) if g.headroom is None and g.tenant is None]
    classes = {pod: q for q, group in waiting for pod in group.pods}
    sites = {site.node.name: s for s, site in enumerate(instance.sites)}
    pods: dict[int, Counter[int]] = defaultdict(Counter)
    layouts: dict[int, dict[int, list[Counts]]] = defaultdict(lambda: defaultdict(list))
    for row in solution.served:
        if row.pod in classes and row.node in sites:
            pods[sites[row.node]][classes[row.pod]] += 1
    for change in solution.changes:
        s = sites.get(change.node, -1)
        for c, gpu in enumerate(instance.sites[s].gpus if s >= 0 else ()):
            if change.gpu in gpu.indexes and not gpu.tenants:
                layouts[s][c].append(change.layout)
    planned = {s: {c: tuple(sorted(new)) for c, new in sorted(of.items())} for s, of in layouts.items()}
    return prune(instance, Draft({s: dict(sorted(here.items())) for s, here in pods.items()}, planned))


def asked(instance: Instance, pods: Mapping[int, int]) -> Slices:
    """The slices that the pods (count by class) ask for together."""
    total: Slices = Counter()
    for q, count in pods.items():
        for name, each in instance.classes[q].slices:
            total[name] += each * count
    return total


def surviving(site: Site, changed: Mapping[int, tuple[Counts, ...]]) -> Slices:
    """The free slices of a site that stay as they are."""
    left = Counter(site.free)
    for c, layouts in changed.items():
        for name, count in site.gpus[c].layout:
            left[name] -= count * len(layouts)
    return left


def made(changed: Mapping[int, tuple[Counts, ...]]) -> Slices:
    """The slices that the changed GPUs get."""
    new: Slices = Counter()
    for layouts in changed.values():
        for layout in layouts:
            new.update(dict(layout))
    return new


def covers(supply: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether the supply has no less of anything than is wanted."""
    return all(supply.get(name, 0) >= count for name, count in wanted.items())


def evicted(site: Site, changed: Iterable[int]) -> frozenset[int]:
    """The tenants, by their positions, that must go before these GPU classes change."""
    return frozenset(tenant for c in changed for tenant in site.gpus[c].tenants)


def kept_pods(instance: Instance, draft: Draft, s: int) -> dict[int, int]:
    """Of the pods on a site, by class, those that slices which stay serve; no further pod would fit there.

    Where that leaves fewer pods to the change than the node's `min_benefit`, other orders are tried: the pods
    with the most slices first, then those with the fewest.
    """
    site, pods, changed = instance.sites[s], draft.pods.get(s, {}), draft.layouts.get(s, {})
    if not changed:
        return pods
    if any(site.gpus[c].anew for c in changed):
        return {}
    if s in draft.kept:
        return draft.kept[s]
    size = {q: sum(count for _, count in instance.classes[q].slices) for q in pods}
    orders = (
        sorted(pods),
        sorted(pods, key=lambda q: (-size[q], q)),
        sorted(pods, key=lambda q: (size[q], q)),
    )
    choices = [_fill(instance, surviving(site, changed), pods, order) for order in orders]
    enough = (kept for kept in choices if _beyond(instance, pods, kept) >= site.node.min_benefit)
    return next(enough, choices[0])


def benefit(instance: Instance, draft: Draft, s: int) -> int:
    """How many pods the change of a site serves, beyond those that slices which stay serve."""
    return _beyond(instance, draft.pods.get(s, {}), kept_pods(instance, draft, s))


def _beyond(instance: Instance, pods: Mapping[int, int], kept: Mapping[int, int]) -> int:
    """The pods that are not kept; replacements of tenants are no gain."""
    return sum(n - kept.get(q, 0) for q, n in pods.items() if instance.classes[q].tenant is None)


def served(instance: Instance, draft: Draft) -> list[Served]:
    """Who is served where: of each class the first in order, those on slices that stay before the others."""
    return [
        Served(pod, name, By.RESHAPE if reshaped else By.FREE)
        for q, where in _placed(instance, draft).items()
        if instance.classes[q].headroom is None and instance.classes[q].tenant is None
        for pod, (reshaped, name) in zip(instance.classes[q].pods, sorted(where.elements()), strict=False)
    ]


def reserved(instance: Instance, draft: Draft) -> list[Reserve]:
    """What is kept free of headroom, and where."""
    return [
        Reserve(headroom, name, By.RESHAPE if reshaped else By.FREE, count)
        for q, where in _placed(instance, draft).items()
        if (headroom := instance.classes[q].headroom) is not None
        for (reshaped, name), count in where.items()
        if count
    ]


def evictions(instance: Instance, draft: Draft) -> list[Eviction]:
    """Who is evicted from where, and the place of each replacement."""
    home = {
        tenant: instance.sites[s].node.name
        for s, changed in draft.layouts.items()
        for tenant in evicted(instance.sites[s], changed)
    }
    return [
        Eviction(instance.classes[q].pods[0], home[tenant], name, By.RESHAPE if reshaped else By.FREE)
        for q, where in _placed(instance, draft).items()
        if (tenant := instance.classes[q].tenant) is not None
        for reshaped, name in where.elements()
    ]


def _placed(instance: Instance, draft: Draft) -> dict[int, Counter[tuple[bool, str]]]:
    """The pods of each class by whether the change serves them, and by node."""
    places: dict[int, Counter[tuple[bool, str]]] = defaultdict(Counter)
    for s, pods in draft.pods.items():
        kept, name = kept_pods(instance, draft, s), instance.sites[s].node.name
        for q, count in pods.items():
            stay = kept.get(q, 0)
            places[q][False, name] += stay
            places[q][True, name] += count - stay
    return places


def changes(instance: Instance, draft: Draft) -> list[Change]:
    """Which GPUs change to what: of each GPU class those with the lowest index."""
    return [
        Change(instance.sites[s].node.name, gpu, layout)
        for s, changed in draft.layouts.items()
        for c, layouts in changed.items()
        for gpu, layout in zip(instance.sites[s].gpus[c].indexes, sorted(layouts), strict=False)
    ]


def spare(instance: Instance, draft: Draft) -> int:
    """Squared memory units of the instances on changed GPUs that stay free; pods take other slices first."""
    total = 0
    for s, changed in draft.layouts.items():
        site, wanted = instance.sites[s], asked(instance, draft.pods.get(s, {}))
        old, new = surviving(site, changed), made(changed)
        for name, count in new.items():
            total += site.weights[name] * min(count, old[name] + count - wanted[name])
    return total


def prune(instance: Instance, draft: Draft) -> Draft:
    """The draft without needless changes: of a node or GPU whose old layout serves the same pods."""
    layouts = {}
    for s, planned in draft.layouts.items():
        site, wanted = instance.sites[s], asked(instance, draft.pods.get(s, {}))
        changed = {c: list(new) for c, new in planned.items()}
        while (undo := _needless(site, changed, wanted)) is not None:
            c, layout = undo
            changed[c].remove(layout)
        if not covers(site.free, wanted):
            layouts[s] = {c: tuple(sorted(new)) for c, new in changed.items() if new}
    kept = {s: kept for s, kept in draft.kept.items() if layouts.get(s) == draft.layouts.get(s)}
    return Draft(draft.pods, layouts, kept)


def _fill(instance: Instance, room: Slices, pods: Mapping[int, int], order: Iterable[int]) -> dict[int, int]:
    kept = {}
    for q in order:
        slices = instance.classes[q].slices
        count = min((pods[q], *(room[name] // each for name, each in slices)))
        kept[q] = max(0, count)
        for name, each in slices:
            room[name] -= each * kept[q]
    return kept


def _needless(
    site: Site, changed: Mapping[int, list[Counts]], wanted: Mapping[str, int]
) -> tuple[int, Counts] | None:
    now = {c: tuple(new) for c, new in changed.items()}
    supply = surviving(site, now)
    supply.update(made(now))
    for c, layouts in sorted(now.items(), reverse=True):
        for layout in sorted(set(layouts)):
            undone = Counter(supply)
            undone.subtract(dict(layout))
            undone.update(dict(site.gpus[c].layout))
            if covers(undone, wanted):
                return c, layout
    return None
