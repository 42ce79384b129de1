"""What tests of reserved nodes are made of: jobs that end, pods that starve, and what a cycle concludes."""

from __future__ import annotations

from autoslicer.core import configs
from autoslicer.core.actions import CreateChange
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.planner import Prepared
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from tests.build import NOON, Builder, Node, Pod, config_map, mig_manager, node, pod, policy
from tests.core.scenes import snapshot

AFTER, TIMEOUT = 3600, 900
ONES = {"1g.10gb": 7}
LAYOUTS = {"all-1g.10gb": 7, "all-2g.20gb": 3, "all-3g.40gb": 2}
"""configs that cut every GPU into so many instances"""
KNOWN = config_map({name: configs.DEFAULTS[name] for name in ("all-disabled", *LAYOUTS)})


def reserving(after: int = AFTER, nodes: int = 1) -> Builder:
    """A policy that reserves nodes."""
    rules = {"afterSeconds": after, "timeoutSeconds": TIMEOUT, "nodes": nodes}
    return policy().set("spec.disruption.reserve", rules)


def job(key: str, on: str = "full", restart: str = "Never", wants: str = "1g.10gb") -> Pod:
    """A running pod with one slice, whose containers are not started again."""
    return pod(key).wants({wants: 1}).on(on, at=NOON - 300).set("spec.restartPolicy", restart)


def starving(key: str = "high/large", since: float = AFTER, wants: str = "7g.80gb", count: int = 1) -> Pod:
    """A pod that has waited for a whole GPU, or other slices, for so long."""
    return pod(key).wants({wants: count}).created(NOON - since).unschedulable(NOON - since)


def machine(name: str = "full", gpus: int = 1) -> Node:
    """A node whose GPUs are cut into small slices."""
    return node(name).gpus(gpus).layout(*[ONES] * gpus, name="all-1g.10gb")


def cluster(*objects: Builder) -> Snapshot:
    """The objects, with a mig-manager on each node and the ConfigMap that it reads."""
    managers = [mig_manager(made.get("metadata.name")) for made in objects if isinstance(made, Node)]
    return snapshot(KNOWN, *managers, *objects)


def decision(*objects: Builder) -> Decision:
    """What the cycle concludes about them."""
    found = cluster(*objects)
    return decide(found, found.policies, NOON, Prepared())[0]


def changes(*objects: Builder) -> list[ReconfigurationRow]:
    """The changes that it creates."""
    return [action.change for action in decision(*objects).actions if isinstance(action, CreateChange)]
