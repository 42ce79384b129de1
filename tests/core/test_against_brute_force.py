"""Whole snapshots against a brute force that knows plain numbers alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from autoslicer.core.plan import Plan
from tests.build import NOON, Builder, MigNode, mignode, node, offered, pod, policy
from tests.core.scenes import planned
from tests.solver import brute, tiny

CASES = 60
SHARE = 12
"""instances a test, so that a failure names few"""


def objects(nodes: list[dict[str, Any]], pods: list[dict[str, Any]]) -> list[Builder]:
    """The cluster as kubectl would print it: busy GPUs by what an agent sees, limits by a policy a node."""
    made: list[Builder] = []
    weight = "Requests" if all(plain["weight"] == 1 for plain in pods) else "Slices"
    for plain in nodes:
        *others, limits = cluster_node(plain)
        made += [*others, limits.set("spec.objective", {"weight": weight, "starvationSeconds": 3600})]
    for plain in pods:
        hosts = {"key": "kubernetes.io/hostname", "operator": "In", "values": plain["nodes"]}
        waiting = pod(plain["name"]).wants(plain["slices"]).priority(plain["priority"])
        cpu = {"cpu": str(plain["resources"]["cpu"])}
        waiting = waiting.created(NOON - (7200 if plain["starved"] else 600))
        made.append(waiting.resources(cpu).affinity({"matchExpressions": [hosts]}))
    return made


def cluster_node(plain: dict[str, Any]) -> list[Builder]:
    """A node with its agent's view, its policy and the pods that hold the slices that are not free."""
    name, gpus = plain["name"], plain["gpus"]
    products = [brute.models()[gpu["model"]]["product_labels"][0] for gpu in gpus]
    layouts = [gpu["layout"] for gpu in gpus]
    free = dict(plain["free"])
    for gpu in gpus:
        if gpu["changeable"]:
            for profile, count in (gpu["layout"] or {}).items():
                free[profile] = free.get(profile, 0) - count
    agent: MigNode = mignode(name)
    runs: list[Builder] = []
    for gpu, product in zip(gpus, products, strict=True):
        holders: dict[str, list[str]] = {}
        for profile, count in (gpu["layout"] or {}).items() if not gpu["changeable"] else ():
            idle = min(count, max(free.get(profile, 0), 0))
            free[profile] = free.get(profile, 0) - idle
            for _ in range(count - idle):
                key = f"runs/{name}-{len(runs)}"
                runs.append(pod(key).wants({profile: 1}).on(name))
                holders.setdefault(profile, []).append(key)
        view = agent.gpu(gpu["layout"], pods=holders, processes=0 if gpu["changeable"] else 1)
        *before, last = view.get("status.gpus")
        agent = agent.set("status.gpus", [*before, {**last, "product": product}])
    raw = node(name).gpus(len(gpus)).labels({"nvidia.com/gpu.product": products[0]})
    raw = raw.set("status.allocatable", {"cpu": str(plain["resources"]["cpu"]), **offered(*layouts)})
    raw = raw.allocatable({"pods": str(plain["resources"]["pods"] + len(runs))})
    limits = policy(name, {"kubernetes.io/hostname": name}).set(
        "spec.disruption.minBenefit", plain["minBenefit"]
    )
    rules: dict[str, Any] = {
        "allowModeChange": plain["modeChange"],
        "allowedProfiles": plain["profiles"] or [],
    }
    return [raw, agent.observed(NOON), *runs, limits.set("spec.layouts", rules)]


def levels(made: Plan) -> dict[str, Any]:
    """The plan's levels as the brute force gives them."""
    values = {level.name: level.value for level in made.levels if level.rank is None}
    served = {level.rank: level.value for level in made.levels if level.rank is not None}
    return {
        "served": served,
        "nodes": values["nodesChanged"],
        "gpus": values["gpusChanged"],
        "spare": values["spare"],
    }


@pytest.mark.parametrize("first", range(0, CASES, SHARE))
def test_plans_are_as_good_as_trying_everything(first: int) -> None:
    """On every level, from raw objects on: who is served, how many nodes and GPUs change, what stays free."""
    reshaped = 0
    for seed in range(first, first + SHARE):
        nodes, pods = tiny.tiny(random.Random(seed))
        for plain in nodes:
            for gpu in plain["gpus"]:
                # a GPU without instances has nothing that could be in use
                gpu["changeable"] = gpu["changeable"] or not gpu["layout"]
        made = planned(*objects(nodes, pods))
        assert levels(made) == brute.optimum(nodes, pods), f"seed {seed}"
        reshaped += bool(made.reshapes)
    assert reshaped >= SHARE // 4
