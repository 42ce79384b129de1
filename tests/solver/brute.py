"""The best plan for tiny clusters by trying everything.

It imports nothing of the product and reads one file of data, the table of GPU models: plain dicts in, plain
numbers out, so that it can judge the solver's problems and whole snapshots alike.

A node is `{"name", "gpus": [{"model", "layout": {profile: n} or None, "changeable"}], "free": {profile: n},
"resources": {name: n}, "profiles": [names] or None, "minBenefit": n, "modeChange": bool}`, a pod is
`{"name", "priority", "slices": {profile: n}, "resources": {name: n}, "nodes": [names]}`. It
counts for "weight" (1 where that is missing) and goes before its priority's others where "starved" is true.
Headroom is `{"profile", "count", "nodes": [names]}`: so many slices are wanted free, below every pod. A
tenant is `{"name", "priority", "slices", "resources", "nodes"}`; a GPU may have "tenants": [names] and then
"idle": {profile: n}, what of its layout is free: it may change only where all of them are evicted.
"""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parents[2] / "solver" / "data" / "mig_profiles.json"


@cache
def models():
    return {record["model"]: record for record in json.loads(TABLE.read_text(encoding="utf-8"))}


@cache
def placement_sets(model):
    """Every set of disjoint placements that the GPU's limits allow, as sorted tuples of (profile, start)."""
    record = models()[model]
    rows = {row["name"]: row for row in record["profiles"]}
    spots = [(name, start) for name, row in sorted(rows.items()) for start in row["placements"]]
    found = []

    def grow(chosen, first, taken, left):
        found.append(tuple(chosen))
        for position in range(first, len(spots)):
            name, start = spots[position]
            units = set(range(start, start + rows[name]["size"]))
            rest = {engine: left[engine] - rows[name]["engines"][engine] for engine in left}
            count = sum(other == name for other, _ in chosen)
            if not units & taken and min(rest.values()) >= 0 and count < rows[name]["max_count"]:
                grow([*chosen, spots[position]], position + 1, taken | units, rest)

    grow([], 0, set(), dict(record["engines_total"]))
    return found


@cache
def multisets(model):
    """The multisets of all placement sets, as sorted tuples of names."""
    return {tuple(sorted(name for name, _ in placed)) for placed in placement_sets(model)}


@cache
def maximal(model, allowed):
    """The multisets within `allowed` (a frozenset, None for all) that no larger one contains, as dicts."""
    inside = [m for m in multisets(model) if allowed is None or set(m) <= allowed]
    largest = []
    for m in inside:
        names = {name for other in inside for name in other}
        if not any(tuple(sorted((*m, name))) in multisets(model) for name in names):
            largest.append({name: m.count(name) for name in m})
    return sorted(largest, key=lambda layout: sorted(layout.items()))


def optimum(nodes, pods, headroom=(), tenants=()):
    """The best plan's levels: `{"served": {(priority, starved): n}, "nodes": n, "gpus": n, "spare": n}`.

    Where headroom is asked for also `"headroom": n`, how many of its slices are free, and where there are
    tenants `"evictions": n`.
    """
    wanted = [*pods, *(phantom for one in headroom for phantom in _phantoms(one))]
    first = len(wanted)
    wanted += [{key: one[key] for key in ("name", "slices", "resources", "nodes")} for one in tenants]
    best = {(0, 0): (0, 0, 0)}  # cheapest (nodes, GPUs, -spare) for each set served and set evicted
    for node in nodes:
        outcomes = node_outcomes(node, wanted, {one["name"]: one for one in tenants})
        merged = {}
        for (mask, gone), cost in best.items():
            for (more, leave), price in outcomes.items():
                if not mask & more:
                    key = mask | more, gone | leave
                    total = tuple(a + b for a, b in zip(cost, price, strict=True))
                    merged[key] = min(total, merged.get(key, total))
        best = merged
    best = {mask: cost for (mask, gone), cost in best.items() if mask >> first << first == gone}
    ranks = sorted({rank_of(pod) for pod in pods}, reverse=True)

    def served(mask):
        chosen = [pod for i, pod in enumerate(pods) if mask >> i & 1]
        by_rank = (sum(pod.get("weight", 1) for pod in chosen if rank_of(pod) == rank) for rank in ranks)
        return *by_rank, (mask >> len(pods) & (1 << first - len(pods)) - 1).bit_count()

    def value(mask):
        return *served(mask), -(mask >> first).bit_count(), *(-part for part in best[mask])

    mask = max(best, key=value)
    changed, gpus, spare = best[mask]
    *by_rank, kept = served(mask)
    return {
        "served": dict(zip(ranks, by_rank, strict=True)),
        **({"headroom": kept} if headroom else {}),
        **({"evictions": (mask >> first).bit_count()} if tenants else {}),
        "nodes": changed,
        "gpus": gpus,
        "spare": -spare,
    }


def _phantoms(headroom):
    """A pod for each slice of headroom: it asks for that and for nothing else."""
    phantom = {"slices": {headroom["profile"]: 1}, "resources": {}, "nodes": headroom["nodes"]}
    return [phantom] * headroom["count"]


def rank_of(pod):
    """What is strictly more important is greater."""
    return pod["priority"], pod.get("starved", False)


def node_outcomes(node, pods, tenants):
    """The cheapest (1 if the node changes, GPUs changed, -spare) for each set served and set evicted.

    Replacements of tenants are among the pods, under their names; the second set is of these.
    """
    names = sorted({name for pod in pods if node["name"] in pod["nodes"] for name in pod["slices"]})
    free = tuple(node["free"].get(name, 0) for name in names)
    sizes = _sizes(node)
    weights = tuple(sizes.get(name, 0) ** 2 for name in names)
    known = {}

    def sets_without(evicted):
        if evicted not in known:
            subsets = _subsets(node, pods, tenants, evicted)
            known[evicted] = {mask: _slices(pods, members, names) for mask, members in subsets}
        return known[evicted]

    moved = sum(1 << i for i, pod in enumerate(pods) if pod.get("name") in tenants)
    outcomes = {(mask, 0): (0, 0, 0) for mask, wanted in sets_without(()).items() if _within(wanted, free)}
    shares = {}
    for choice in itertools.product(*(_options(node, gpu, names, sizes) for gpu in node["gpus"])):
        changed = [option for option in choice if option is not None]
        if not changed:
            continue
        evicted = tuple(sorted({name for *_, who in changed for name in who}))
        if not set(evicted) <= tenants.keys():
            continue
        sets = sets_without(evicted)
        surviving = _minus(free, *(old for old, *_ in changed))
        made = tuple(map(sum, zip(*(new for _, new, *_ in changed), strict=True)))
        supply = _plus(surviving, made)
        unasked = sum(rest for _, _, rest, *_ in changed)
        undone = [_plus(_minus(supply, new), old) for old, new, *_ in changed]
        switched = bool(evicted) or any(off for _, _, _, off, _ in changed)
        if (surviving, switched, evicted) not in shares:
            shares[surviving, switched, evicted] = _benefits(sets, surviving, switched, moved)
        benefits = shares[surviving, switched, evicted]
        left_alone = [(tenants[name]["priority"], _without(name, changed, supply)) for name in evicted]
        leave = sum(1 << i for i, pod in enumerate(pods) if pod.get("name") in evicted)
        for mask, wanted in sets.items():
            if (
                _within(wanted, supply)
                and benefits[mask] >= node["minBenefit"]
                and not _within(wanted, free)
                and not any(_within(wanted, other) for other in undone)
                and not any(_within(_above(pods, mask, bar, names), other) for bar, other in left_alone)
            ):
                left = (min(n, s - w) * v for n, s, w, v in zip(made, supply, wanted, weights, strict=True))
                price = (1, len(changed), -unasked - sum(left))
                outcomes[mask, leave] = min(price, outcomes.get((mask, leave), price))
    return outcomes


def _slices(pods, members, names):
    return tuple(sum(pods[i]["slices"].get(name, 0) for i in members) for name in names)


def _without(tenant, changed, supply):
    """The supply where the GPUs that the tenant uses stay as they are."""
    for old, new, _, _, who in changed:
        if tenant in who:
            supply = _plus(_minus(supply, new), old)
    return supply


def _above(pods, mask, priority, names):
    """The slices of those of the pods that wait and have a higher priority."""
    above = [i for i, pod in enumerate(pods) if mask >> i & 1 and pod.get("priority", priority) > priority]
    return _slices(pods, above, names)


def _subsets(node, pods, tenants, evicted):
    """The sets of pods that may run here and whose other resources fit together: (bit mask, members).

    A replacement may be here where its tenant is evicted from here, or nobody is.
    """
    own = {name for gpu in node["gpus"] for name in gpu.get("tenants", ())}
    left = dict(node["resources"])
    for name in evicted:
        for resource, amount in tenants[name]["resources"].items():
            left[resource] = left.get(resource, 0) + amount

    def may_be_here(pod):
        if pod.get("name") not in tenants:
            return True
        return pod["name"] in evicted if pod["name"] in own else not evicted

    here = [i for i, pod in enumerate(pods) if node["name"] in pod["nodes"] and may_be_here(pod)]
    for size in range(len(here) + 1):
        for members in itertools.combinations(here, size):
            asked = {name for i in members for name in pods[i]["resources"]}
            if all(
                sum(pods[i]["resources"].get(name, 0) for i in members) <= left.get(name, 0) for name in asked
            ):
                yield sum(1 << i for i in members), members


def _options(node, gpu, names, sizes):
    """What can become of a GPU: None (nothing), or (old, new, worth of the rest, was its mode off, who goes).

    Layouts that agree on the profiles anybody asks for differ in what the rest is worth only: the best stays.
    """
    off = gpu["layout"] is None
    who = tuple(gpu.get("tenants", ()))
    if not (gpu["changeable"] or who) or (off and not node["modeChange"]):
        return [None]
    present = gpu["idle"] if who else gpu["layout"] or {}
    allowed = None if node["profiles"] is None else frozenset(node["profiles"])
    old = tuple(present.get(name, 0) for name in names)
    best = {}
    for layout in maximal(gpu["model"], allowed):
        if layout and layout != gpu["layout"]:
            new = tuple(layout.get(name, 0) for name in names)
            rest = sum(count * sizes[name] ** 2 for name, count in layout.items() if name not in names)
            best[new] = max(rest, best.get(new, rest))
    return [None, *((old, new, rest, off, who) for new, rest in sorted(best.items()))]


def _sizes(node):
    sizes = {}
    for gpu in node["gpus"]:
        for row in models()[gpu["model"]]["profiles"]:
            sizes[row["name"]] = min(row["size"], sizes.get(row["name"], row["size"]))
    return sizes


def _benefits(sets, surviving, switched, moved):
    """For each set of pods the most that can count as served by the change.

    The others must be served by slices that survive, and none that counts may fit what the others leave of
    these. A mode change leaves no slice: there all pods count, as they do where pods are evicted.
    Replacements, which are those in `moved`, never count.
    """
    if switched:
        return {mask: (mask & ~moved).bit_count() for mask in sets}
    most = {}
    for mask in sets:
        single = [sets[1 << i] for i in range(mask.bit_length()) if mask >> i & 1]
        bits = [1 << i for i in range(mask.bit_length()) if mask >> i & 1]
        best = -1
        kept = mask
        while True:
            if kept in sets and _within(sets[kept], surviving):
                left = _minus(surviving, sets[kept])
                others = [need for bit, need in zip(bits, single, strict=True) if not kept & bit]
                if not any(_within(need, left) for need in others):
                    best = max(best, (mask & ~kept & ~moved).bit_count())
            if kept == 0:
                break
            kept = (kept - 1) & mask
        most[mask] = best
    return most


def _within(wanted, supply):
    return all(w <= s for w, s in zip(wanted, supply, strict=True))


def _plus(first, second):
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _minus(first, *others):
    for other in others:
        first = tuple(a - b for a, b in zip(first, other, strict=True))
    return first
