"""Which of the operator's configs a node with GPUs of some model can have from the start."""

from __future__ import annotations

from functools import lru_cache

from autoslicer.core import configs
from solver import geometry


@lru_cache(maxsize=64)
def possible(product: str) -> tuple[str, ...]:
    """The names of the operator's configs that give every GPU of this product a legal layout, sorted.

    >>> "all-1g.10gb" in possible("NVIDIA-H100-80GB-HBM3"), "all-1g.5gb" in possible("NVIDIA-H100-80GB-HBM3")
    (True, False)
    """
    return tuple(sorted(name for name in configs.DEFAULTS if _fits(name, product)))


def _fits(name: str, product: str) -> bool:
    model = geometry.by_product(product)
    if model is None:
        return False
    found = configs.resolve(configs.DEFAULTS[name], geometry.pci_ids(product)[:1])
    # a filter may leave the GPU out
    return 0 in found and (found[0] is None or model.legal(found[0]))
