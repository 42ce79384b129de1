"""Sites and pod classes as one sparse linear program: the rules of `solver.model`, in columns and rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from solver.geometry import Geometry
from solver.instance import Instance, Site
from solver.problem import Counts

INFINITY = math.inf
NEVER = 2**31
"""more pods than any site could get"""
LARGEST = 2**20
"""the largest coefficient of a row: integers up to there are told apart by every solver's tolerances"""

Objective = Mapping[int, float]
"""what one unit of a column is worth, by column; missing ones are worth nothing"""


@dataclass(frozen=True, slots=True)
class Floor:
    """A row that is added for one question: what pods of a rank count for must reach so much.

    Attributes:
        rank: of the pods.
        terms: what they count for, by column.
        least: to reach.
    """

    rank: int
    terms: Mapping[int, float]
    least: float


@dataclass(slots=True)
class Program:
    """The columns and rows of some sites of an instance; every column is an integer within finite bounds.

    Attributes:
        instance: whose sites they are.
        sites: positions of the sites in the instance.
        lower, upper: bounds of each column.
        row_lower, row_upper: bounds of each row.
        rows, columns, values: the coefficients, one an entry.
        pods: the column that counts the pods of a class on a site, by (site, class).
        changed: the column that counts the changed GPUs of a GPU class, by (site, GPU class).
        packed: the column that counts the GPUs that get a packing, by (site, geometry, packing).
        opened: the column that says whether a site changes.
        demand: the row that keeps the pods of a class within those that there are, by class.
    """

    instance: Instance
    sites: tuple[int, ...]
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    pods: dict[tuple[int, int], int] = field(default_factory=dict)
    changed: dict[tuple[int, int], int] = field(default_factory=dict)
    packed: dict[tuple[int, Geometry, Counts], int] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    demand: dict[int, int] = field(default_factory=dict)

    def column(self, upper: float) -> int:
        """A new column between 0 and `upper`."""
        self.lower.append(0.0)
        self.upper.append(float(upper))
        return len(self.upper) - 1

    def row(self, terms: Iterable[tuple[int, float]], upper: float, lower: float = -INFINITY) -> int:
        """A new row: `lower <= sum of value * column <= upper`."""
        position = len(self.row_upper)
        self.row_lower.append(float(lower))
        self.row_upper.append(float(upper))
        for column, value in terms:
            self.rows.append(position)
            self.columns.append(column)
            self.values.append(float(value))
        return position

    def sites_of(self) -> list[int]:
        """The site of each column."""
        owners = [0] * len(self.upper)
        for known in (self.pods, self.changed, self.packed):
            for key, column in known.items():
                owners[column] = key[0]
        for s, column in self.opened.items():
            owners[column] = s
        return owners


def program(
    instance: Instance,
    sites: Sequence[int],
    wanted: Mapping[int, int],
    least: Mapping[int, int] | None = None,
    *,
    coupled: bool = True,
) -> Program:
    """The program of some sites.

    Args:
        instance: whose sites they are.
        sites: positions in it, ascending.
        wanted: how many pods of each class may be placed on these sites together.
        least: how many pods a site must get if it changes, where that is more than `min_benefit`; NEVER for
            sites that may not change.
        coupled: the sites share the pods; else each may place all of them.
    """
    made = Program(instance, tuple(sites))
    of_class: defaultdict[int, list[int]] = defaultdict(list)
    for s in made.sites:
        asked = (least or {}).get(s, instance.sites[s].node.min_benefit)
        _site(made, s, wanted, asked)
        for q in instance.sites[s].fits:
            if (s, q) in made.pods:
                of_class[q].append(made.pods[s, q])
    for q in sorted(of_class) if coupled else ():
        made.demand[q] = made.row(((column, 1) for column in of_class[q]), wanted[q])
    return made


def _site(made: Program, s: int, wanted: Mapping[int, int], least: int) -> None:
    site, classes = made.instance.sites[s], made.instance.classes
    supply: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    resources: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for q, most in site.fits.items():
        if (upper := min(most, wanted.get(q, 0))) > 0:
            made.pods[s, q] = column = made.column(upper)
            for name, count in classes[q].slices:
                supply[name].append((column, count))
            for name, count in classes[q].resources:
                resources[name].append((column, count))
    if least < NEVER and site.gpus and supply:
        _changes(made, s, site, supply, least)
    for name, terms in sorted(supply.items()):
        made.row(terms, site.free.get(name, 0))
    left = dict(site.node.resources)
    for name, asked in sorted(resources.items()):
        scaled, capacity = _scaled(asked, left.get(name, 0))
        if sum(value * made.upper[column] for column, value in scaled) > capacity:
            made.row(scaled, capacity)


def _changes(
    made: Program, s: int, site: Site, supply: Mapping[str, list[tuple[int, float]]], least: int
) -> None:
    made.opened[s] = opened = made.column(1)
    alike: defaultdict[Geometry, list[int]] = defaultdict(list)
    for c, gpu in enumerate(site.gpus):
        alike[gpu.geometry].append(c)
    for geometry, members in alike.items():
        balance: list[tuple[int, float]] = []
        for c in members:
            count = len(site.gpus[c].indexes)
            made.changed[s, c] = column = made.column(count)
            made.row(((column, 1), (opened, -count)), 0)
            balance.append((column, -1))
            for name, each in site.gpus[c].layout:
                if name in supply:
                    supply[name].append((column, each))
        total = sum(len(site.gpus[c].indexes) for c in members)
        for packing in site.gpus[members[0]].packings:
            if any(name in supply for name, _ in packing):
                made.packed[s, geometry, packing] = column = made.column(total)
                balance.append((column, 1))
                for name, count in packing:
                    if name in supply:
                        supply[name].append((column, -count))
        made.row(balance, 0, 0)
    if least > 1:
        pods = [(made.pods[s, q], -1.0) for q in site.fits if (s, q) in made.pods]
        made.row((*pods, (opened, least)), 0)


def _scaled(asked: Sequence[tuple[int, int]], capacity: int) -> tuple[list[tuple[int, float]], float]:
    """A row of whole numbers that are not too large: in units of the common divisor of what is asked for.

    Where even those are too large, requests are rounded down and the capacity up, so that every plan that is
    legal stays so; what the row then lets through is found when the plan is read.
    """
    unit = math.gcd(*(count for _, count in asked)) or 1
    counts = [(column, count // unit) for column, count in asked]
    room = capacity // unit
    largest = max((count for _, count in counts), default=0)
    if largest > LARGEST:
        coarse = -(-largest // LARGEST)
        return [(column, float(count // coarse)) for column, count in counts], float(-(-room // coarse))
    return [(column, float(count)) for column, count in counts], float(room)


@dataclass(slots=True)
class Placed:
    """What a site gets: pods by class, changed GPUs by GPU class, packings by geometry."""

    pods: dict[int, int] = field(default_factory=dict)
    changed: dict[int, int] = field(default_factory=dict)
    packed: dict[Geometry, Counter[Counts]] = field(default_factory=dict)


def read(made: Program, values: Sequence[float]) -> dict[int, Placed]:
    """What each site gets, from whole values of the columns; sites that get nothing are out."""
    found: defaultdict[int, Placed] = defaultdict(Placed)
    for (s, q), column in made.pods.items():
        if count := round(values[column]):
            found[s].pods[q] = count
    for (s, c), column in made.changed.items():
        if count := round(values[column]):
            found[s].changed[c] = count
    for (s, geometry, packing), column in made.packed.items():
        if count := round(values[column]):
            found[s].packed.setdefault(geometry, Counter())[packing] = count
    return dict(found)


def columns_of(made: Program, placed: Mapping[int, Placed]) -> dict[int, float]:
    """The values of the columns that say what `read` gave; zeros are left out, and what has no column."""
    known: dict[int, float] = {}
    for s in made.sites:
        if (here := placed.get(s)) is None:
            continue
        rows = [(made.pods.get((s, q)), count) for q, count in here.pods.items()]
        rows += [(made.changed.get((s, c)), count) for c, count in here.changed.items()]
        rows += [(made.opened.get(s), 1)] if here.changed else []
        rows += [
            (made.packed.get((s, geometry, packing)), count)
            for geometry, packings in here.packed.items()
            for packing, count in packings.items()
        ]
        known.update((column, count) for column, count in rows if column is not None)
    return known
