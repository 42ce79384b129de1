"""Whatever people do while changes run, every change ends and nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoslicer.core import names
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.rows import ReconfigurationRow, Taint
from simulations.cluster import START, Cluster
from simulations.executor import Executor
from tests.simulations.worlds import H100, LONGEST, Arrival, amend, auto, expect, hold_slices, pods

NODE = "node-0"


@dataclass(frozen=True)
class Deed:
    """Somebody does something at a time (seconds after the start)."""

    at: float
    what: str


def do(cluster: Cluster, deed: Deed) -> None:
    world = cluster.world
    match deed.what:
        case "cordon" | "uncordon":
            amend(cluster, NODE, unschedulable=deed.what == "cordon")
        case "relabel":
            amend(cluster, NODE, labels={names.MIG_CONFIG: "all-2g.20gb"})
        case "mislabel":
            amend(cluster, NODE, labels={names.MIG_CONFIG: "no-such-config"})
        case "walk in":
            profile = next(r for r in world.nodes[NODE].allocatable if r.startswith("nvidia.com/mig-"))
            cluster.submit(f"walk/{deed.at}", {profile.removeprefix("nvidia.com/mig-"): 1}, duration=9)
            world.write(replace(world.pods[f"walk/{deed.at}"], node=NODE, bound_at=world.stamp()))
        case "delete a pod":
            for pod in pods(cluster)[:1]:
                world.delete(pod)
        case "delete the policy":
            world.delete(cluster.policy)
        case "stop mig-manager":
            pod = world.pods[f"gpu-operator/nvidia-mig-manager-{NODE}"]
            world.write(replace(pod, ready=False))
        case "remove the node":
            cluster.remove_node(NODE)


def live_through(deeds: Sequence[Deed], *, agent: bool = False) -> Cluster:
    """A node on which a change begins after a second, while people do these things; to its end."""
    cluster = Cluster(auto(pending_seconds=1))
    cluster.add_node(NODE, H100, 2, "all-7g.80gb", agent=agent)
    expect(cluster, [Arrival(0, "3g.40gb", duration=20), Arrival(15, "1g.10gb"), Arrival(50, "3g.40gb")])
    for deed in deeds:
        cluster.world.on_node(NODE, deed.at, lambda deed=deed: do(cluster, deed))  # type: ignore[misc]
    for now in Executor(cluster.world).moments():
        assert now - START < LONGEST, "the world does not come to rest"
        hold_slices(cluster)
    return cluster


def end(cluster: Cluster) -> tuple[Phase, str]:
    """The phase of the first change, and the reason of its end."""
    change = cluster.world.changes[f"{NODE}-1"]
    return phase(change), ended_by(change)


def ended_by(change: ReconfigurationRow) -> str:
    """The reason of a change's end."""
    return next(c.reason for c in change.status.conditions if c.type == "Succeeded")


WHAT = (
    "cordon",
    "uncordon",
    "relabel",
    "mislabel",
    "walk in",
    "delete a pod",
    "delete the policy",
    "stop mig-manager",
)
deeds = st.lists(
    st.builds(Deed, st.integers(0, 240).map(lambda quarters: quarters / 4), st.sampled_from(WHAT)),
    max_size=5,
    unique_by=lambda deed: deed.at,
)


@settings(max_examples=60, deadline=None)
@given(deeds, st.booleans())
def test_every_change_ends_and_takes_its_taint_along(deeds: list[Deed], agent: bool) -> None:
    """No deed makes the controller fall over, loop, destroy what is in use, or leave a taint."""
    cluster = live_through(deeds, agent=agent)
    assert not [change.name for change in cluster.world.changes.values() if live(change)]
    assert not cluster.world.nodes[NODE].taints


def test_left_alone_the_change_is_done() -> None:
    """The same world without any deed serves all three pods."""
    cluster = live_through([])
    assert end(cluster) == (Phase.DONE, "Done")
    assert all(pod.node for pod in pods(cluster))


def test_a_cordon_before_the_label_cancels() -> None:
    """A human's cordon stands; the change goes, with its taint, and a later one serves the pods."""
    cluster = live_through([Deed(3, "cordon"), Deed(60, "uncordon")])
    assert end(cluster) == (Phase.CANCELLED, "Cordoned")
    assert not cluster.world.nodes[NODE].unschedulable
    assert all(pod.node for pod in pods(cluster))


def test_a_cordon_after_the_label_lets_the_change_finish() -> None:
    """Once the label is set the change is finished, and the cordon stays."""
    cluster = live_through([Deed(8, "cordon"), Deed(12.5, "delete a pod")])
    assert end(cluster)[0] is Phase.DONE
    assert cluster.world.nodes[NODE].unschedulable


def test_a_pod_that_walks_in_before_the_label_cancels() -> None:
    """A pod that is bound past the taint makes the node busy; its slice is not touched."""
    cluster = live_through([Deed(3, "walk in")])
    assert end(cluster) == (Phase.CANCELLED, "NodeBusy")
    assert cluster.world.pods["walk/3"].phase == "Succeeded"


def test_a_foreign_relabel_is_respected() -> None:
    """The change ends as ForeignOwner once mig-manager has settled, and the node is not changed again."""
    cluster = live_through([Deed(8, "relabel")])
    assert end(cluster) == (Phase.CANCELLED, "ForeignOwner")
    assert cluster.world.nodes[NODE].labels[names.MIG_CONFIG] == "all-2g.20gb"
    assert len(cluster.world.changes) == 1


@settings(max_examples=60, deadline=None)
@given(deeds, st.integers(0, 240).map(lambda quarters: quarters / 4), st.booleans())
def test_a_node_that_goes_ends_its_change(deeds: list[Deed], at: float, agent: bool) -> None:
    """There is nothing to undo where the node is gone, in whichever phase: nothing of it moves any more."""
    cluster = live_through([Deed(at, "remove the node"), *deeds], agent=agent)
    world = cluster.world
    changes = list(world.changes.values())
    assert not [change.name for change in changes if live(change)]
    assert not world.nodes
    assert not world.mignodes
    assert not any(pod.node for pod in world.pods.values() if not pod.finished)
    last = [change.status.steps[-1] for change in changes if ended_by(change) == "NodeGone"]
    assert all(step.phase is Phase.CANCELLED for step in last)
    event(f"it was in the phase {changes[-1].status.steps[-2].phase if last else 'of no change'}")


def test_a_change_that_has_begun_ends_with_its_node() -> None:
    """The change says why it ended."""
    assert end(live_through([Deed(3, "remove the node")])) == (Phase.CANCELLED, "NodeGone")


def test_foreign_taints_stay() -> None:
    """Only our own taint comes and goes."""
    cluster = Cluster(auto())
    cluster.add_node(NODE, H100, 1, "all-7g.80gb")
    foreign = Taint("example.com/gpu-team", "", "PreferNoSchedule")
    amend(cluster, NODE, taints=(foreign,))
    cluster.submit("team/0", {"1g.10gb": 1})
    seen = set[tuple[Taint, ...]]()
    cluster.world.watch(lambda old, new: seen.add(cluster.world.nodes[NODE].taints))
    for _ in Executor(cluster.world).moments():
        pass
    assert seen == {(foreign,), (foreign, Taint(names.TAINT, "1", "NoSchedule"))}
