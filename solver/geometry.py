"""What a GPU model can be cut into: the known models, and what NVML reports on a node."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from solver.packing import Multiset, Placement, Profile, legal_multisets, maximal, multiset, place
from solver.profile_name import parse


@dataclass(frozen=True, slots=True)
class Geometry:
    """What one GPU model can hold; equal by value, so that equal GPUs share every derived table.

    mig-manager does not honour positions: mig-parted tries the instances in every order and the driver picks
    the place. So a multiset is legal if and only if some set of disjoint placements realises it on an empty
    GPU, within every `max_count` and the media engines.

    Attributes:
        model: name of the model.
        compute_slices: compute slices of the whole GPU.
        memory_slices: memory units of the whole GPU; positions and sizes count these.
        engines_total: media engines of the whole GPU: (engine, count) sorted by engine.
        profiles: sorted by name.
        refused: multisets that fit by the table, but that the driver would not make.
    """

    model: str
    compute_slices: int
    memory_slices: int
    engines_total: Multiset
    profiles: tuple[Profile, ...]
    refused: frozenset[Multiset] = frozenset()

    def __hash__(self) -> int:
        # geometries are in most keys of the search, and the model tells nearly all of them apart
        return hash(self.model)

    @property
    def names(self) -> frozenset[str]:
        """The names of the profiles."""
        return frozenset(p.name for p in self.profiles)

    @property
    def _limits(self) -> Multiset:
        return (("compute", self.compute_slices), *self.engines_total)

    def profile(self, name: str) -> Profile | None:
        """The profile of that name; None where the GPU has none."""
        return next((p for p in self.profiles if p.name == name), None)

    def legal(self, layout: Mapping[str, int] | Multiset) -> bool:
        """Whether an empty GPU can be cut into exactly this multiset.

        >>> h100 = by_product("NVIDIA-H100-80GB-HBM3")
        >>> h100.legal({"3g.40gb": 1, "4g.40gb": 1}), h100.legal({"4g.40gb": 2})
        (True, False)
        """
        wanted = multiset(layout)
        return wanted not in self.refused and wanted in legal_multisets(self.profiles, self._limits)

    def placements(self, layout: Mapping[str, int] | Multiset) -> tuple[Placement, ...] | None:
        """One set of disjoint placements that realises the multiset, sorted by start; None where none does.

        >>> by_product("NVIDIA-A30").placements({"1g.6gb": 2, "2g.12gb": 1})
        (('2g.12gb', 0), ('1g.6gb', 2), ('1g.6gb', 3))
        """
        if not self.legal(layout):
            return None
        found = place(self.profiles, multiset(layout), (1 << self.memory_slices) - 1)
        return None if found is None else tuple(sorted(found, key=lambda placement: placement[1]))

    def multisets(self) -> frozenset[Multiset]:
        """Every legal multiset, the empty one included."""
        return frozenset(legal_multisets(self.profiles, self._limits)) - self.refused

    def maximal_multisets(self, allowed: frozenset[str] | None = None) -> tuple[Multiset, ...]:
        """The legal multisets of allowed profiles to which no further allowed instance can be added, sorted.

        Args:
            allowed: names of profiles, known to the GPU or not; None for all that it has.

        >>> by_product("NVIDIA-A30").maximal_multisets(frozenset({"2g.12gb", "4g.24gb"}))
        ((('2g.12gb', 2),), (('4g.24gb', 1),))
        """
        names = self.names if allowed is None else allowed & self.names
        return maximal(self.profiles, self._limits, names, self.refused)

    def refusing(self, layouts: frozenset[Multiset]) -> Geometry:
        """The same GPU under a driver that does not make these multisets.

        >>> h100 = by_product("NVIDIA-H100-80GB-HBM3")
        >>> h100.refusing(frozenset({(("7g.80gb", 1),)})).maximal_multisets(frozenset({"7g.80gb"}))
        ((),)
        """
        return replace(self, refused=layouts)

    def renamed(self, names: Mapping[str, str]) -> Geometry:
        """The same GPU under other profile names; a name that is not in `names` stays."""
        profiles = (replace(p, name=names.get(p.name, p.name)) for p in self.profiles)
        return replace(self, profiles=tuple(sorted(profiles, key=lambda p: p.name)))


def models() -> tuple[Geometry, ...]:
    """The geometries of all known models, sorted by model, under their canonical profile names.

    >>> len(models()), models()[0].model
    (20, 'A100-40GB')
    """
    return tuple(sorted((namings[0] for namings, _ in _table()), key=lambda geometry: geometry.model))


@cache
def profile_names() -> frozenset[str]:
    """Every name that a profile of any known model has, under whichever driver.

    >>> {"1g.5gb", "1g.24gb+me", "7g.189gb"} <= profile_names()
    True
    """
    return frozenset().union(*(geometry.names for namings, _ in _table() for geometry in namings))


@cache
def products() -> tuple[str, ...]:
    """The `nvidia.com/gpu.product` labels of all known models, sorted.

    >>> products()[0]
    'NVIDIA-A100-80GB-PCIe'
    """
    return tuple(sorted(label for _, record in _table() for label in record["product_labels"]))


@lru_cache(maxsize=1024)
def by_product(label: str, seen: frozenset[str] = frozenset()) -> Geometry | None:
    """The geometry behind a `nvidia.com/gpu.product` label; None for what the table does not know.

    Drivers differ in how they name the same profiles (a GB200 has 1g.23gb or 1g.24gb): the first naming that
    has all `seen` profiles is taken, the canonical one before its variant. Suffixes that GPU Feature
    Discovery adds for MIG and for sharing are ignored.

    Args:
        label: the label's value.
        seen: the profiles that the node advertises.

    >>> by_product("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED").model
    'A100-40GB'
    >>> "7g.189gb" in by_product("NVIDIA-GB200", frozenset({"1g.24gb"})).names
    True
    >>> by_product("NVIDIA-GB200", frozenset({"1g.24gb", "7g.186gb"})) is None
    True
    """
    product = plain_product(label)
    return _find(lambda record: product in record["product_labels"], seen)


def pci_ids(label: str) -> tuple[str, ...]:
    """The PCI ids that a GPU with this `nvidia.com/gpu.product` label may have; empty for an unknown model.

    >>> pci_ids("NVIDIA-A30")
    ('0x20B710DE',)
    """
    product = plain_product(label)
    records = (record for _, record in _table() if product in record["product_labels"])
    return tuple(device_id for record in records for device_id in record["pci_device_ids"])


def by_pci(device_id: str, seen: frozenset[str] = frozenset()) -> Geometry | None:
    """The geometry behind a PCI id of the form 0xDDDDVVVV (device, vendor), found as `by_product` does.

    >>> by_pci("0x233010de").model
    'H100-80GB'
    """
    wanted = device_id.lower()
    return _find(lambda record: wanted in (known.lower() for known in record["pci_device_ids"]), seen)


def from_nvml(model: str, profiles: Iterable[Mapping[str, Any]]) -> Geometry:
    """The geometry that a node's own NVML reports; to be believed before the table.

    NVML tells no engine totals, so media engines are counted by what the names say: `+me` and `+me.all` take
    the one OFA, `+me.all` takes every other engine too and `-me` none of them. On every model of the table
    this allows exactly what the table's engine counts allow.

    Args:
        model: a name for the geometry.
        profiles: for each `name`, `size` and `starts` (memory units), `maxCount`, and `id` where known.

    Raises:
        ValueError: no profile at all, a name that is none or comes twice, a profile without a place, or a
            size or count below 1.
    """
    rows = sorted(profiles, key=lambda row: str(row["name"]))
    if not rows:
        raise ValueError(f"GPU {model} reports no MIG profile")
    names = [str(row["name"]) for row in rows]
    if len(set(names)) < len(names):
        raise ValueError(f"GPU {model} reports a MIG profile twice: {', '.join(names)}")
    for row in rows:
        if not row["starts"] or min(row["starts"]) < 0 or row["size"] < 1 or row["maxCount"] < 1:
            raise ValueError(f"profile {row['name']} of GPU {model} has no legal place, size or count")
    compute = max(parse(name).compute for name in names)
    return Geometry(
        model=model,
        compute_slices=compute,
        memory_slices=max(max(row["starts"]) + row["size"] for row in rows),
        engines_total=(("media", compute), ("ofa", 1)),
        profiles=tuple(_reported(name, row, compute) for name, row in zip(names, rows, strict=True)),
    )


def _reported(name: str, row: Mapping[str, Any], compute: int) -> Profile:
    parts = parse(name)
    media = {"+me.all": compute, "-me": 0}.get(parts.attribute, parts.compute)
    engines = (("media", media), ("ofa", int(parts.attribute in ("+me", "+me.all"))))
    starts = tuple(sorted(set(row["starts"])))
    return Profile(name, parts.compute, row["size"], starts, row["maxCount"], engines, row.get("id"))


def plain_product(label: str) -> str:
    """The product's name without what the device plugin's modes append to it."""
    return re.sub(r"(-MIG-.*)?(-SHARED)?$", "", label)


def _find(wanted: Callable[[Mapping[str, Any]], bool], seen: frozenset[str]) -> Geometry | None:
    for namings, record in _table():
        if wanted(record):
            return next((geometry for geometry in namings if seen <= geometry.names), None)
    return None


@cache
def _table() -> tuple[tuple[tuple[Geometry, Geometry], dict[str, Any]], ...]:
    """((canonical geometry, variant), record) of each model; without other names both are equal."""
    text = resources.files("solver").joinpath("data/mig_profiles.json").read_text(encoding="utf-8")
    return tuple(((_geometry(record), _variant(record)), record) for record in json.loads(text))


def _geometry(record: Mapping[str, Any]) -> Geometry:
    profiles = (
        Profile(
            name=row["name"],
            compute=row["compute_slices"],
            size=row["size"],
            starts=tuple(sorted(row["placements"])),
            max_count=row["max_count"],
            engines=multiset(row["engines"]),
            gi_id=row["gi_profile_id"],
        )
        for row in record["profiles"]
    )
    return Geometry(
        model=record["model"],
        compute_slices=record["compute_slices"],
        memory_slices=record["memory_slices"],
        engines_total=multiset(record["engines_total"]),
        profiles=tuple(sorted(profiles, key=lambda p: p.name)),
    )


def _variant(record: Mapping[str, Any]) -> Geometry:
    """A model's other names come together: they all follow from the memory size that the driver reports."""
    other = {row["canonical"]: row["variant"] for row in record["name_variants"]}
    geometry = _geometry(record)
    plain = {p.name: re.sub(r"[+-].*", "", p.name) for p in geometry.profiles}
    return geometry.renamed({name: other.get(base, base) + name[len(base) :] for name, base in plain.items()})
