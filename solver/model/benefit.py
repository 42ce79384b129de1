"""The rules of a site whose change must serve more than one pod."""

from __future__ import annotations

from ortools.sat.python import cp_model

from solver.model.site import SiteModel, Var, total


def require_benefit(site: SiteModel) -> None:
    """Let the site change only where the change serves `min_benefit` pods, and nothing changes needlessly.

    For each class q the variable `kept` says how many of its pods slices that stay serve; all others count.
    None of those may fit what the kept pods leave of these slices, unless a mode change makes them all anew
    or tenants are evicted. Replacements of tenants are placed as pods are, but are no benefit.
    For each changed GPU, and for the whole site, some profile must run short under the old layout.
    """
    model, gpus = site.model, site.site.gpus
    switched = model.new_bool_var("")
    off = total(site.given[c] for c, gpu in enumerate(gpus) if gpu.anew)
    model.add(off >= 1).only_enforce_if(switched)
    model.add(off == 0).only_enforce_if(~switched)
    for q, pods in site.pods.items():
        site.kept[q] = model.new_int_var(0, site.site.fits[q], "")
        model.add(site.kept[q] <= pods)
        model.add(site.kept[q] == 0).only_enforce_if(switched)
    for name in site.names:
        model.add(site.demand(name, site.kept) <= site.surviving(name))
    waiting = [q for q in site.pods if site.instance.classes[q].tenant is None]
    others = total(site.pods[q] - site.kept[q] for q in waiting)
    model.add(others >= site.site.node.min_benefit).only_enforce_if(site.opened)
    _keep_all_that_fit(site, switched)
    _change_only_for_need(site)


def _keep_all_that_fit(site: SiteModel, switched: Var) -> None:
    for q, pods in site.pods.items():
        counts = site.model.new_bool_var("")
        site.model.add(pods - site.kept[q] == 0).only_enforce_if(~counts)
        slices = site.instance.classes[q].slices
        short = [
            implied(site, site.surviving(name) - site.demand(name, site.kept) <= each - 1)
            for name, each in slices
        ]
        site.model.add_bool_or(short).only_enforce_if(counts, site.opened, ~switched)


def _change_only_for_need(site: SiteModel) -> None:
    model, gpus = site.model, site.site.gpus
    for c, gpu in enumerate(gpus):
        for packing in gpu.packings:
            site.pairs[c, packing] = model.new_int_var(0, len(gpu.indexes), "")
        model.add(total(site.pairs[c, packing] for packing in gpu.packings) == site.given[c])
    for pool, packed in site.packed.items():
        for packing, y in packed.items():
            model.add(total(site.pairs[c, packing] for c in site.alike[pool]) == y)
    for (c, packing), pair in site.pairs.items():
        used = model.new_bool_var("")
        model.add(pair == 0).only_enforce_if(~used)
        old, new = dict(gpus[c].layout), dict(packing)
        gains = {name: new.get(name, 0) - old.get(name, 0) for name in site.names}
        rows = (site.demand(n) >= site.supply(n) - gain + 1 for n, gain in gains.items() if gain > 0)
        model.add_bool_or([implied(site, row) for row in rows]).only_enforce_if(used)
    rows = (site.demand(name) >= site.site.free.get(name, 0) + 1 for name in site.names)
    model.add_bool_or([implied(site, row) for row in rows]).only_enforce_if(site.opened)


def implied(site: SiteModel, row: cp_model.BoundedLinearExpression | bool) -> Var:
    """A literal that may only be true where the row holds."""
    literal = site.model.new_bool_var("")
    site.model.add(row).only_enforce_if(literal)
    return literal
