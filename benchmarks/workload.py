"""Draws the pods that wait: templates, and how often each is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from benchmarks.hardware import GPUS, MODELS, POOLS, ZONES, Model
from benchmarks.scenarios import Scenario
from solver.problem import Counts, counts

TEAMS = ("team-a", "team-b", "team-c", "team-d", "team-e", "team-f")
MOST_TEMPLATES = 60
NEWCOMERS = ("fits", "hopeless", "searched")
"""kinds of pods that come to a cluster that is planned for: free slices serve them, nothing ever could, or
neither is plain to see"""
NEWCOMER_AGE = -60
"""in seconds: such a pod comes a minute after the moment at which the ages of all others are told"""


@dataclass(frozen=True, slots=True)
class Template:
    """What all pods of a workload have in common.

    Attributes:
        name: unique; a prefix of its pods' names.
        slices: asked for, by profile.
        cpu: in thousandths of a core.
        memory: in MiB.
        selector: node labels that a node must have.
        zones: that required node affinity names; empty for none.
        tolerant: it tolerates the taint of tainted nodes.
    """

    name: str
    namespace: str
    priority: int
    slices: Counts
    cpu: int
    memory: int
    selector: Mapping[str, str]
    zones: tuple[str, ...]
    tolerant: bool


@dataclass(frozen=True, slots=True)
class DrawnPod:
    """A pending pod: the `number`-th of its template, `age` seconds old."""

    template: Template
    number: int
    age: int


def pods(scenario: Scenario, count: int, rng: Random) -> Iterator[DrawnPod]:
    """The pending pods, in the order of their templates.

    How often a template is asked for falls as one over the square root of its place: some are popular, none
    is all.
    """
    templates = [_template(index, scenario, rng) for index in range(min(MOST_TEMPLATES, max(8, count // 8)))]
    weights = [(index + 1) ** -0.5 for index in range(len(templates))]
    if scenario.hopeless:
        model = MODELS[1]
        whole = max(model.plain, key=lambda name: _compute(model, name))
        first = replace(templates[0], slices=((whole, GPUS),), cpu=8000, memory=65_536, selector={}, zones=())
        templates[0] = first
        weights[0] = scenario.hopeless / (1 - scenario.hopeless) * sum(weights[1:])
    drawn = rng.choices(range(len(templates)), weights, k=count)
    for index, template in enumerate(templates):
        for number in range(drawn.count(index)):
            yield DrawnPod(template, number, rng.randint(60, scenario.oldest_seconds))


def newcomers(
    kind: str, scenario: Scenario, left: Mapping[str, int], count: int, rng: Random
) -> Iterator[DrawnPod]:
    """Pods that come later, each of a template of its own.

    Args:
        kind: one of `NEWCOMERS`.
        scenario: how their templates are drawn.
        left: slices that stay free, by profile.
        count: how many.
        rng: the source of chance.
    """
    index = MOST_TEMPLATES
    while index < MOST_TEMPLATES + count:
        template = _template(index, scenario, rng)
        if kind == "hopeless":
            whole = max(MODELS[1].plain, key=lambda name: _compute(MODELS[1], name))
            template = replace(template, slices=((whole, GPUS + 1),))
        elif kind == "fits":
            profile = rng.choices(sorted(left), [left[name] for name in sorted(left)])[0]
            template = replace(template, slices=((profile, 1),), cpu=100, memory=100, selector={}, zones=())
        elif all(left.get(profile, 0) >= wanted for profile, wanted in template.slices):
            continue
        yield DrawnPod(template, 0, NEWCOMER_AGE)
        index += 1


def _template(index: int, scenario: Scenario, rng: Random) -> Template:
    model = rng.choices(MODELS, [model.share for model in MODELS])[0]
    slices = _slices(model, scenario, rng)
    compute = sum(_compute(model, profile) * count for profile, count in slices)
    choosy = rng.random() < scenario.selective
    by = rng.choice(("product", "zone", "pool", "affinity")) if choosy else ""
    selector = {
        "product": {"nvidia.com/gpu.product": model.product},
        "zone": {"topology.kubernetes.io/zone": rng.choice(ZONES)},
        "pool": {"example.com/pool": rng.choice(POOLS)},
    }.get(by, {})
    return Template(
        name=f"{rng.choice(('infer', 'train', 'notebook', 'batch'))}-{index:02}",
        namespace=rng.choice(TEAMS),
        priority=rng.choice(scenario.priorities),
        slices=slices,
        cpu=int(rng.choice((500, 1000, 1500, 2000)) * compute * scenario.cpu_factor),
        memory=int(rng.choice((2048, 4096, 8192)) * compute * scenario.cpu_factor),
        selector=selector,
        zones=tuple(sorted(rng.sample(ZONES, 2))) if by == "affinity" else (),
        tolerant=rng.random() < 0.5,
    )


def _slices(model: Model, scenario: Scenario, rng: Random) -> Counts:
    """Eight of ten templates ask for one slice, one for two or three equal ones, one for two different."""
    kind = rng.random()
    first = _profile(model, scenario, rng)
    if kind < 0.8:
        return ((first, 1),)
    if kind < 0.9:
        return ((first, rng.randint(2, 3)),)
    second = _profile(model, scenario, rng)
    return counts([(first, 1), (second, 1)] if first != second else [(first, 2)])


def _profile(model: Model, scenario: Scenario, rng: Random) -> str:
    """A profile of about so many compute slices as the scenario likes."""
    offered = dict(scenario.profiles)
    by_size: dict[int, list[str]] = {}
    for name in sorted(model.plain):
        by_size.setdefault(_compute(model, name), []).append(name)
    sizes = sorted(by_size)
    size = rng.choices(sizes, [offered[size] for size in sizes])[0]
    # 1g with more memory is asked for less often than plain 1g
    names = sorted(by_size[size], key=lambda name: _memory(model, name))
    return rng.choices(names, [4, 1][: len(names)])[0]


def _compute(model: Model, profile: str) -> int:
    return next(p.compute for p in model.geometry.profiles if p.name == profile)


def _memory(model: Model, profile: str) -> int:
    return next(p.size for p in model.geometry.profiles if p.name == profile)
