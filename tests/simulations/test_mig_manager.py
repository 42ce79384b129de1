"""The virtual mig-manager and device plugin do what the real ones were measured to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoslicer.core import names
from autoslicer.core.nodes import evidence
from autoslicer.core.rows import ConfigEntry, Taint
from autoslicer.core.times import rfc3339
from simulations.cluster import Cluster, daemon
from simulations.gpu import PROCESS
from simulations.mig_manager import CLIENTS, Trap
from simulations.pace import MEASURED
from tests.simulations.worlds import H100, amend, auto, run

NODE, POD = "node-0", "gpu-operator/nvidia-mig-manager-node-0"
SEVEN, WHOLE = (("1g.10gb", 7),), (("7g.80gb", 1),)
ONE_CUT = (ConfigEntry((0,), (), True, SEVEN), ConfigEntry((1,), (), True, WHOLE))
"""GPU 0 in seven, GPU 1 whole"""
A100 = "NVIDIA-A100-SXM4-80GB"


@pytest.fixture
def cluster() -> Cluster:
    """One node with two whole GPUs, and no controller."""
    made = Cluster(auto())
    made.add_node(NODE, H100, 2, "all-7g.80gb")
    return made


def publish(cluster: Cluster, name: str, entries: tuple[ConfigEntry, ...], *, touch: bool = True) -> None:
    row = cluster.world.config_maps[auto().config_map]
    assert row.configs is not None
    cluster.world.write(replace(row, configs={**row.configs, name: entries}))
    if touch:
        stamp = rfc3339(cluster.world.clock.now)
        cluster.world.write(replace(cluster.world.pods[POD], published=f"{name}@{stamp}"))


def label(cluster: Cluster, config: str) -> None:
    amend(cluster, NODE, labels={names.MIG_CONFIG: config, names.MIG_CONFIG_STATE: "pending"})


def state(cluster: Cluster) -> str:
    return evidence.state(cluster.world.nodes[NODE])


def instances(cluster: Cluster, gpu: int) -> list[str]:
    return [instance.uuid for instance in cluster.gpus[NODE][gpu].instances or ()]


def test_success_comes_before_the_device_plugin(cluster: Cluster) -> None:
    """After about five seconds the state is success, and slices are offered only some seconds later."""
    label(cluster, "all-1g.10gb")
    run(cluster, 4.9)
    assert (state(cluster), evidence.advertised(cluster.world.nodes[NODE])) == ("pending", ())
    assert evidence.paused(cluster.world.nodes[NODE])
    run(cluster, 0.3)
    assert (state(cluster), evidence.advertised(cluster.world.nodes[NODE])) == ("success", ())
    assert not evidence.paused(cluster.world.nodes[NODE])
    run(cluster, 10)
    assert evidence.advertised(cluster.world.nodes[NODE]) == (("nvidia.com/mig-1g.10gb", 14),)
    assert evidence.discovered(cluster.world.nodes[NODE]) == (("nvidia.com/mig-1g.10gb", 14),)


def test_only_gpus_whose_multiset_differs_are_cut(cluster: Cluster) -> None:
    """The instance of the GPU that keeps its layout stays the same one."""
    before = instances(cluster, 1)
    publish(cluster, "mixed", ONE_CUT)
    run(cluster, 2)
    label(cluster, "mixed")
    run(cluster, 20)
    assert state(cluster) == "success"
    assert cluster.gpus[NODE][0].layout == SEVEN
    assert instances(cluster, 1) == before


def test_a_name_that_the_file_does_not_show_fails(cluster: Cluster) -> None:
    """Without a touch of its pod the file shows a new name only after more than a minute."""
    publish(cluster, "mixed", ONE_CUT, touch=False)
    run(cluster, 50)
    label(cluster, "mixed")
    run(cluster, 20)
    assert state(cluster) == "failed"


def test_the_file_shows_a_new_name_after_a_while_without_a_touch(cluster: Cluster) -> None:
    """Ninety seconds are enough."""
    publish(cluster, "mixed", ONE_CUT, touch=False)
    run(cluster, 90)
    label(cluster, "mixed")
    run(cluster, 20)
    assert state(cluster) == "success"


def test_a_changed_gpu_in_use_fails_and_keeps_its_instance(cluster: Cluster) -> None:
    """Nothing is evicted and nothing in use destroyed; the state is failed."""
    (instance,) = cluster.gpus[NODE][0].instances or ()
    instance.holder = "team/0"
    label(cluster, "all-1g.10gb")
    run(cluster, 20)
    assert state(cluster) == "failed"
    assert cluster.gpus[NODE][0].instances == [instance]


def test_instances_before_the_one_in_use_are_lost(cluster: Cluster) -> None:
    """A run that fails at a busy instance has destroyed those that came before it."""
    label(cluster, "all-1g.10gb")
    run(cluster, 20)
    instances_now = cluster.gpus[NODE][0].instances or []
    instances_now[3].holder = "team/0"
    label(cluster, "all-7g.80gb")
    run(cluster, 20)
    assert state(cluster) == "failed"
    assert len(cluster.gpus[NODE][0].instances or ()) == 4


def test_a_run_that_fails_after_a_success_leaves_the_clients_paused(cluster: Cluster) -> None:
    """A failure before the first success of the process gives the labels back, a later one does not."""
    cluster.gpus[NODE][0].cut((("3g.40gb", 2),))
    for instance in cluster.gpus[NODE][0].instances or ():
        instance.holder = "team/0"
    label(cluster, "all-1g.10gb")
    run(cluster, 20)
    assert (state(cluster), evidence.paused(cluster.world.nodes[NODE])) == ("failed", ())
    for instance in cluster.gpus[NODE][0].instances or ():
        instance.holder = ""
    label(cluster, "all-3g.40gb")
    run(cluster, 20)
    assert state(cluster) == "success"
    (cluster.gpus[NODE][1].instances or [])[0].holder = "team/0"
    label(cluster, "all-2g.20gb")
    run(cluster, 20)
    assert state(cluster) == "failed"
    assert evidence.paused(cluster.world.nodes[NODE])


def test_the_latest_of_the_values_that_came_during_a_run_is_taken_up(cluster: Cluster) -> None:
    """Values in between are skipped, and the first run ends before the next begins."""
    label(cluster, "all-1g.10gb")
    run(cluster, 2)
    label(cluster, "all-2g.20gb")
    run(cluster, 1)
    label(cluster, "all-3g.40gb")
    run(cluster, 30)
    assert state(cluster) == "success"
    assert [gpu.layout for gpu in cluster.gpus[NODE]] == [(("3g.40gb", 2),)] * 2


def test_another_name_of_the_same_layout_succeeds_at_once(cluster: Cluster) -> None:
    """Nothing is stopped and nothing cut where every GPU has its layout already."""
    before = instances(cluster, 0)
    publish(cluster, "same", (ConfigEntry(None, (), True, WHOLE),))
    run(cluster, 2)
    amend(cluster, NODE, labels={names.MIG_CONFIG: "same"})
    run(cluster, 0.6)
    assert state(cluster) == "success"
    run(cluster, 20)
    assert instances(cluster, 0) == before


def test_a_mode_change_makes_every_gpu_anew(cluster: Cluster) -> None:
    """When MIG mode of one GPU changes, the GPU that keeps its layout loses its instances as well."""
    before = instances(cluster, 1)
    publish(cluster, "half", (ConfigEntry((0,), (), False, ()), ConfigEntry((1,), (), True, WHOLE)))
    run(cluster, 2)
    label(cluster, "half")
    run(cluster, 20)
    offered = dict(evidence.advertised(cluster.world.nodes[NODE]))
    assert offered == {"nvidia.com/gpu": 1, "nvidia.com/mig-7g.80gb": 1}
    assert not set(instances(cluster, 1)) & set(before)


@pytest.mark.parametrize(("key", "back"), [(names.TAINT, False), ("nvidia.com/gpu", True)])
def test_a_foreign_taint_keeps_the_device_plugin_off(cluster: Cluster, key: str, back: bool) -> None:
    """The operator's DaemonSets tolerate only NVIDIA's own taint, so under ours no slice is offered again."""
    amend(cluster, NODE, taints=(Taint(key, "1", "NoSchedule"),))
    assert evidence.advertised(cluster.world.nodes[NODE])
    label(cluster, "all-1g.10gb")
    run(cluster, 60)
    assert bool(evidence.advertised(cluster.world.nodes[NODE])) is back
    amend(cluster, NODE, taints=())
    run(cluster, 20)
    assert evidence.advertised(cluster.world.nodes[NODE])


def test_an_admins_false_stays(cluster: Cluster) -> None:
    """A client that is switched off is neither paused nor switched on."""
    key = f"{names.GPU_DEPLOY_PREFIX}dcgm-exporter"
    amend(cluster, NODE, labels={key: "false"})
    label(cluster, "all-1g.10gb")
    run(cluster, 30)
    assert state(cluster) == "success"
    assert cluster.world.nodes[NODE].labels[key] == "false"


def test_a_layout_that_does_not_fit_leaves_the_gpu_empty(cluster: Cluster) -> None:
    """mig-parted clears a GPU before it tries; GPUs after it keep what they have."""
    publish(cluster, "much", (ConfigEntry(None, (), True, (("4g.40gb", 2),)),))
    run(cluster, 2)
    label(cluster, "much")
    run(cluster, 20)
    assert state(cluster) == "failed"
    assert [gpu.layout for gpu in cluster.gpus[NODE]] == [(), WHOLE]


@pytest.mark.parametrize(("trap", "cut"), [(Trap.BEFORE, False), (Trap.AFTER, True)])
def test_a_run_that_ends_without_a_word(cluster: Cluster, trap: Trap, cut: bool) -> None:
    """The state stays pending and the clients paused; the same label does nothing, another mends all."""
    cluster.managers[NODE].trap = trap
    label(cluster, "all-1g.10gb")
    run(cluster, 300)
    assert (state(cluster), cluster.gpus[NODE][0].layout == SEVEN) == ("pending", cut)
    assert len(evidence.paused(cluster.world.nodes[NODE])) == len(CLIENTS)
    cluster.managers[NODE].trap = None
    label(cluster, "all-1g.10gb")
    run(cluster, 60)
    assert state(cluster) == "pending"
    label(cluster, "all-2g.20gb")
    run(cluster, 60)
    assert (state(cluster), evidence.paused(cluster.world.nodes[NODE])) == ("success", ())


def test_a_layout_that_is_there_already_gives_no_client_back(cluster: Cluster) -> None:
    """After a failed run mig-manager finds the old layout in place and says success, with clients paused."""
    label(cluster, "all-3g.40gb")
    run(cluster, 30)
    instance = (cluster.gpus[NODE][0].instances or [])[0]
    instance.holder = "team/0"
    label(cluster, "all-1g.10gb")
    run(cluster, 30)
    assert state(cluster) == "failed"
    label(cluster, "all-3g.40gb")
    run(cluster, 30)
    assert state(cluster) == "success"
    assert evidence.paused(cluster.world.nodes[NODE])


def test_an_unknown_profile_clears_the_gpu_and_is_a_success(cluster: Cluster) -> None:
    """mig-parted accepts any well-formed name, and finds nothing to create."""
    publish(cluster, "strange", (ConfigEntry(None, (), True, (("1g.99gb", 1),)),))
    run(cluster, 2)
    label(cluster, "strange")
    run(cluster, 20)
    assert (state(cluster), [gpu.layout for gpu in cluster.gpus[NODE]]) == ("success", [(), ()])


def test_a_pod_that_was_deleted_comes_again_and_applies_the_label(cluster: Cluster) -> None:
    """With the ConfigMap as it is then; a taint that its DaemonSet does not tolerate keeps it away."""
    amend(cluster, NODE, taints=(Taint(names.TAINT, "1", "NoSchedule"),))
    publish(cluster, "mixed", ONE_CUT, touch=False)
    old = cluster.world.pods[POD]
    cluster.world.delete(old)
    label(cluster, "mixed")
    run(cluster, 60)
    assert (POD in cluster.world.pods, state(cluster)) == (False, "pending")
    amend(cluster, NODE, taints=())
    run(cluster, 60)
    assert cluster.world.pods[POD].uid != old.uid
    assert (state(cluster), cluster.gpus[NODE][0].layout) == ("success", SEVEN)


def test_a_deleted_pod_takes_its_run_with_it(cluster: Cluster) -> None:
    """What was begun is not finished by the dead; the next process does it from the start."""
    label(cluster, "all-1g.10gb")
    run(cluster, 2)
    cluster.world.delete(cluster.world.pods[POD])
    run(cluster, 1.5)
    assert (state(cluster), cluster.gpus[NODE][0].layout) == ("pending", WHOLE)
    run(cluster, 30)
    assert (state(cluster), cluster.gpus[NODE][0].layout) == ("success", SEVEN)


@pytest.mark.parametrize(
    ("product", "reboot", "state_then"),
    [(A100, 300.0, "rebooting"), (A100, 0.0, "success"),
     (H100, 300.0, "success")],
)  # fmt: skip
def test_a_switch_of_the_mig_mode_may_reboot_the_node(product: str, reboot: float, state_then: str) -> None:
    """An Ampere GPU that cannot be reset takes its node away for that long; then the layout is made."""
    cluster = Cluster(auto(), replace(MEASURED, reboot=reboot))
    cluster.add_node(NODE, product, 2, "all-disabled")
    cluster.submit("team/side", {}, cpu=1000)
    run(cluster, 2)
    before = cluster.world.pods["team/side"]
    label(cluster, "all-1g.10gb")
    run(cluster, 20)
    away = state_then == "rebooting"
    assert (state(cluster), cluster.world.nodes[NODE].ready) == (state_then, not away)
    assert (cluster.world.pods["team/side"].uid != before.uid) == away
    run(cluster, 300)
    assert (state(cluster), cluster.world.nodes[NODE].ready) == ("success", True)
    assert [gpu.layout for gpu in cluster.gpus[NODE]] == [SEVEN, SEVEN]
    assert evidence.advertised(cluster.world.nodes[NODE]) == (("nvidia.com/mig-1g.10gb", 14),)
    assert cluster.world.pods["team/side"].phase == "Running"


def leaving(**more: Any) -> Cluster:
    """A node of two A100 under MIG, whose mig-manager will reboot it for another mode."""
    made = Cluster(auto(), replace(MEASURED, reboot=300.0))
    made.add_node(NODE, A100, 2, "all-7g.80gb", **more)
    return made


@pytest.mark.parametrize("held_by", ["nobody", "a process", "a DaemonSet's pod"])
def test_a_reboot_ends_whoever_holds_an_instance(held_by: str) -> None:
    """Without MIG mode there is nothing left to cut after it, and the clients are given back all the same."""
    made = leaving()
    monitor = daemon(made.world, "gpu-operator", "monitor", "", NODE)
    made.world.write(monitor)
    (instance,) = made.gpus[NODE][0].instances or ()
    instance.holder = {"nobody": "", "a process": PROCESS, "a DaemonSet's pod": monitor.key}[held_by]
    label(made, "all-disabled")
    run(made, 20)
    assert (state(made), made.world.nodes[NODE].ready) == ("rebooting", False)
    run(made, 320)
    assert (state(made), made.world.nodes[NODE].ready) == ("success", True)
    assert [gpu.layout for gpu in made.gpus[NODE]] == [None, None]
    assert not evidence.paused(made.world.nodes[NODE])
    assert evidence.advertised(made.world.nodes[NODE]) == (("nvidia.com/gpu", 2),)
    assert made.world.pods[monitor.key].uid == monitor.uid


def test_an_agent_sees_nothing_while_its_node_is_away() -> None:
    """What it told before stays until the node is back, and then it looks again at once."""
    made = leaving(agent=True)
    label(made, "all-disabled")
    run(made, 20)
    before = made.world.snapshot().mignodes[NODE]
    assert (state(made), [gpu.mig_enabled for gpu in before.gpus]) == ("rebooting", [True, True])
    run(made, 270)
    assert made.world.snapshot().mignodes[NODE] == before
    run(made, 30)
    after = made.world.snapshot().mignodes[NODE]
    assert made.world.nodes[NODE].ready
    assert (after.observed > before.observed, [gpu.mig_enabled for gpu in after.gpus]) == (True, [False] * 2)


def test_a_device_plugin_offers_nothing_while_its_node_is_away() -> None:
    """Somebody may give the clients back meanwhile; the plugin comes with the node."""
    made = leaving()
    label(made, "all-disabled")
    run(made, 20)
    amend(made, NODE, labels={f"{names.GPU_DEPLOY_PREFIX}device-plugin": "true"})
    run(made, 270)
    assert (made.world.nodes[NODE].ready, evidence.advertised(made.world.nodes[NODE])) == (False, ())
    run(made, 40)
    assert (made.world.nodes[NODE].ready, evidence.advertised(made.world.nodes[NODE])) == (
        True, (("nvidia.com/gpu", 2),),
    )  # fmt: skip


def test_a_device_plugin_ends_with_a_node_that_goes_away() -> None:
    """One that was not paused before the node went offers what there is after it, and not what was."""
    made = leaving()
    amend(made, NODE, ready=False)
    for gpu in made.gpus[NODE]:
        gpu.set_mode(enabled=False)
    run(made, 60)
    amend(made, NODE, ready=True)
    run(made, 60)
    assert evidence.advertised(made.world.nodes[NODE]) == (("nvidia.com/gpu", 2),)


def test_a_node_that_is_away_starts_no_run() -> None:
    """A pod of mig-manager that is lost in the reboot, and another label, wait for the node to be back."""
    made = Cluster(auto(), replace(MEASURED, reboot=300.0))
    made.add_node(NODE, A100, 2, "all-disabled")
    label(made, "all-1g.10gb")
    run(made, 20)
    made.world.delete(made.world.pods[POD])
    run(made, 20)
    assert POD not in made.world.pods
    amend(made, NODE, labels={names.MIG_CONFIG: "all-7g.80gb"})
    run(made, 20)
    assert (state(made), made.world.nodes[NODE].ready) == ("rebooting", False)
    assert [gpu.layout for gpu in made.gpus[NODE]] == [(), ()]
    run(made, 300)
    assert POD in made.world.pods
    assert (state(made), made.world.nodes[NODE].ready) == ("success", True)
    assert [gpu.layout for gpu in made.gpus[NODE]] == [WHOLE, WHOLE]
