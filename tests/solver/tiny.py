"""Random tiny clusters as plain dicts, and what the solver calls them."""

from __future__ import annotations

from solver.geometry import models
from solver.problem import Gpu, Headroom, Node, Pod, Problem, Tenant, counts
from tests.solver import brute

GEOMETRIES = {geometry.model: geometry for geometry in models()}


def tiny(rng):
    """A cluster of at most 3 nodes with 2 GPUs each and at most 7 pods, drawn from `rng`: (nodes, pods).

    Most are tight on purpose: pods compete for one GPU, may run on few nodes, and fill a node's cpu.
    """
    mix = rng.choice([["A30-24GB"], ["A30-24GB"], ["H100-80GB"], ["A100-40GB"], ["A100-80GB", "H100-80GB"]])
    if rng.random() < 0.1:
        mix = rng.choice([["RTX-PRO-6000-Blackwell-96GB"], ["A30-24GB", "H100-80GB"]])
    nodes = [_node(rng, f"node-{i}", mix) for i in range(rng.choice([1, 2, 3, 3, 3, 3, 3]))]
    return nodes, _pods(rng, nodes, mix)


def cluster(rng):
    """A cluster that may ask for headroom or have tenants: (nodes, pods, headroom, tenants)."""
    nodes, pods = tiny(rng)
    kind = rng.random()
    if kind < 0.5:
        return nodes, pods, [], []
    if kind < 0.75:
        return nodes, pods[:5], _headroom(rng, nodes, pods[:5]), []
    tenants = [tenant for node in nodes for tenant in _tenants(rng, node, nodes)]
    return nodes, pods[:5], [], tenants


def _headroom(rng, nodes, pods):
    """Headroom of one or two kinds."""
    wanted = sorted({name for pod in pods for name in pod["slices"]})
    return [
        {
            "profile": rng.choice(wanted),
            "count": rng.choice([1, 2]),
            "nodes": sorted(node["name"] for node in rng.sample(nodes, rng.randint(1, len(nodes)))),
        }
        for _ in range(rng.choice([1, 1, 2]))
    ]


def _tenants(rng, node, nodes):
    """Tenants for some of a node's idle GPUs, which are not idle then."""
    names = [other["name"] for other in nodes if other is not node]
    made = []
    for index, gpu in enumerate(node["gpus"]):
        if node["modeChange"] or not gpu["changeable"] or not gpu["layout"] or rng.random() < 0.5:
            continue
        instances = [name for name, count in gpu["layout"].items() for _ in range(count)]
        held = rng.sample(instances, rng.randint(1, min(3, len(instances))))
        for name in held:
            node["free"][name] -= 1
        idle = {name: count - held.count(name) for name, count in gpu["layout"].items()}
        gpu.update(changeable=False, idle={name: count for name, count in idle.items() if count})
        if made and rng.random() < 0.3:
            # a pod on two GPUs
            both = {
                name: made[0]["slices"].get(name, 0) + held.count(name)
                for name in {*made[0]["slices"], *held}
            }
            made[0]["slices"], gpu["tenants"] = both, [made[0]["name"]]
            continue
        parts = [held[:1], held[1:]] if len(held) > 1 and not made and rng.random() < 0.4 else [held]
        for k, part in enumerate(parts):
            home = [node["name"]] if rng.random() < 0.8 else []
            made.append(
                {
                    "name": f"runs/{node['name']}-{index}-{k}",
                    "priority": rng.choice([-5, -5, 0, 50]),
                    "slices": {name: part.count(name) for name in sorted(set(part))},
                    "resources": {"cpu": rng.choice([1, 2]), "pods": 1},
                    "nodes": sorted([*home, *rng.sample(names, rng.randint(0, len(names)))]),
                }
            )
        gpu["tenants"] = [tenant["name"] for tenant in made[-len(parts) :]]
    return made


def problem(nodes, pods, headroom=(), tenants=()):
    """The same cluster as the solver's problem."""
    return Problem(
        tuple(sorted((_solver_node(node) for node in nodes), key=lambda node: node.name)),
        tuple(
            Pod(
                pod["name"],
                pod["priority"],
                counts(pod["slices"]),
                counts(pod["resources"]),
                frozenset(pod["nodes"]),
                pod["order"],
                pod.get("weight", 1),
                pod.get("starved", False),
            )
            for pod in sorted(pods, key=lambda pod: pod["name"])
        ),
        tuple(Headroom(one["profile"], one["count"], frozenset(one["nodes"])) for one in headroom),
        tuple(
            Tenant(
                tenant["name"],
                tenant["priority"],
                counts(tenant["slices"]),
                counts(tenant["resources"]),
                frozenset(tenant["nodes"]),
            )
            for tenant in sorted(tenants, key=lambda tenant: tenant["name"])
        ),
    )


def _node(rng, name, mix):
    model, other = rng.choice(mix), rng.choice(mix)
    mixed = rng.random() < 0.3
    every = mixed or rng.random() < 0.5
    allowed = None if every else _some_profiles(rng, model)
    gpus, free = [], {}
    mode_change = rng.random() < 0.1
    for position in range(rng.choice([1, 2, 2, 2, 2])):
        model = other if mixed and position else model
        off = mode_change and rng.random() < 0.6
        layout = None if off else _layout(rng, model, allowed)
        changeable = mode_change or rng.random() < 0.85
        for profile, count in (layout or {}).items():
            count = count if changeable else sum(rng.random() < 0.3 for _ in range(count))
            free[profile] = free.get(profile, 0) + count
        gpus.append({"model": model, "layout": layout, "changeable": changeable})
    return {
        "name": name,
        "gpus": gpus,
        "free": {profile: count for profile, count in sorted(free.items()) if count},
        "resources": {"cpu": rng.choice([4, 4, 5, 6, 16]), "pods": rng.choice([3, 4, 110])},
        "profiles": allowed,
        "minBenefit": rng.choice([1, 1, 2]),
        "modeChange": mode_change,
    }


def _some_profiles(rng, model):
    plain = [row["name"] for row in brute.models()[model]["profiles"] if "+" not in row["name"]]
    return sorted(rng.sample(plain, min(len(plain), rng.randint(3, 4))))


def _layout(rng, model, allowed):
    if rng.random() < 0.15:
        return {}
    layouts = brute.maximal(model, None if allowed is None or rng.random() < 0.2 else frozenset(allowed))
    return dict(rng.choice(layouts))


def _pods(rng, nodes, mix):
    wanted = sorted({name for model in mix for name in _some_profiles(rng, model)})
    priorities = rng.choice([[0], [0, 100], [0, 100, 100000]])
    names = [node["name"] for node in nodes]
    slices_count, some_starve = rng.random() < 0.4, rng.random() < 0.3
    pods = []
    for i in range(rng.choice([2, 5, 6, 7, 7, 7, 7, 7])):
        slices = {rng.choice(wanted): rng.choice([1, 1, 2, 2])}
        if rng.random() < 0.3:
            slices[rng.choice(wanted)] = 1
        pods.append(
            {
                "name": f"team/pod-{i}",
                "priority": rng.choice(priorities),
                "slices": slices,
                "resources": {"cpu": rng.choice([1, 2, 2, 3]), "pods": 1},
                "nodes": names
                if rng.random() < 0.5
                else sorted(rng.sample(names, rng.randint(1, len(names)))),
                "order": rng.randint(0, 2),
                "weight": _compute(mix, slices) if slices_count else 1,
                "starved": some_starve and rng.random() < 0.3,
            }
        )
    return pods


def _compute(mix, slices):
    """Compute slices that a pod asks for."""
    rows = {row["name"]: row for model in mix for row in brute.models()[model]["profiles"]}
    return sum(count * rows[name]["compute_slices"] for name, count in slices.items())


def _solver_node(node):
    gpus = tuple(
        Gpu(
            index,
            GEOMETRIES[gpu["model"]],
            None if gpu["layout"] is None else counts(gpu["layout"]),
            gpu["changeable"],
            frozenset(gpu.get("tenants", ())),
            counts(gpu.get("idle", {})),
        )
        for index, gpu in enumerate(node["gpus"])
    )
    return Node(
        node["name"],
        gpus,
        counts(node["free"]),
        counts(node["resources"]),
        None if node["profiles"] is None else frozenset(node["profiles"]),
        node["minBenefit"],
        node["modeChange"],
    )
