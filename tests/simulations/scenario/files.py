"""Scenario files for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from simulations.scenario.load import load
from simulations.workload.mistakes import InputError

HEAD = "apiVersion: autoslicer.dev/v1alpha1\nkind: Scenario\n"
NODE = "{name: gpu, product: NVIDIA-H100-80GB-HBM3, gpus: 4, config: all-7g.80gb}"
CLUSTER = f"cluster:\n  nodes:\n  - {NODE}\n"
GENERATE = "{pods: 3, arrivalRate: 1, durations: {constant: {seconds: 5}}, profiles: {1g.10gb: 1}}"
WORKLOAD = f"workload:\n  generate: {GENERATE}\n"
GOOD = f"{HEAD}{CLUSTER}{WORKLOAD}"


def scenario(folder: Path, text: str | bytes = GOOD, name: str = "scenario.yaml") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def mistakes(path: Path, overrides: Iterable[str] = ()) -> list[str]:
    """The sentences with which the scenario is refused, files without folders; none where it is accepted."""
    try:
        load(path, overrides)
    except InputError as error:
        return str(error).replace(f"{path.parent}/", "").splitlines()
    return []
