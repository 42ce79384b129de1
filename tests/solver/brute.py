"""The best plan for tiny clusters by trying everything.

It imports nothing of the product and reads one file of data, the table of GPU models: plain dicts in, plain
numbers out, so that it can judge the solver's problems and whole snapshots alike.

A node is `{"name", "gpus": [{"model", "layout": {profile: n} or None, "changeable"}], "free": {profile: n},
"resources": {name: n}, "profiles": [names] or None, "minBenefit": n, "modeChange": bool}`, a pod is
`{"name", "priority", "slices": {profile: n}, "resources": {name: n}, "nodes": [names]}`. It
counts for "weight" (1 where that is missing) and goes before its priority's others where "starved" is true.
Headroom is `{"profile", "count", "nodes": [names]}`: so many slices are wanted free, below every pod.
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


def optimum(nodes, pods, headroom=()):
    """The best plan's levels: `{"served": {(priority, starved): n}, "nodes": n, "gpus": n, "spare": n}`.

    Where headroom is asked for also `"headroom": n`, how many of its slices are free.
    """
    wanted = [*pods, *(phantom for one in headroom for phantom in _phantoms(one))]
    best = {0: (0, 0, 0)}  # cheapest (nodes, GPUs, -spare) for each set of pods served, as bit mask
    for node in nodes:
        outcomes = node_outcomes(node, wanted)
        merged = {}
        for mask, cost in best.items():
            for more, price in outcomes.items():
                if not mask & more:
                    total = tuple(a + b for a, b in zip(cost, price, strict=True))
                    merged[mask | more] = min(total, merged.get(mask | more, total))
        best = merged
    ranks = sorted({rank_of(pod) for pod in pods}, reverse=True)

    def served(mask):
        chosen = [pod for i, pod in enumerate(pods) if mask >> i & 1]
        by_rank = (sum(pod.get("weight", 1) for pod in chosen if rank_of(pod) == rank) for rank in ranks)
        return *by_rank, (mask >> len(pods)).bit_count()

    mask = max(best, key=lambda m: (served(m), tuple(-part for part in best[m])))
    changed, gpus, spare = best[mask]
    *by_rank, kept = served(mask)
    return {
        "served": dict(zip(ranks, by_rank, strict=True)),
        **({"headroom": kept} if headroom else {}),
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


def node_outcomes(node, pods):
    """The cheapest (1 if the node changes, GPUs changed, -spare) for each set of pods it can serve."""
    names = sorted({name for pod in pods if node["name"] in pod["nodes"] for name in pod["slices"]})
    sets = {
        mask: tuple(sum(pods[i]["slices"].get(name, 0) for i in members) for name in names)
        for mask, members in _subsets(node, pods)
    }
    free = tuple(node["free"].get(name, 0) for name in names)
    sizes = _sizes(node)
    weights = tuple(sizes.get(name, 0) ** 2 for name in names)
    outcomes = {mask: (0, 0, 0) for mask, wanted in sets.items() if _within(wanted, free)}
    shares = {}
    for choice in itertools.product(*(_options(node, gpu, names, sizes) for gpu in node["gpus"])):
        changed = [option for option in choice if option is not None]
        if not changed:
            continue
        surviving = _minus(free, *(old for old, _, _, _ in changed))
        made = tuple(map(sum, zip(*(new for _, new, _, _ in changed), strict=True)))
        supply = _plus(surviving, made)
        unasked = sum(rest for _, _, rest, _ in changed)
        undone = [_plus(_minus(supply, new), old) for old, new, _, _ in changed]
        switched = any(off for _, _, _, off in changed)
        if (surviving, switched) not in shares:
            shares[surviving, switched] = _benefits(sets, surviving, switched)
        benefits = shares[surviving, switched]
        for mask, wanted in sets.items():
            if (
                _within(wanted, supply)
                and benefits[mask] >= node["minBenefit"]
                and not _within(wanted, free)
                and not any(_within(wanted, other) for other in undone)
            ):
                left = (min(n, s - w) * v for n, s, w, v in zip(made, supply, wanted, weights, strict=True))
                price = (1, len(changed), -unasked - sum(left))
                outcomes[mask] = min(price, outcomes.get(mask, price))
    return outcomes


def _subsets(node, pods):
    """The sets of pods that may run here and whose other resources fit together: (bit mask, members)."""
    here = [i for i, pod in enumerate(pods) if node["name"] in pod["nodes"]]
    for size in range(len(here) + 1):
        for members in itertools.combinations(here, size):
            asked = {name for i in members for name in pods[i]["resources"]}
            if all(
                sum(pods[i]["resources"].get(name, 0) for i in members) <= node["resources"].get(name, 0)
                for name in asked
            ):
                yield sum(1 << i for i in members), members


def _options(node, gpu, names, sizes):
    """What can become of a GPU: None (nothing), or (old, new, worth of the rest of new, was its mode off).

    Layouts that agree on the profiles anybody asks for differ in what the rest is worth only: the best stays.
    """
    off = gpu["layout"] is None
    if not gpu["changeable"] or (off and not node["modeChange"]):
        return [None]
    present = gpu["layout"] or {}
    allowed = None if node["profiles"] is None else frozenset(node["profiles"])
    old = tuple(present.get(name, 0) for name in names)
    best = {}
    for layout in maximal(gpu["model"], allowed):
        if layout and layout != gpu["layout"]:
            new = tuple(layout.get(name, 0) for name in names)
            rest = sum(count * sizes[name] ** 2 for name, count in layout.items() if name not in names)
            best[new] = max(rest, best.get(new, rest))
    return [None, *((old, new, rest, off) for new, rest in sorted(best.items()))]


def _sizes(node):
    sizes = {}
    for gpu in node["gpus"]:
        for row in models()[gpu["model"]]["profiles"]:
            sizes[row["name"]] = min(row["size"], sizes.get(row["name"], row["size"]))
    return sizes


def _benefits(sets, surviving, switched):
    """For each set of pods the most that can count as served by the change.

    The others must be served by slices that survive, and none that counts may fit what the others leave of
    these. A mode change leaves no slice: there all pods count.
    """
    if switched:
        return {mask: mask.bit_count() for mask in sets}
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
                    best = max(best, len(others))
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
