"""Random clusters larger than a brute force can judge."""

from solver.geometry import models
from solver.problem import Gpu, Node, Pod, Problem, counts

GEOMETRIES = {geometry.model: geometry for geometry in models()}


def rack(rng, nodes, waiting):
    """Nodes of eight GPUs, half of them idle, and pods of which about a third want a model of their own."""
    kinds = ("A100-40GB", "H100-80GB", "H200-141GB", "A30-24GB")
    built = [_busy_node(rng, f"node-{i:03}", GEOMETRIES[rng.choice(kinds)]) for i in range(nodes)]
    by_kind = {kind: [n.name for n in built if n.gpus[0].geometry.model == kind] for kind in kinds}
    every = [n.name for n in built]
    demand = []
    for i in range(waiting):
        kind = rng.choice(kinds)
        slices = {rng.choice(_plain(GEOMETRIES[kind])): 2 if rng.random() < 0.1 else 1}
        here = every if rng.random() < 0.6 else by_kind[kind]
        cpu = rng.choice([1, 2, 4, 8])
        demand.append(Pod(f"team/p{i:04}", 0, counts(slices), (("cpu", cpu),), frozenset(here), i))
    return Problem(tuple(built), tuple(demand))


def _busy_node(rng, name, geometry):
    free, gpus_ = {}, []
    for index in range(8):
        layout = rng.choice(geometry.maximal_multisets(frozenset(_plain(geometry))))
        idle = rng.random() < 0.5
        for profile, count in layout:
            left = count if idle else sum(rng.random() < 0.2 for _ in range(count))
            free[profile] = free.get(profile, 0) + left
        gpus_.append(Gpu(index, geometry, layout, idle))
    cpu = rng.choice([32, 64, 128])
    return Node(name, tuple(gpus_), counts(free), (("cpu", cpu),), frozenset(_plain(geometry)))


def _plain(geometry):
    return sorted(name for name in geometry.names if "+" not in name)
