"""The problem with everything interchangeable counted instead of listed: pod classes, GPU classes, sites."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from solver.geometry import Geometry
from solver.layouts import worthwhile
from solver.problem import Counts, Gpu, Node, Pod, Problem, Rank, Tenant, counts


@dataclass(frozen=True, slots=True)
class PodClass:
    """Pods of the same rank and weight that ask for the same on the same nodes, or slices of one headroom.

    Attributes:
        rank: the position of their rank in the instance's, 0 for the most important; of a replacement the
            number of ranks of higher priority than its tenant.
        weight: what serving one of them counts for.
        pods: names, in the order in which they are to be served; of headroom one for each slice.
        headroom: its position in the problem; None for pods.
        tenant: the position in the problem of the tenant whose replacement this is; it counts for nothing by
            itself, and is placed exactly where the tenant is evicted. None for pods that wait.
    """

    rank: int
    weight: int
    slices: Counts
    resources: Counts
    pods: tuple[str, ...]
    headroom: int | None = None
    tenant: int | None = None


@dataclass(frozen=True, slots=True)
class GpuClass:
    """Changeable GPUs of one node with equal geometry and layout, or a single one that tenants use.

    Attributes:
        layout: what each of them holds now and is free; empty while its MIG mode is off.
        mode_off: changing one of them is a mode change.
        indexes: of the GPUs, ascending; they change in this order.
        packings: the layouts worth considering.
        tenants: the positions in the problem of those that must be evicted.
    """

    geometry: Geometry
    layout: Counts
    mode_off: bool
    indexes: tuple[int, ...]
    packings: tuple[Counts, ...]
    tenants: tuple[int, ...] = ()

    @property
    def anew(self) -> bool:
        """A change of such a GPU is what serves everything on the node."""
        return self.mode_off or bool(self.tenants)

    @property
    def pool(self) -> tuple[Geometry, tuple[int, ...]]:
        """What GPU classes have in common whose new layouts may be swapped."""
        return self.geometry, self.indexes if self.tenants else ()


@dataclass(frozen=True, slots=True)
class Site:
    """A node as the search sees it.

    Attributes:
        free: slices that are free now, by profile.
        fits: the most pods of each class (by its position) that the node could ever take, each at least 1.
        gpus: what may change, that for which tenants must be evicted last.
        weights: squared memory units by profile, what an instance that stays free counts for.
    """

    node: Node
    free: Mapping[str, int]
    fits: Mapping[int, int]
    gpus: tuple[GpuClass, ...]
    weights: Mapping[str, int]

    def profiles(self, classes: tuple[PodClass, ...]) -> tuple[str, ...]:
        """The profiles that the classes which may come here ask for, sorted."""
        return tuple(sorted({name for q in self.fits for name, _ in classes[q].slices}))


@dataclass(frozen=True, slots=True)
class Instance:
    """Pod classes and the sites that can take at least one of them.

    Attributes:
        ranks: of all pods of the problem, the most important first, then None for headroom where any is asked
            for; parts of an instance keep all of them.
        classes: the most important first.
        sites: sorted by the name of the node.
    """

    ranks: tuple[Rank | None, ...]
    classes: tuple[PodClass, ...]
    sites: tuple[Site, ...]


def aggregate(problem: Problem) -> Instance:
    """The instance of a problem, without pods that no node could ever take and nodes that can take none."""
    groups = [*_groups(problem), *_phantoms(problem), *_replacements(problem)]
    if not groups:
        return Instance(problem.goals, (), ())
    asked = frozenset(name for group, _ in groups for name, _ in group.slices)
    most = {node.name: _most_slices(node, asked) for node in problem.nodes}
    left = {node.name: _most_resources(node, problem.tenants) for node in problem.nodes}
    fits: dict[str, dict[int, int]] = {node.name: {} for node in problem.nodes}
    classes: list[PodClass] = []
    for group, names in groups:
        at_most = {
            node.name: fit
            for node in problem.nodes
            if node.name in names and (fit := _fit(group, most[node.name], left[node.name]))
        }
        for name, fit in at_most.items():
            fits[name][len(classes)] = fit
        if at_most:
            classes.append(group)
    places = {problem.tenants[g.tenant].name: g.tenant for g in classes if g.tenant is not None}
    sites = tuple(_site(node, fits[node.name], classes, places) for node in problem.nodes if fits[node.name])
    return Instance(problem.goals, tuple(classes), sites)


def _groups(problem: Problem) -> Iterator[tuple[PodClass, frozenset[str]]]:
    """The classes of the pods, each with its nodes, the most important first."""
    position = {rank: r for r, rank in enumerate(problem.ranks)}
    grouped: dict[tuple[int, int, Counts, Counts, frozenset[str]], list[Pod]] = defaultdict(list)
    for pod in problem.pods:
        grouped[position[pod.rank], pod.weight, pod.slices, pod.resources, pod.nodes].append(pod)
    for key in sorted(grouped, key=lambda key: (*key[:-1], min(pod.name for pod in grouped[key]))):
        rank, weight, slices, resources, nodes = key
        pods = sorted(grouped[key], key=lambda pod: (pod.order, pod.name))
        yield PodClass(rank, weight, slices, resources, tuple(pod.name for pod in pods)), nodes


def _phantoms(problem: Problem) -> Iterator[tuple[PodClass, frozenset[str]]]:
    """Headroom as pods of the last rank that ask for a slice each, with its nodes."""
    for position, headroom in enumerate(problem.headroom):
        names = tuple(f"headroom-{position}-{k}" for k in range(headroom.count))
        slices = ((headroom.profile, 1),)
        yield PodClass(len(problem.goals) - 1, 1, slices, (), names, position), headroom.nodes


def _replacements(problem: Problem) -> Iterator[tuple[PodClass, frozenset[str]]]:
    """The replacements of the tenants, each with its nodes."""
    for position, tenant in enumerate(problem.tenants):
        above = sum(rank.priority > tenant.priority for rank in problem.ranks)
        names = (tenant.name,)
        yield PodClass(above, 0, tenant.slices, tenant.resources, names, None, position), tenant.nodes


def split(instance: Instance) -> tuple[Instance, ...]:
    """The parts of an instance that share no pod, in the order of their first site."""
    part = list(range(len(instance.sites)))

    def root(site: int) -> int:
        while part[site] != site:
            part[site] = part[part[site]]
            site = part[site]
        return site

    first: dict[int, int] = {}
    replacement = {group.tenant: q for q, group in enumerate(instance.classes)}
    for index, site in enumerate(instance.sites):
        for q in (*site.fits, *(replacement[t] for gpu in site.gpus for t in gpu.tenants)):
            a, b = sorted((root(first.setdefault(q, index)), root(index)))
            part[b] = a
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(instance.sites)):
        members[root(index)].append(index)
    return tuple(_restricted(instance, members[key]) for key in sorted(members))


def undisturbed(instance: Instance) -> Instance:
    """The instance where every tenant stays; each plan of it is one of the instance as well."""
    classes = tuple(group for group in instance.classes if group.tenant is None)
    if all(not gpu.tenants for site in instance.sites for gpu in site.gpus) and classes == instance.classes:
        return instance
    # what belongs to tenants comes last, so that positions stay true
    sites = (
        replace(
            site,
            fits={q: most for q, most in site.fits.items() if q < len(classes)},
            gpus=tuple(gpu for gpu in site.gpus if not gpu.tenants),
        )
        for site in instance.sites
    )
    return replace(instance, classes=classes, sites=tuple(sites))


def squared_sizes(node: Node) -> dict[str, int]:
    """Squared memory units of each profile of the node's GPUs; where its GPUs differ, the smallest."""
    sizes: dict[str, int] = {}
    for gpu in node.gpus:
        for profile in gpu.geometry.profiles:
            sizes[profile.name] = min(profile.size**2, sizes.get(profile.name, profile.size**2))
    return sizes


def may_change(node: Node, gpu: Gpu) -> bool:
    """Whether a plan may give this GPU another layout at all."""
    return gpu.changeable and (gpu.layout is not None or node.mode_change)


def _restricted(instance: Instance, members: list[int]) -> Instance:
    wanted = sorted({q for index in members for q in instance.sites[index].fits})
    position = {q: new for new, q in enumerate(wanted)}
    sites = (instance.sites[index] for index in members)
    return Instance(
        instance.ranks,
        tuple(instance.classes[q] for q in wanted),
        tuple(replace(s, fits={position[q]: most for q, most in s.fits.items()}) for s in sites),
    )


def _most_slices(node: Node, asked: frozenset[str]) -> dict[str, int]:
    """The most slices of each profile that any layouts could give the node."""
    most = dict(node.free)
    for gpu in node.gpus:
        if may_change(node, gpu) or gpu.tenants:
            present = dict(gpu.idle if gpu.tenants else gpu.layout or ())
            best = _best_counts(gpu.geometry, node.profiles)
            for name in asked & best.keys():
                most[name] = most.get(name, 0) + max(0, best[name] - present.get(name, 0))
    return most


def _most_resources(node: Node, tenants: Sequence[Tenant]) -> Mapping[str, int]:
    """What could be left of every resource."""
    left = Counter(dict(node.resources))
    here = frozenset[str]().union(*(gpu.tenants for gpu in node.gpus))
    for tenant in tenants if here else ():
        if tenant.name in here:
            left.update(dict(tenant.resources))
    return left


@cache
def _best_counts(geometry: Geometry, allowed: frozenset[str] | None) -> dict[str, int]:
    best: dict[str, int] = {}
    for packing in geometry.maximal_multisets(allowed):
        for name, count in packing:
            best[name] = max(count, best.get(name, 0))
    return best


def _fit(group: PodClass, most: Mapping[str, int], left: Mapping[str, int]) -> int:
    by_slices = (most.get(name, 0) // count for name, count in group.slices)
    by_resources = (left.get(name, 0) // count for name, count in group.resources)
    return min((len(group.pods), *by_slices, *by_resources))


def _site(node: Node, fits: dict[int, int], classes: list[PodClass], tenants: Mapping[str, int]) -> Site:
    asked = frozenset(name for q in fits for name, _ in classes[q].slices)
    grouped: dict[tuple[Geometry, Counts | None], list[int]] = defaultdict(list)
    for gpu in node.gpus:
        if may_change(node, gpu):
            grouped[gpu.geometry, gpu.layout].append(gpu.index)
    weights = squared_sizes(node)
    evicting = [gpu for gpu in node.gpus if gpu.tenants and gpu.tenants <= tenants.keys()]
    # The benefit rule also looks at what other layouts would do, so there only equal packings may be merged.
    merge_only = node.min_benefit > 1 or bool(evicting) or any(classes[q].tenant is not None for q in fits)
    gpus = []
    for (geometry, layout), indexes in sorted(grouped.items(), key=lambda item: min(item[1])):
        packings = worthwhile(geometry, node.profiles, asked, counts(weights), merge_only)
        if packings:
            gpus.append(GpuClass(geometry, layout or (), layout is None, tuple(sorted(indexes)), packings))
    for gpu in evicting:
        packings = worthwhile(gpu.geometry, node.profiles, asked, counts(weights), merge_only, gpu.layout)
        if packings:
            evicted = tuple(sorted(tenants[name] for name in gpu.tenants))
            gpus.append(GpuClass(gpu.geometry, gpu.idle, False, (gpu.index,), packings, evicted))
    return Site(node, dict(node.free), fits, tuple(gpus), weights)
