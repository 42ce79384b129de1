"""mig-parted's configs: their file format, what they mean for GPUs, and the names of those we generate."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

from autoslicer.core import names
from autoslicer.core.fields import Fields
from autoslicer.core.rows import ConfigEntry, GpuTarget
from solver.problem import Counts, counts

ALL_DISABLED = "all-disabled"
"""the config that the GPU Operator gives to a node whose label is absent or blank"""

_PROFILE = re.compile(r"([1-9]c\.)?[1-9]g\.[1-9]\d{0,3}gb([+-][a-z0-9]+([.,][a-z0-9]+)*)*", re.ASCII)
_DEVICE = re.compile(r"0x[0-9a-fA-F]{8}")
_ENTRY_FIELDS = {"devices", "device-filter", "mig-enabled", "mig-devices"}


def entries_of(gpus: Iterable[GpuTarget]) -> tuple[ConfigEntry, ...]:
    """The config that gives every GPU its layout after the change: one entry a layout, lowest index first."""
    devices: dict[Counts | None, list[int]] = {}
    for gpu in sorted(gpus, key=lambda gpu: gpu.index):
        devices.setdefault(gpu.after, []).append(gpu.index)
    return tuple(
        ConfigEntry(tuple(indices), (), layout is not None, layout or ())
        for layout, indices in devices.items()
    )


def config_name(entries: Sequence[ConfigEntry], variant: int = 0) -> str:
    """The name of a generated config: equal content gives equal names; each `variant` gives it another one.

    mig-manager acts only when the label's value changes, so that a layout that has to be applied again needs
    another name.

    >>> config_name((ConfigEntry((0, 1), (), True, (("1g.10gb", 7),)),))
    'autoslicer-3a3d10e51264'
    """
    content: list[object] = [written(entry) for entry in entries]
    if variant:
        content.append(variant)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{names.CONFIG_PREFIX}{digest[:12]}"


def written(entry: ConfigEntry) -> dict[str, Any]:
    """An entry as mig-parted spells it, keys in its order."""
    found: dict[str, Any] = {"devices": "all" if entry.devices is None else list(entry.devices)}
    if entry.filter:
        found["device-filter"] = list(entry.filter)
    found["mig-enabled"] = entry.mig_enabled
    if entry.mig_enabled:
        found["mig-devices"] = dict(entry.mig_devices)
    return found


def render(configs: Mapping[str, Sequence[ConfigEntry]]) -> str:
    """The text of a mig-parted file with these configs, sorted by name; `parse` reads it back."""
    content = {name: [written(entry) for entry in configs[name]] for name in sorted(configs)}
    file = {"version": "v1", "mig-configs": content}
    return yaml.safe_dump(file, sort_keys=False, default_flow_style=None, width=10_000)


def parse(text: str) -> dict[str, tuple[ConfigEntry, ...]]:
    """The configs of a mig-parted file, sorted by name, by the rules of mig-parted's `api/spec/v1`.

    One field that mig-parted does not know makes it refuse the whole file, and then every node fails that is
    given any name in it.

    Raises:
        ValueError: mig-parted would refuse the file.
    """
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"the mig-parted file is not YAML: {reason}") from None
    if not isinstance(content, dict):
        raise ValueError("the mig-parted file must be an object with version and mig-configs")
    top = Fields("the mig-parted file", "", content)
    _known(top, {"version", "mig-configs"})
    if top.required("version") != "v1":
        raise ValueError("the mig-parted file: version must be v1")
    configs = top.fields("mig-configs")
    if not all(isinstance(name, str) for name in configs.values):
        raise ValueError("the mig-parted file: every config's name must be a string; put it in quotes")
    if not configs.values:
        raise ValueError("the mig-parted file: mig-configs must hold at least one config")
    return {name: _entries(configs, name) for name in sorted(configs.values)}


def _entries(configs: Fields, name: Any) -> tuple[ConfigEntry, ...]:
    entries = tuple(_entry(entry) for entry in configs.each(name))
    if not entries:
        raise ValueError(f"{configs.what}: {configs.at(name)} must have at least one entry")
    return entries


def _entry(entry: Fields) -> ConfigEntry:
    _known(entry, _ENTRY_FIELDS)
    if not entry.has("mig-enabled"):
        raise ValueError(f"{entry.what}: {entry.at('mig-enabled')} is missing")
    enabled, layout = entry.flag("mig-enabled"), entry.fields("mig-devices")
    amounts = {profile: layout.count(profile) for profile in layout.names()}
    if enabled and not entry.has("mig-devices"):
        raise ValueError(f"{entry.what}: {entry.at('mig-devices')} is missing")
    if not enabled and amounts:
        raise ValueError(f"{entry.what}: {layout.path} must be absent where mig-enabled is false")
    if amounts and not any(amounts.values()):
        raise ValueError(f"{entry.what}: {layout.path} must ask for at least one instance, or be empty")
    for profile in amounts:
        if not _PROFILE.fullmatch(profile):
            raise ValueError(f"{entry.what}: {layout.path} names {profile[:32]!r}, which is no MIG profile")
    return ConfigEntry(_devices(entry), _filter(entry), enabled, counts(amounts))


def _devices(entry: Fields) -> tuple[int, ...] | None:
    value = entry.values.get("devices")
    if value == "all":
        return None
    if not isinstance(value, list):
        raise entry.wrong("devices", '"all" or a list of GPU indices')
    indices = entry.integers("devices")
    if min(indices, default=0) < 0:
        raise ValueError(f"{entry.what}: {entry.at('devices')} must not hold a negative index")
    return indices


def _filter(entry: Fields) -> tuple[str, ...]:
    if isinstance(entry.values.get("device-filter"), str):
        return (entry.required("device-filter"),)
    return entry.texts("device-filter")


def _known(fields: Fields, known: set[str]) -> None:
    unexpected = sorted(str(key) for key in fields.values if key not in known)
    if unexpected:
        place = f" in {fields.path}" if fields.path else ""
        raise ValueError(f"{fields.what}: unexpected field {unexpected[0][:32]!r}{place}")


def resolve(entries: Iterable[ConfigEntry], pcis: Sequence[str]) -> dict[int, Counts | None]:
    """The layout of each GPU that the config selects, None where MIG is off; later entries win.

    Args:
        entries: of one config.
        pcis: the PCI id of each GPU of the node, by index, such as `0x233010DE`.

    Raises:
        ValueError: a device filter asks for more than a PCI id.
    """
    found: dict[int, Counts | None] = {}
    for entry in entries:
        for index, pci in enumerate(pcis):
            if (entry.devices is None or index in entry.devices) and _selects(entry.filter, pci):
                found[index] = entry.mig_devices if entry.mig_enabled else None
    return found


@lru_cache(maxsize=4096)
def _selects(device_filter: tuple[str, ...], pci: str) -> bool:
    for wanted in device_filter:
        if not _DEVICE.fullmatch(wanted):
            raise ValueError(f"the device filter {wanted[:32]!r} asks for more than a PCI device id")
    return not device_filter or pci.lower() in (wanted.lower() for wanted in device_filter)


def _defaults() -> Mapping[str, tuple[ConfigEntry, ...]]:
    data = resources.files("autoslicer.core").joinpath("data/default_mig_configs.json")
    text = data.read_text(encoding="utf-8")
    content = Fields("default_mig_configs.json", "", json.loads(text)).fields("mig-configs")
    return MappingProxyType({name: _entries(content, name) for name in content.names()})


DEFAULTS = _defaults()
"""the configs that the GPU Operator ships (its ConfigMap `default-mig-parted-config`), by name"""
