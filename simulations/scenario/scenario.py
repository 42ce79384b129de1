"""A scenario, ready to be simulated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoslicer.core.policy import Policy
from autoslicer.core.rows import Taint
from simulations.workload.lines import called
from simulations.workload.mistakes import InputError
from simulations.workload.source import Source, Trace


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a virtual cluster.

    Attributes:
        product: of its GPUs, as `nvidia.com/gpu.product` spells it.
        gpus: how many.
        config: the operator's mig-parted config that it begins with.
        cpu: allocatable, in thousandths of a core.
        memory: allocatable, in bytes.
        labels: besides those that the GPU Operator sets.
        agent: a MigNode tells which GPU a pod uses.
        joins: seconds after the start at which it is there with its slices; None for from the start.
        leaves: seconds after the start at which it is gone with all that runs there; None for never.
    """

    name: str
    product: str
    gpus: int
    config: str
    cpu: int
    memory: int
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    agent: bool
    joins: float | None = None
    leaves: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take in a virtual cluster, in seconds, and how often they fail.

    Attributes:
        schedule: from what makes a pod schedulable to its binding.
        apply: from the label to mig-manager's success.
        plugin: from a node that takes the device plugin's pod again to slices in allocatable.
        reboot: how long a node is away that is rebooted for the MIG mode of an Ampere GPU; 0 where such a
            GPU is reset instead.
        failure_rate: the part of mig-manager's runs that fail, from 0 to 1.
        reaction: from what calls for a turn of the controller to that turn.
    """

    schedule: float = 0.25
    apply: float = 30.0
    plugin: float = 15.0
    reboot: float = 0.0
    failure_rate: float = 0.0
    reaction: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated.

    Attributes:
        nodes: of the cluster, in the order of the document; none where there is a snapshot.
        snapshot: the dump that the cluster is taken from; None where there are nodes.
        workload: where the jobs come from.
        policy: the one that governs the cluster.
        timing: of what happens there.
        compare: the names of the strategies, in the order of the document.
        seed: of everything that is drawn but the jobs, which may have their own.
        document: the scenario with every default filled in, which is read as an equal one.
    """

    nodes: tuple[Node, ...]
    snapshot: Path | None
    workload: Source
    policy: Policy
    timing: Timing
    compare: tuple[str, ...]
    seed: int
    document: Mapping[str, Any]


def digest(scenario: Scenario) -> str:
    """Identifies the simulation: `sha256:` and 64 hexadecimal digits.

    It covers the scenario with its defaults and the content of the files that it names: equal digests mean
    equal simulations, wherever the files lie.

    Raises:
        InputError: such a file cannot be read.
    """
    document = {**scenario.document}
    if scenario.snapshot is not None:
        document["cluster"] = {"snapshot": _content(scenario.snapshot)}
    if isinstance(scenario.workload, Trace):
        trace = document["workload"]["trace"]
        document["workload"] = {"trace": {**trace, "path": _content(scenario.workload.path)}}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{called(path)}: cannot be read: {error.strerror}") from None
