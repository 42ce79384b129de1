"""GPU models for the fake NVML: the product's own table, written as the file that the library reads."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

Model = dict[str, Any]
ENGINES = ("decoder", "encoder", "jpeg", "ofa")


def models() -> list[Model]:
    """The product's own table of GPU models."""
    text = resources.files("solver").joinpath("data/mig_profiles.json").read_text(encoding="utf-8")
    found: list[Model] = json.loads(text)
    return found


def model_of(product: str) -> Model:
    """The record of the model with this `nvidia.com/gpu.product` label."""
    return next(record for record in models() if product in record["product_labels"])


def memory_mib(model: Model) -> int:
    """What the driver reports as the memory of the whole GPU; where the table lacks it, from the names."""
    largest = max(int(re.findall(r"\.(\d+)gb", profile["name"])[0]) for profile in model["profiles"])
    return int(model["total_memory_mib"] or largest * 1024)


def described(model: Model, gpus: int, *, name: str, pci: str, memory: int) -> str:
    """The text of the fake NVML's `model` file.

    Its lines are: `name` and the GPU's name; `gpu` with the number of GPUs, the PCI id, the memory in MiB,
    compute slices, memory units and media engines; for each `profile` its name, NVML's number of it, its GPU
    instance profile id, compute slices, largest count, memory in MiB and in units, media engines, and its
    starts.
    """
    units = model["memory_slices"]
    engines = [str(model["engines_total"][engine]) for engine in ENGINES]
    head = (gpus, pci.removeprefix("0x"), memory, model["compute_slices"], units, *engines)
    lines = [f"name {name}", "gpu " + " ".join(map(str, head))]
    for position, profile in enumerate(model["profiles"]):
        number, instance = profile["nvml_profile_enum"], profile["gi_profile_id"]
        fields = (
            *(profile["name"], number, 100 + position if instance is None else instance),
            *(profile["compute_slices"], profile["max_count"]),
            *(memory * profile["size"] // units, profile["size"]),
            *(profile["engines"][engine] for engine in ENGINES),
            *profile["placements"],
        )
        lines.append("profile " + " ".join(map(str, fields)))
    return "\n".join([*lines, ""])
