"""What packing would free is what trying every way to pack finds, and what must stay stays."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core import configs
from autoslicer.core.consolidation.packed import packed
from tests.build import A30, H100, NOON, PCI, Builder, Pod, mignode, node, pod
from tests.core.scenes import POLICIES, snapshot
from tests.solver import brute

MODELS = {A30: "A30-24GB", H100: "H100-80GB"}
CONFIGS = {A30: ("all-1g.6gb", "all-2g.12gb", "all-4g.24gb"), H100: ("all-balanced", "all-3g.40gb")}
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": True}


@dataclass
class Tenant:
    """A running pod with one slice of a GPU of a node, and where its selector lets it run."""

    key: str
    home: str
    gpu: int
    profile: str
    movable: bool
    pool: str = ""


@dataclass
class Machine:
    """A node with the layout of each GPU; `agent`: it is known which pod uses which of them."""

    name: str
    product: str
    layouts: list[dict[str, int]]
    config: str
    agent: bool
    cpu: int
    pool: str
    cordoned: bool
    tenants: list[Tenant] = field(default_factory=list)


def owned(key: str, slices: dict[str, int], home: str) -> Pod:
    """A running pod of a Deployment."""
    return pod(key).wants(slices).on(home).set("metadata.ownerReferences", [OWNER])


@st.composite
def clusters(draw: st.DrawFn) -> list[Machine]:
    """Two to four small nodes with at most six pods that may move, and some that may not."""
    product, movers = draw(st.sampled_from((A30, A30, H100))), 0
    machines = []
    for number in range(draw(st.integers(2, 4))):
        config = draw(st.sampled_from(CONFIGS[product]))
        count = draw(st.integers(1, 2))
        found = configs.resolve(configs.DEFAULTS[config], [PCI[product]] * count)
        machine = Machine(
            f"gpu-{number}",
            product,
            [dict(found[index] or ()) for index in range(count)],
            config,
            draw(st.booleans()),
            draw(st.sampled_from((2, 64, 64))),
            draw(st.sampled_from(("a", "a", "b"))),
            draw(st.integers(0, 7)) == 0,
        )
        machines.append(machine)
        layouts = enumerate(machine.layouts)
        instances = [(gpu, name) for gpu, has in layouts for name, n in has.items() for _ in range(n)]
        held = draw(st.lists(st.sampled_from(range(len(instances))), unique=True, max_size=2))
        for position in sorted(held):
            movable = movers < 6 and draw(st.integers(0, 9)) > 0
            movers += movable
            gpu, profile = instances[position]
            key = f"{'moves' if movable else 'stays'}/{machine.name}-{position}"
            pool = draw(st.sampled_from(("", "", machine.pool)))
            machine.tenants.append(Tenant(key, machine.name, gpu, profile, movable, pool))
    return machines


def objects(machines: list[Machine]) -> Iterator[Builder]:
    """What a dump of them holds."""
    for machine in machines:
        row = node(machine.name).gpus(len(machine.layouts), machine.product).config(machine.config)
        row = row.allocatable({"cpu": str(machine.cpu)}).labels({"pool": machine.pool})
        yield row.cordoned() if machine.cordoned else row
        for tenant in machine.tenants:
            made = owned(tenant.key, {tenant.profile: 1}, machine.name).resources({"cpu": "1"})
            made = made.selector({"pool": tenant.pool}) if tenant.pool else made
            yield made if tenant.movable else made.set("metadata.ownerReferences", [])
        if machine.agent:
            agent = mignode(machine.name)
            for index, layout in enumerate(machine.layouts):
                pods: dict[str, list[str]] = {}
                for tenant in machine.tenants:
                    if tenant.gpu == index:
                        pods.setdefault(tenant.profile, []).append(tenant.key)
                agent = agent.gpu(layout, pods=pods, product=machine.product)
            yield agent


class Everything:
    """Every way to place the pods that may move, by trying all of them."""

    def __init__(self, machines: list[Machine]) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self.open = [machine.name for machine in machines if not machine.cordoned]
        self.movers = [t for name in self.open for t in self.machines[name].tenants if t.movable]
        self.known: dict[tuple[str, tuple[str, ...], frozenset[str]], bool] = {}

    def held(self) -> set[str]:
        """The nodes that some pod must stay on."""
        moving = {tenant.key for tenant in self.movers}
        return {m.name for m in self.machines.values() for t in m.tenants if t.key not in moving}

    def ways(self) -> dict[frozenset[str], int]:
        """The nodes that are free, and the fewest pods that go to another node for it."""
        found: dict[frozenset[str], int] = {}
        for places in self._placements(self.movers, self.open):
            used = {*places, *self.held()}
            moved = sum(t.home != name for t, name in zip(self.movers, places, strict=True))
            free = frozenset(self.machines.keys() - used)
            found[free] = min(moved, found.get(free, moved))
        return found

    def gentle_ways(self) -> set[frozenset[str]]:
        """The nodes that are free where all pods but theirs stay, and nobody comes to a node free now."""
        now = {name for name, machine in self.machines.items() if not machine.tenants}
        used = sorted({t.home for t in self.movers} - self.held())
        found = set()
        for size in range(len(used) + 1):
            for leaving in itertools.combinations(used, size):
                movers = [t for t in self.movers if t.home in leaving]
                ways = self._placements(movers, sorted({*self.open} - now - {*leaving}))
                if next(ways, None) is not None:
                    found.add(frozenset({*now, *leaving}))
        return found

    def _placements(self, movers: list[Tenant], nodes: list[str]) -> Iterator[tuple[str, ...]]:
        """The nodes of the movers, in every way that these can hold them; all other pods stay."""
        moving = frozenset(tenant.key for tenant in movers)
        pools = {name: self.machines[name].pool for name in nodes}
        choices = [[name for name in nodes if t.pool in ("", pools[name])] for t in movers]
        for places in itertools.product(*choices):
            asked: dict[str, list[str]] = {}
            for tenant, name in zip(movers, places, strict=True):
                asked.setdefault(name, []).append(tenant.profile)
            if all(self._holds(name, tuple(sorted(slices)), moving) for name, slices in asked.items()):
                yield places

    def _holds(self, name: str, slices: tuple[str, ...], moving: frozenset[str]) -> bool:
        """The node can be cut so that it has these slices beside what stays."""
        key = name, slices, moving
        if key not in self.known:
            machine = self.machines[name]
            staying = [t for t in machine.tenants if t.key not in moving]
            asked = Counter(slices) + Counter(t.profile for t in staying)
            self.known[key] = asked.total() <= machine.cpu and any(
                not asked - sum(choice, Counter()) for choice in itertools.product(*_cuts(machine, staying))
            )
        return self.known[key]


def _cuts(machine: Machine, staying: list[Tenant]) -> list[list[Counter[str]]]:
    """What each GPU may be cut into; without an agent any pod may be on any GPU."""
    fixed = {tenant.gpu for tenant in staying}
    if staying and not machine.agent:
        fixed = set(range(len(machine.layouts)))
    anew = [Counter(layout) for layout in brute.maximal(MODELS[machine.product], None)]
    return [[Counter(now)] if gpu in fixed else anew for gpu, now in enumerate(machine.layouts)]


@settings(max_examples=300, deadline=None)
@given(clusters())
def test_packing_frees_as_much_as_trying_everything(machines: list[Machine]) -> None:
    """On small clusters the answer is proven best, can be had, and moves no fewer pods than that takes."""
    every = Everything(machines)
    ways, found = every.ways(), packed(snapshot(*objects(machines)), POLICIES, NOON)
    best, free = max(map(len, ways)), frozenset(found.tightly.nodes)
    assert (len(free), found.most) == (best, best)
    assert ways[free] <= found.tightly.moved <= found.movable == len(every.movers)
    assert set(found.now) == {m.name for m in machines if not m.tenants}
    assert set(found.held) == every.held()
    event(f"frees {best - len(found.now)} more")
    event("least moves" if ways[free] == found.tightly.moved else "more moves than needed")
    event("cuts anew" if found.tightly.recut else "cuts nothing anew")


@settings(max_examples=300, deadline=None)
@given(clusters())
def test_what_is_freed_gently_leaves_all_other_pods_alone(machines: list[Machine]) -> None:
    """Exactly the pods of the freed nodes move, and there is room for them beside all others."""
    every, found = Everything(machines), packed(snapshot(*objects(machines)), POLICIES, NOON)
    ways, free = every.gentle_ways(), frozenset(found.gently.nodes)
    assert free in ways
    assert found.gently.moved == sum(tenant.home in free for tenant in every.movers)
    assert set(found.now) <= free
    assert len(free) <= len(found.tightly.nodes)
    event(f"frees {len(free) - len(found.now)} more")
    event("the most" if len(free) == max(map(len, ways)) else "fewer than could be")
