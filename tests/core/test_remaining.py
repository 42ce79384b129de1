"""The room that is told is the room that the planner finds for pods that do come."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core import configs, planner
from autoslicer.core.remaining import document, remaining, total
from solver.problem import Counts
from tests.build import A30, H100, NOON, PCI, Builder, Node, Pod, mignode, node, pod, policy
from tests.core.scenes import POLICIES, snapshot

CONFIGS = {H100: ("all-7g.80gb", "all-1g.10gb", "all-balanced", "all-disabled"), A30: ("all-2g.12gb",)}
PROFILES = ("1g.10gb", "3g.40gb", "7g.80gb", "1g.6gb", "2g.12gb", "4g.24gb")


@st.composite
def machines(draw: st.DrawFn, name: str) -> list[Builder]:
    """A node in one of many states, with who runs there."""
    product = draw(st.sampled_from((H100, H100, A30)))
    found = node(name).gpus(draw(st.integers(1, 2)), product).config(draw(st.sampled_from(CONFIGS[product])))
    found = found.allocatable(
        {"cpu": draw(st.sampled_from(("3", "64"))), "pods": draw(st.sampled_from(("4", "110")))}
    )
    state = draw(st.sampled_from(("", "", "", "cordoned", "tainted", "gpu-taint", "failed")))
    if state == "cordoned":
        found = found.cordoned()
    elif state == "failed":
        found = found.labels({"nvidia.com/mig.config.state": "failed"})
    elif state:
        found = found.taint("nvidia.com/gpu" if state == "gpu-taint" else "example.com/own")
    layouts = [dict(layout) for layout in held(found)]
    profile = next(iter(layouts[0]), "")
    if not profile or draw(st.booleans()):
        return [found]
    tenant = pod(f"old/{name}").wants({profile: 1}).on(name)
    if draw(st.booleans()):
        return [found, tenant]
    agent = mignode(name)
    for index, layout in enumerate(layouts):
        agent = agent.gpu(layout, pods={profile: [f"old/{name}"]} if not index else None, product=product)
    return [found, tenant, agent]


def held(found: Node) -> list[Counts]:
    """What each GPU of a node holds."""
    labels = found.raw["metadata"]["labels"]
    pcis = [PCI[labels["nvidia.com/gpu.product"]]] * int(labels["nvidia.com/gpu.count"])
    layouts = configs.resolve(configs.DEFAULTS[labels["nvidia.com/mig.config"]], pcis)
    return [layouts[index] or () for index in sorted(layouts)]


def comers(profile: str, cpu: int, count: int) -> list[Pod]:
    """So many pods as the room is counted for."""
    wanted = [pod(f"new/{n:03}").wants({profile: 1}).tolerates("nvidia.com/gpu") for n in range(count)]
    return [one.resources({"cpu": f"{cpu}m"}) if cpu else one for one in wanted]


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(*(machines(f"gpu-{n}") for n in range(3))),
    st.sampled_from(PROFILES),
    st.sampled_from((0, 1000)),
    st.integers(1, 4),
    st.booleans(),
)
def test_the_room_is_what_the_planner_finds(
    found: tuple[list[Builder], ...], profile: str, cpu: int, min_benefit: int, modes: bool
) -> None:
    """Of more pods than ever fit as many are served as were told: without any policy, and with reshapes."""
    objects = [one for group in found for one in group]
    governing = policy().set("spec.disruption.minBenefit", min_benefit)
    if modes:
        governing = governing.set("spec.layouts.allowModeChange", True)
    cluster = snapshot(*objects, governing)
    room = total(remaining(cluster, cluster.policies, NOON, {"cpu": cpu}))
    crowded = snapshot(*objects, governing, *comers(profile, cpu, 45))
    assert len(planner.plan(crowded, {}, NOON).served) == room.now[profile]
    assert len(planner.plan(crowded, cluster.policies, NOON).served) == room.after[profile]
    event(f"reshapes help: {room.after[profile] > room.now[profile]}")
    event(f"room now: {room.now[profile] > 0}")


def test_the_document_counts_by_product_and_in_all() -> None:
    """Its keys and shapes are those of the contract, and a full node's profiles are there with 0."""
    full = node("old").gpus(1, A30).config("all-4g.24gb")
    tenant = pod("team/old").wants({"4g.24gb": 1}).on("old")
    rooms = remaining(
        snapshot(node("new").gpus(2).config("all-7g.80gb"), full, tenant), POLICIES, NOON, {"cpu": 500}
    )
    made = document(rooms, {"cpu": 500})
    assert list(made) == ["apiVersion", "kind", "requests", "products", "total"]
    first, second = made["products"]
    assert (first["product"], first["nodes"], first["gpus"], first["idleGpus"]) == (A30, 1, 1, 0)
    assert all(row["now"] == row["afterReshapes"] == 0 for row in first["profiles"])
    assert (second["product"], second["gpus"], second["idleGpus"]) == (H100, 2, 2)
    assert {"profile": "7g.80gb", "now": 2, "afterReshapes": 2} in second["profiles"]
    assert {"profile": "1g.10gb", "now": 0, "afterReshapes": 14} in made["total"]["profiles"]
