"""mig-parted's file in a ConfigMap with more configs in it, or why it cannot take them."""

from __future__ import annotations

from collections.abc import Mapping

from autoslicer.cluster.client import Object
from autoslicer.core import configs
from autoslicer.core.rows import ConfigEntry

CONFIG_MAP_LIMIT = 1024 * 1024
"""bytes; the API server takes no more under all keys of a ConfigMap together"""
CONFIG_KEY = "config.yaml"


class PublishError(Exception):
    """The ConfigMap cannot take the configs; the message says why."""


def file_with(config_map: Object, wanted: Mapping[str, tuple[ConfigEntry, ...]]) -> str | None:
    """The file with the missing configs added; None where none is missing. What is there stays.

    What is made is read again by mig-parted's rules before it is returned: one entry that mig-parted does not
    take would fail every node that is given any name in the file.

    Raises:
        PublishError: the file cannot be read, has another content under a name, would get too large, or would
            not be one that mig-parted accepts.
    """
    metadata = config_map["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    present = _read(name, (config_map.get("data") or {}).get(CONFIG_KEY, ""))
    taken = sorted(key for key, entries in wanted.items() if present.get(key, entries) != entries)
    if taken:
        raise PublishError(f"ConfigMap {name} has another content under the name {taken[0]}")
    if all(key in present for key in wanted):
        return None
    text = configs.render({**present, **wanted})
    if _read(name, text) != {**present, **wanted}:
        raise PublishError(f"ConfigMap {name} would not say what it is to say")
    others = {key: value for key, value in (config_map.get("data") or {}).items() if key != CONFIG_KEY}
    held = (*others.values(), *(config_map.get("binaryData") or {}).values(), text)
    if sum(len(value.encode()) for value in held) > CONFIG_MAP_LIMIT:
        raise PublishError(
            f"ConfigMap {name} would pass {CONFIG_MAP_LIMIT} bytes; remove configs that no node uses"
        )
    return text


def _read(name: str, text: str) -> Mapping[str, tuple[ConfigEntry, ...]]:
    try:
        return configs.parse(text)
    except ValueError as error:
        raise PublishError(f"ConfigMap {name} is not a file that mig-parted accepts: {error}") from None
