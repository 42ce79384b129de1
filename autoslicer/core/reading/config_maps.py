"""mig-parted's ConfigMaps, as the core reads them."""

from __future__ import annotations

from collections.abc import Mapping

from autoslicer.core import configs
from autoslicer.core.fields import root
from autoslicer.core.rows import ConfigEntry, ConfigMapRow

CONFIG_KEY = "config.yaml"
"""the key that mig-manager reads; the GPU Operator asks for exactly this one"""


def config_map(obj: object) -> ConfigMapRow:
    """The row of a v1 ConfigMap; one that is not mig-parted's has no configs.

    Raises:
        ValueError: a field has a type that no API server would accept.
    """
    top = root(obj, "ConfigMap")
    metadata, inner = top.fields("metadata"), top.fields("data")
    data = {key: inner.raw(key) for key in inner.names()}
    return ConfigMapRow(
        namespace=metadata.text("namespace") or "default",
        name=metadata.required("name"),
        resource_version=metadata.text("resourceVersion"),
        configs=_configs(data.get(CONFIG_KEY, "")),
        size=sum(
            len(key.encode(errors="replace")) + len(text.encode(errors="replace"))
            for key, text in data.items()
        ),
    )


def _configs(text: str) -> Mapping[str, tuple[ConfigEntry, ...]] | None:
    """A file that mig-parted would refuse is as good as none: mig-manager then fails every name in it."""
    if "mig-configs" not in text:
        return None
    try:
        return configs.parse(text)
    except ValueError:
        return None
