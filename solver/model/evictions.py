"""The rules about tenants: who goes, for whom, and where the replacements are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ortools.sat.python import cp_model

from solver.model.benefit import implied
from solver.model.site import Expr, SiteModel, total
from solver.problem import MOST_EVICTED, MOST_OF_NAMESPACE, namespace


def require_replacements(model: cp_model.CpModel, sites: Sequence[SiteModel], q: int) -> None:
    """Place the replacement of class `q` exactly where its tenant goes: there, or where nobody is evicted."""
    tenant = sites[0].instance.classes[q].tenant
    assert tenant is not None
    home = next((site for site in sites if tenant in site.evicted), None)
    places = total(site.pods[q] for site in sites if q in site.pods)
    model.add(places == (0 if home is None else home.evicted[tenant]))
    for site in sites:
        if q in site.pods and site is not home:
            for gone in site.evicted.values():
                model.add(site.pods[q] + gone <= 1)


def require_room_made(site: SiteModel) -> None:
    """Evict just the tenants of GPUs that change, each for pods of higher priority.

    Without the change of the GPUs that a tenant uses, those of higher priority on the node would lack slices.
    The site has the rules of `solver.model.benefit`.
    """
    replacements = {group.tenant: group for group in site.instance.classes}
    for tenant, gone in site.evicted.items():
        used = [c for c, gpu in enumerate(site.site.gpus) if tenant in gpu.tenants]
        for c in used:
            site.model.add(site.given[c] <= gone)
        site.model.add(gone <= total(site.given[c] for c in used))
        above = {q: x for q, x in site.pods.items() if _above(site, q, replacements[tenant].rank)}
        rows = (
            _asked(site, name, above) >= site.supply(name) - _gained(site, name, used) + 1
            for name in site.names
        )
        site.model.add_bool_or([implied(site, row) for row in rows]).only_enforce_if(gone)


def require_few(site: SiteModel) -> None:
    """Evict no more tenants than one change may."""
    names = {group.tenant: group.pods[0] for group in site.instance.classes}
    spaces: dict[str, list[cp_model.IntVar]] = defaultdict(list)
    for tenant, gone in site.evicted.items():
        spaces[namespace(names[tenant])].append(gone)
    site.model.add(total(site.evicted.values()) <= MOST_EVICTED)
    for leaving in spaces.values():
        site.model.add(total(leaving) <= MOST_OF_NAMESPACE)


def _above(site: SiteModel, q: int, rank: int) -> bool:
    group = site.instance.classes[q]
    return group.tenant is None and group.rank < rank


def _asked(site: SiteModel, name: str, pods: dict[int, cp_model.IntVar]) -> Expr:
    each = ((x, dict(site.instance.classes[q].slices).get(name, 0)) for q, x in pods.items())
    return total(count * x for x, count in each if count)


def _gained(site: SiteModel, name: str, used: Sequence[int]) -> Expr:
    """Free slices of a profile that the change of these GPUs brings."""
    made = total(dict(packing).get(name, 0) * pair for (c, packing), pair in site.pairs.items() if c in used)
    return made - total(dict(site.site.gpus[c].layout).get(name, 0) * site.given[c] for c in used)
