"""What labels, allocatable and a MigNode tell."""

from __future__ import annotations

import pytest

from autoslicer.core import names, reading
from autoslicer.core.nodes import evidence
from autoslicer.core.rows import GpuTarget, NodeRow
from tests.build import Layout, Node, mignode, node
from tests.core.stages import discovered

SEVEN, ONES = (("7g.80gb", 1),), (("1g.10gb", 7),)


def row(made: Node) -> NodeRow:
    return reading.node(made.raw)


def test_labels_that_are_absent_read_as_empty() -> None:
    """A node that nobody labelled has no config, no state, and nothing paused."""
    bare = row(node("a"))
    assert (evidence.config(bare), evidence.state(bare), evidence.paused(bare)) == ("", "", ())
    labelled = row(node("a").gpus(1).config("all-7g.80gb"))
    assert (evidence.config(labelled), evidence.state(labelled)) == ("all-7g.80gb", "success")


@pytest.mark.parametrize(
    ("state", "settled"),
    [("pending", False), ("rebooting", False), ("success", True), ("failed", True), ("", True)],
)
def test_mig_manager_has_settled_unless_it_says_otherwise(state: str, settled: bool) -> None:
    """Pending and rebooting are a run; everything else is none."""
    assert evidence.settled(row(node("a").labels({names.MIG_CONFIG_STATE: state}))) == settled


def test_clients_are_paused_by_mig_manager_alone() -> None:
    """Every value that begins with paused, of every client; an admin's false and other labels are none."""
    labels = {
        "nvidia.com/gpu.deploy.nvsm": "paused-for-mig-change",
        "nvidia.com/gpu.deploy.dcgm": "paused-for-driver-upgrade",
        "nvidia.com/gpu.deploy.driver": "false",
        "nvidia.com/gpu.deploy.device-plugin": "true",
        "example.com/state": "paused",
    }
    expected = ("nvidia.com/gpu.deploy.dcgm", "nvidia.com/gpu.deploy.nvsm")
    assert evidence.paused(row(node("a").labels(labels))) == expected


def test_what_is_offered_counts_gpus_and_slices_that_are_there() -> None:
    """A real node keeps zeros for profiles that vanished, and has resources of other kinds."""
    amounts = {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.10gb": "7", "nvidia.com/mig-7g.80gb": "0"}
    made = node("a").allocatable({**amounts, "nvidia.com/hostdev": "3"})
    assert evidence.advertised(row(made)) == (("nvidia.com/gpu", 1), ("nvidia.com/mig-1g.10gb", 7))


def test_a_layout_promises_its_slices_and_a_gpu_without_mig_itself() -> None:
    """Under mixed, the plus of a profile is a dot in its resource; an empty GPU promises nothing."""
    layouts = [None, (("1g.10gb", 6), ("1g.10gb+me", 1)), (("1g.10gb", 1),), (), None]
    assert evidence.promised(layouts) == (
        ("nvidia.com/gpu", 2),
        ("nvidia.com/mig-1g.10gb", 7),
        ("nvidia.com/mig-1g.10gb.me", 1),
    )


def test_before_and_after_add_up_all_gpus_of_the_node() -> None:
    """Also those that do not change."""
    gpus = [GpuTarget(0, SEVEN, ONES, True), GpuTarget(1, SEVEN, SEVEN, False)]
    assert evidence.before(gpus) == (("nvidia.com/mig-7g.80gb", 2),)
    assert evidence.after(gpus) == (("nvidia.com/mig-1g.10gb", 7), ("nvidia.com/mig-7g.80gb", 1))


def test_discovery_is_read_from_its_counts() -> None:
    """Only the counts of slices are; where GPU feature discovery is switched off it says nothing."""
    made = discovered(node("a").gpus(1), {"1g.10gb": 6, "1g.10gb+me": 1})
    made = made.labels({"nvidia.com/mig-1g.10gb.memory": "9", "nvidia.com/mig-2g.20gb.count": "many"})
    expected = (("nvidia.com/mig-1g.10gb", 6), ("nvidia.com/mig-1g.10gb.me", 1))
    assert evidence.discovered(row(made)) == expected
    switch = "nvidia.com/gpu.deploy.gpu-feature-discovery"
    assert evidence.discovered(row(made.labels({switch: "true"}))) == expected
    assert evidence.discovered(row(made.labels({switch: "false"}))) is None
    assert evidence.discovered(row(node("a"))) == ()


@pytest.mark.parametrize(
    ("layouts", "shown"),
    [
        ([{"1g.10gb": 7}, None], True),
        ([{"1g.10gb": 6}, None], False),
        ([{"1g.10gb": 7}, {}], False),
        ([None, {"1g.10gb": 7}], False),
        ([{"1g.10gb": 7}], False),
        ([{"1g.10gb": 7}, None, None], False),
    ],
)
def test_an_agent_shows_a_layout_gpu_by_gpu(layouts: list[Layout], shown: bool) -> None:
    """Not only the sum, and every GPU; a GPU without MIG is another thing than an empty one."""
    agent = mignode("a")
    for layout in layouts:
        agent = agent.gpu(layout)
    gpus = [GpuTarget(0, SEVEN, ONES, True), GpuTarget(1, None, None, False)]
    assert evidence.shows(reading.mig_node(agent.raw), gpus) == shown
