"""The part of the model that belongs to one site."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from ortools.sat.python import cp_model

from solver.draft import Draft
from solver.geometry import Geometry
from solver.instance import Instance
from solver.problem import Counts

Var = cp_model.IntVar
Expr = cp_model.LinearExpr
Pool = tuple[Geometry, tuple[int, ...]]


def total(terms: Iterable[Expr]) -> Expr:
    """The sum; an expression even where there are no terms."""
    return Expr.sum([*terms])


class SiteModel:
    """The variables and rules of one site."""

    def __init__(self, model: cp_model.CpModel, instance: Instance, s: int) -> None:
        self.model, self.instance, self.site = model, instance, instance.sites[s]
        self.evicted = {t: model.new_bool_var("") for gpu in self.site.gpus for t in gpu.tenants}
        self.names = self.site.profiles(instance.classes)
        self.pods = {q: model.new_int_var(0, most, f"x{s}_{q}") for q, most in self.site.fits.items()}
        self.opened = model.new_bool_var(f"b{s}")
        self.given = [
            model.new_int_var(0, len(gpu.indexes), f"z{s}_{c}") for c, gpu in enumerate(self.site.gpus)
        ]
        self.packed: dict[Pool, dict[Counts, Var]] = {}
        self.alike: dict[Pool, list[int]] = defaultdict(list)
        for c, gpu in enumerate(self.site.gpus):
            self.alike[gpu.pool].append(c)
        for pool, alike in self.alike.items():
            most = sum(len(self.site.gpus[c].indexes) for c in alike)
            self.packed[pool] = {
                packing: model.new_int_var(0, most, f"y{s}_{alike[0]}_{v}")
                for v, packing in enumerate(self.site.gpus[alike[0]].packings)
            }
            model.add(total(self.packed[pool].values()) == total(self.given[c] for c in alike))
        for c, gpu in enumerate(self.site.gpus):
            model.add(self.given[c] <= len(gpu.indexes) * self.opened)
        model.add(self.opened <= total(self.given))
        self.moves = bool(self.evicted) or any(instance.classes[q].tenant is not None for q in self.site.fits)
        self.kept: dict[int, Var] = {}
        self.pairs: dict[tuple[int, Counts], Var] = {}
        self._within_supply()
        self._within_resources()

    def _within_supply(self) -> None:
        for name in self.names:
            self.model.add(self.demand(name) <= self.supply(name))

    def _within_resources(self) -> None:
        left = dict(self.site.node.resources)
        tenants = {group.tenant: group for group in self.instance.classes}
        asked: dict[str, list[Expr]] = defaultdict(list)
        for q, pods in self.pods.items():
            for name, count in self.instance.classes[q].resources:
                asked[name].append(count * pods)
        for name, terms in asked.items():
            back = (dict(tenants[t].resources).get(name, 0) * gone for t, gone in self.evicted.items())
            self.model.add(total(terms) <= left.get(name, 0) + total(back))

    def demand(self, name: str, pods: dict[int, Var] | None = None) -> Expr:
        """Slices of a profile that the pods placed here (or the counts given) ask for."""
        slices = ((q, dict(self.instance.classes[q].slices).get(name, 0)) for q in self.pods)
        return total(count * (self.pods if pods is None else pods)[q] for q, count in slices if count)

    def surviving(self, name: str) -> Expr:
        """Free slices of a profile that no change touches."""
        gone = ((z, dict(gpu.layout).get(name, 0)) for z, gpu in zip(self.given, self.site.gpus, strict=True))
        return self.site.free.get(name, 0) - total(count * z for z, count in gone if count)

    def made(self, name: str) -> Expr:
        """Slices of a profile that the changed GPUs get."""
        rows = (row for packed in self.packed.values() for row in packed.items())
        made = ((y, dict(packing).get(name, 0)) for packing, y in rows)
        return total(count * y for y, count in made if count)

    def supply(self, name: str) -> Expr:
        """Free slices of a profile after the change."""
        return self.surviving(name) + self.made(name)

    def spare(self) -> Expr:
        """Squared memory units of what stays free on changed GPUs; less, where it is not maximised."""
        weights = self.site.weights
        terms: list[Expr] = []
        for packed in self.packed.values():
            for packing, y in packed.items():
                unasked = ((name, count) for name, count in packing if name not in self.names)
                terms.append(sum(weights[name] * count for name, count in unasked) * y)
        for name in self.names:
            if self.packed and name in weights:
                most = sum(len(gpu.indexes) * gpu.geometry.memory_slices for gpu in self.site.gpus)
                left = self.model.new_int_var(0, most, f"t_{self.site.node.name}_{name}")
                self.model.add(left <= self.made(name))
                self.model.add(left <= self.supply(name) - self.demand(name))
                terms.append(weights[name] * left)
        return total(terms)

    def read(self, solver: cp_model.CpSolver, plan: Draft, s: int) -> None:
        """Write the values that the search found into a draft."""
        pods = {q: solver.value(var) for q, var in self.pods.items()}
        if placed := {q: count for q, count in pods.items() if count}:
            plan.pods[s] = placed
        layouts = self._pairs_read(solver) if self.pairs else self._matched(solver)
        if layouts:
            plan.layouts[s] = layouts
            if self.kept:
                plan.kept[s] = {q: solver.value(var) for q, var in self.kept.items()}

    def hints(self, plan: Draft, s: int) -> Iterator[tuple[Var, int]]:
        """The values of a draft."""
        changed = plan.layouts.get(s, {})
        for q, var in self.pods.items():
            yield var, plan.pods.get(s, {}).get(q, 0)
        yield self.opened, int(bool(changed))
        new: dict[Pool, Counter[Counts]] = defaultdict(Counter)
        for c, gpu in enumerate(self.site.gpus):
            yield self.given[c], len(changed.get(c, ()))
            new[gpu.pool].update(changed.get(c, ()))
        for pool, packed in self.packed.items():
            for packing, var in packed.items():
                yield var, new[pool][packing]

    def _matched(self, solver: cp_model.CpSolver) -> dict[int, tuple[Counts, ...]]:
        """New layouts by GPU class; a GPU whose layout is among the new ones simply keeps it."""
        layouts: dict[int, list[Counts]] = defaultdict(list)
        for key, packed in self.packed.items():
            pool = Counter({packing: solver.value(y) for packing, y in packed.items()})
            alike = self.alike[key]
            left = {c: solver.value(self.given[c]) for c in alike}
            for c in alike:
                same = min(left[c], pool[self.site.gpus[c].layout])
                left[c] -= same
                pool[self.site.gpus[c].layout] -= same
            queue = sorted(pool.elements())
            for c in alike:
                layouts[c] = [queue.pop(0) for _ in range(left[c])]
        return {c: tuple(sorted(new)) for c, new in sorted(layouts.items()) if new}

    def _pairs_read(self, solver: cp_model.CpSolver) -> dict[int, tuple[Counts, ...]]:
        layouts: dict[int, list[Counts]] = defaultdict(list)
        for (c, packing), var in self.pairs.items():
            layouts[c] += [packing] * solver.value(var)
        return {c: tuple(sorted(new)) for c, new in sorted(layouts.items()) if new}
