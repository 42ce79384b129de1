"""Draws nodes with GPUs, how these are cut, and which pods hold slices of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from autoslicer.core import configs
from autoslicer.core.rows import GpuTarget
from benchmarks.scenarios import Scenario
from solver import geometry
from solver.geometry import Geometry
from solver.problem import Counts

GIB = 1 << 30
GPUS = 8
"""a node"""
ZONES = ("zone-a", "zone-b", "zone-c")
POOLS = ("batch", "serving")


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of node: its GPUs' product, its part of the nodes in per cent, cores and memory in GiB."""

    product: str
    share: int
    cpu: int
    memory: int

    @property
    def geometry(self) -> Geometry:
        """What one of its GPUs can be cut into."""
        found = geometry.by_product(self.product)
        assert found is not None, "only known products are drawn"
        return found

    @property
    def plain(self) -> frozenset[str]:
        """The profiles without media extensions."""
        return frozenset(name for name in self.geometry.names if "+" not in name)


MODELS = (
    Model("NVIDIA-A100-SXM4-40GB", 40, 128, 1024),
    Model("NVIDIA-H100-80GB-HBM3", 35, 192, 2048),
    Model("NVIDIA-H200", 15, 192, 2048),
    Model("NVIDIA-A30", 10, 64, 512),
)


@dataclass(frozen=True, slots=True)
class Slice:
    """A GPU instance; `holder` numbers the node's tenants, None where it is free."""

    profile: str
    start: int
    size: int
    holder: int | None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A pod that runs on the node and holds one slice: cpu in cores, memory in GiB."""

    profile: str
    cpu: int
    memory: int
    priority: int


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """A node as it was drawn.

    Attributes:
        config: the name of the config that it carries.
        gpus: the slices of each GPU.
    """

    name: str
    model: Model
    config: str
    gpus: tuple[tuple[Slice, ...], ...]
    tenants: tuple[Tenant, ...]
    zone: str
    pool: str
    tainted: bool


def nodes(scenario: Scenario, count: int, agents: bool, rng: Random) -> Iterator[DrawnNode]:
    """The cluster's nodes in the order of their names.

    The part of each model is kept exactly, as far as whole nodes allow, and so is that of the idle nodes.
    """
    kinds = _deal(MODELS, [model.share for model in MODELS], count, rng)
    idle = _deal((True, False), [scenario.idle_nodes, 1 - scenario.idle_nodes], count, rng)
    for index, (model, unused) in enumerate(zip(kinds, idle, strict=True)):
        yield _node(f"gpu-{index:05}", model, scenario, unused, agents, rng)


def _deal(items: Sequence, weights: Sequence[float], count: int, rng: Random) -> list:
    """So many items, each as often as its weight says, shuffled."""
    ends = [round(count * sum(weights[: i + 1]) / sum(weights)) for i in range(len(items))]
    dealt = [
        item for item, start, end in zip(items, [0, *ends], ends, strict=False) for _ in range(end - start)
    ]
    rng.shuffle(dealt)
    return dealt


def _node(name: str, model: Model, scenario: Scenario, idle: bool, agents: bool, rng: Random) -> DrawnNode:
    part = 0.0 if idle else rng.uniform(*scenario.busy_gpus)
    busy = [rng.random() < part for _ in range(GPUS)]
    layouts, config = _layouts(model, scenario, agents, rng)
    tenants: list[Tenant] = []
    gpus = []
    for layout, used in zip(layouts, busy, strict=True):
        places = model.geometry.placements(layout) or ()
        certain = rng.randrange(len(places)) if used and places else None
        slices = []
        for position, (profile, start) in enumerate(places):
            held = used and (position == certain or rng.random() < scenario.busy_slices)
            slices.append(Slice(profile, start, _size(model, profile), len(tenants) if held else None))
            if held:
                tenants.append(_tenant(model, profile, scenario, rng))
        gpus.append(tuple(slices))
    zone, pool = rng.choice(ZONES), rng.choice(POOLS)
    tainted = rng.random() < scenario.tainted
    return DrawnNode(name, model, config, tuple(gpus), tuple(tenants), zone, pool, tainted)


def _size(model: Model, profile: str) -> int:
    return next(p.size for p in model.geometry.profiles if p.name == profile)


def _tenant(model: Model, profile: str, scenario: Scenario, rng: Random) -> Tenant:
    compute = next(p.compute for p in model.geometry.profiles if p.name == profile)
    # at most two cores and twelve GiB a compute slice: tenants never take more than the node has
    memory = model.memory // 64 if model.product == "NVIDIA-A30" else 12
    return Tenant(
        profile,
        rng.randint(1, 2) * compute,
        rng.randint(2, memory) * compute,
        rng.choice(scenario.priorities),
    )


def _layouts(model: Model, scenario: Scenario, agents: bool, rng: Random) -> tuple[list[Counts], str]:
    """The layout of each GPU, and the name of the config that makes them.

    Of ten nodes four are not cut at all and two into the smallest slices, as nodes are before anybody looks
    at the demand; one has another of the operator's configs. On the rest each GPU is cut in its own way, but
    not without an agent, for then the config's name is all that tells how the GPUs are cut.
    """
    uniform = _uniform(model)
    whole = min(uniform, key=lambda name: sum(count for _, count in uniform[name]))
    small = max(uniform, key=lambda name: sum(count for _, count in uniform[name]))
    if rng.random() < scenario.small:
        return [uniform[small]] * GPUS, small
    kind = rng.choices(("whole", "small", "config", "own"), (4, 2, 1, 3))[0]
    if kind == "own" and agents:
        maximal = model.geometry.maximal_multisets(model.plain)
        layouts = [rng.choice(maximal) for _ in range(GPUS)]
        targets = [GpuTarget(index, layout, layout, False) for index, layout in enumerate(layouts)]
        return layouts, configs.config_name(configs.entries_of(targets))
    name = {"whole": whole, "small": small}.get(kind) or rng.choice(sorted(uniform))
    return [uniform[name]] * GPUS, name


@cache
def _uniform(model: Model) -> Mapping[str, Counts]:
    """The operator's configs that give every GPU of this model the same layout, by name."""
    pci = geometry.pci_ids(model.product)[0]
    found = {}
    for name, entries in configs.DEFAULTS.items():
        layout = configs.resolve(entries, (pci,)).get(0)
        if layout and model.geometry.legal(layout) and all("+" not in profile for profile, _ in layout):
            found[name] = layout
    return found
