"""What the search placed, as a draft: layouts get their GPUs, and every rule is looked at again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from solver.draft import Draft, asked, benefit, covers, made, prune, surviving
from solver.geometry import Geometry
from solver.instance import Instance, Site
from solver.linear.program import Placed
from solver.linear.rounding import Plan
from solver.problem import Counts


def draft(instance: Instance, plan: Plan) -> Draft:
    """The plan as a legal draft, but for `min_benefit`: pods that do not fit after all are left out."""
    found = Draft()
    for s, placed in sorted(plan.items()):
        site = instance.sites[s]
        layouts = _layouts(site, placed)
        supply = surviving(site, layouts)
        supply.update(made(layouts))
        if pods := _fitting(instance, site, placed.pods, supply):
            found.pods[s] = pods
            if layouts:
                found.layouts[s] = layouts
    return prune(instance, found)


def poor(instance: Instance, found: Draft) -> dict[int, int]:
    """The changed sites whose change serves fewer pods than their node asks for, and how many fewer."""
    lacks = {s: instance.sites[s].node.min_benefit - benefit(instance, found, s) for s in found.layouts}
    return {s: lack for s, lack in sorted(lacks.items()) if lack > 0}


def placed(instance: Instance, found: Draft) -> Plan:
    """A draft in the words of the search."""
    plan: Plan = {}
    for s, pods in found.pods.items():
        here = Placed(pods=dict(pods))
        for c, layouts in found.layouts.get(s, {}).items():
            here.changed[c] = len(layouts)
            packed = here.packed.setdefault(instance.sites[s].gpus[c].geometry, Counter())
            packed.update(layouts)
        plan[s] = here
    return plan


def _layouts(site: Site, placed: Placed) -> dict[int, tuple[Counts, ...]]:
    """New layouts by GPU class; a GPU whose layout is among the new ones simply keeps it."""
    alike: defaultdict[Geometry, list[int]] = defaultdict(list)
    for c in placed.changed:
        alike[site.gpus[c].geometry].append(c)
    found: dict[int, tuple[Counts, ...]] = {}
    for geometry, members in alike.items():
        pool = Counter(placed.packed.get(geometry, {}))
        left = {c: placed.changed[c] for c in sorted(members)}
        for c in left:
            same = min(left[c], pool[site.gpus[c].layout])
            left[c] -= same
            pool[site.gpus[c].layout] -= same
        queue = sorted(pool.elements())
        for c, count in left.items():
            new, queue = queue[:count], queue[count:]
            if new:
                found[c] = tuple(sorted(new))
    return dict(sorted(found.items()))


def _fitting(
    instance: Instance, site: Site, pods: Mapping[int, int], supply: Mapping[str, int]
) -> dict[int, int]:
    """The pods that fit, in exact numbers; of those that do not, few and the least important go."""
    kept = dict(sorted(pods.items()))
    left = dict(site.node.resources)
    while kept:
        wanted = asked(instance, kept)
        resources: Counter[str] = Counter()
        for q, count in kept.items():
            for name, each in instance.classes[q].resources:
                resources[name] += each * count
        short = {name for name, count in wanted.items() if supply.get(name, 0) < count}
        tight = {name for name, count in resources.items() if left.get(name, 0) < count}
        if covers(supply, wanted) and not tight:
            break
        guilty = [q for q in kept if _uses(instance, q, short, tight)]
        kept[guilty[-1]] -= 1
        kept = {q: count for q, count in kept.items() if count}
    return kept


def _uses(instance: Instance, q: int, slices: set[str], resources: set[str]) -> bool:
    group = instance.classes[q]
    return any(name in slices for name, _ in group.slices) or any(
        name in resources for name, _ in group.resources
    )
