"""Which nodes and GPUs may change: every hard rule with its twin."""

from __future__ import annotations

import pytest

from autoslicer.core import configs, reading
from autoslicer.core.eligibility import apply_path, assess
from autoslicer.core.policy import BUILT_IN
from autoslicer.core.reasons import Reason
from autoslicer.core.times import rfc3339
from tests.build import (
    A100,
    H100,
    NOON,
    Builder,
    MigNode,
    Node,
    change,
    config_map,
    mig_manager,
    mignode,
    node,
    pod,
    policy,
    resource_slice,
)
from tests.core.scenes import planned, refusals, snapshot

WAITS = pod("ns/w").wants({"1g.10gb": 1})
IDLE = node("a").gpus(2).config("all-7g.80gb")
SEVEN = {"7g.80gb": 1}


def may_change(*objects: Builder) -> bool:
    """The plan cuts the node `a` anew for a pod that waits."""
    return [reshape.node for reshape in planned(*objects, WAITS).reshapes] == ["a"]


REFUSED: list[tuple[Reason, Node, list[Builder]]] = [
    # the reason, the node, and what else is there; without the odd mark the node is IDLE, which may change
    (Reason.OptedOut, IDLE.annotations({"autoslicer.dev/ignore": "true"}), []),
    (Reason.ForeignOwner, IDLE, [resource_slice("a")]),
    (Reason.ForeignOwner, IDLE, [resource_slice("a", "compute-domain.nvidia.com")]),
    (
        Reason.ForeignOwner,
        IDLE,
        [resource_slice("a").set("spec", {"driver": "gpu.nvidia.com", "allNodes": True})],
    ),
    (Reason.ForeignOwner, IDLE.annotations({"hami.io/node-handshake": "x"}), []),
    (Reason.ForeignOwner, IDLE.labels({"nos.nebuly.com/gpu-partitioning": "mig"}), []),
    (Reason.ForeignOwner, IDLE.annotations({"autoslicer.dev/applied-config": "autoslicer-aaaaaaaaaaaa"}), []),
    (Reason.ForeignOwner, IDLE.labels({"nvidia.com/dra-kubelet-plugin": "true"}), []),
    (Reason.NodeLeaving, IDLE.taint("karpenter.sh/disrupted"), []),
    (Reason.NodeLeaving, IDLE.taint("karpenter.sh/disruption", value="disrupting"), []),
    (Reason.NodeLeaving, IDLE.taint("ToBeDeletedByClusterAutoscaler", value="1795176000"), []),
    (Reason.Cordoned, IDLE.cordoned(), []),
    (Reason.NotReady, IDLE.not_ready(), []),
    (Reason.NotReady, IDLE.deleting(), []),
    (Reason.ChangeInProgress, IDLE.config("all-7g.80gb", "pending"), []),
    (Reason.ChangeInProgress, IDLE.config("all-7g.80gb", "rebooting"), []),
    (
        Reason.ChangeInProgress,
        IDLE.labels({"nvidia.com/gpu.deploy.device-plugin": "paused-for-mig-change"}),
        [],
    ),
    (Reason.ChangeInProgress, IDLE.labels({"nvidia.com/gpu-driver-upgrade-state": "drain-required"}), []),
    (Reason.ChangeInProgress, IDLE, [change("a", [SEVEN] * 2, [SEVEN] * 2)]),
    (Reason.Quarantined, IDLE, [change("a", [SEVEN] * 2, [SEVEN] * 2, phase="Quarantined")]),
    (Reason.ApplyFailed, IDLE.config("all-7g.80gb", "failed"), []),
    (Reason.StrategyNone, IDLE.labels({"nvidia.com/mig.strategy": "none"}), []),
    (Reason.StrategyNone, IDLE.labels({"nvidia.com/mig.strategy": ""}), []),
    (Reason.StrategySingle, IDLE.labels({"nvidia.com/mig.strategy": "single"}), []),
    (Reason.SharedSlices, IDLE.labels({"nvidia.com/mig-7g.80gb.replicas": "4"}), []),
    (Reason.SharedSlices, IDLE.labels({"nvidia.com/mig-7g.80gb.sharing-strategy": "time-slicing"}), []),
    (Reason.SharedSlices, IDLE.labels({"nvidia.com/gpu.replicas": "2"}), []),
    (Reason.UnknownGeometry, IDLE.labels({"nvidia.com/gpu.product": "NVIDIA-L4"}), []),
    (Reason.UnknownGeometry, IDLE.labels({"nvidia.com/gpu.count": "many"}), []),
    (Reason.UnknownGeometry, IDLE.allocatable({"nvidia.com/mig-1g.5gb": "1"}), []),
    (Reason.LayoutUnknown, IDLE.layout(SEVEN, SEVEN, name="nowhere"), []),
    (Reason.LayoutUnknown, IDLE.layout(SEVEN, SEVEN, name=""), []),
    (Reason.LayoutUnknown, IDLE.layout(SEVEN, SEVEN, name="all-7g.80gb", state=""), []),
    (Reason.LayoutDrift, IDLE.allocatable({"nvidia.com/mig-7g.80gb": "1"}), []),
    (Reason.LayoutDrift, IDLE, [pod(f"ns/{i}").wants(SEVEN).on("a") for i in range(3)]),
    (Reason.ModeChangeForbidden, IDLE.config("all-disabled"), []),
    (Reason.NodeBusy, IDLE, [pod("ns/b").wants(SEVEN).on("a")]),
    (Reason.NodeBusy, IDLE, [pod("ns/b").wants(SEVEN).on("a").phase("Pending")]),
    (Reason.NodeBusy, IDLE, [pod("ns/b").wants(SEVEN).on("a").deleting()]),
    (Reason.NodeBusy, IDLE, [pod("ns/b").wants(SEVEN).nominated("a")]),
    (Reason.NodeBusy, IDLE, [pod("ns/b").set("spec.runtimeClassName", "nvidia").on("a")]),
]


@pytest.mark.parametrize(("reason", "made", "others"), REFUSED)
def test_each_refusal(reason: Reason, made: Node, others: list[Builder]) -> None:
    """The node is refused with exactly this reason and a message."""
    plan = planned(made, WAITS, *others)
    assert refusals(plan) == {"a": reason}
    assert plan.refusals[0].message
    assert plan.reshapes == ()


TWINS: list[tuple[Node, list[Builder]]] = [
    (IDLE, []),
    (IDLE.annotations({"autoslicer.dev/ignore": "false"}), []),
    (IDLE.labels({"nvidia.com/dra-kubelet-plugin": "false"}), []),
    (IDLE.taint("karpenter.sh/unregistered", "PreferNoSchedule"), []),
    (IDLE.taint("DeletionCandidateOfClusterAutoscaler", "PreferNoSchedule"), []),
    (IDLE.annotations({"karpenter.sh/do-not-disrupt": "true"}), []),  # keeps it, and says nothing of its GPUs
    (IDLE, [resource_slice("b")]),
    (IDLE, [resource_slice("a", "nic.example.com")]),
    (IDLE.annotations({"autoslicer.dev/applied-config": "all-7g.80gb"}), []),
    (IDLE.labels({"nvidia.com/gpu.deploy.dcgm": "false"}), []),  # an admin's word, nothing is paused
    (IDLE.labels({"nvidia.com/gpu-driver-upgrade-state": "upgrade-done"}), []),
    (IDLE, [change("a", [SEVEN] * 2, [SEVEN] * 2, phase="Done")]),
    (IDLE, [change("a", [SEVEN] * 2, [SEVEN] * 2, phase="Cancelled")]),
    # a quarantine ends with the next change
    (
        IDLE,
        [
            change("a", [SEVEN] * 2, [SEVEN] * 2, number=9, phase="Quarantined"),
            change("a", [SEVEN] * 2, [SEVEN] * 2, number=10, phase="Done"),
        ],
    ),
    (IDLE.labels({"nvidia.com/mig-7g.80gb.replicas": "1", "nvidia.com/gpu.replicas": "0"}), []),
    (IDLE.labels({"nvidia.com/mig-7g.80gb.sharing-strategy": "none"}), []),
    (
        IDLE.allocatable({"nvidia.com/mig-1g.5gb": "0", "nvidia.com/gpu": "0"}),
        [],
    ),  # names that vanished stay with 0
    (IDLE, [pod("ns/b").wants(SEVEN).on("a").phase("Succeeded")]),
    (IDLE, [pod("ns/b").wants(SEVEN).on("b")]),
    (IDLE, [pod("ns/b").resources({"cpu": "1"}).on("a")]),
    (IDLE, [mig_manager("a")]),  # sees all GPUs, but is the operator's own
    (
        IDLE,
        [mig_manager("a"), pod("gpu-operator/dcgm").daemon().set("spec.runtimeClassName", "nvidia").on("a")],
    ),
]


@pytest.mark.parametrize(("made", "others"), TWINS)
def test_what_refuses_nothing(made: Node, others: list[Builder]) -> None:
    """The look-alikes of the marks above do not stop a change."""
    assert may_change(made, *others)


def test_a_tenants_pod_is_not_the_operators() -> None:
    """A pod that sees GPUs without asking counts, unless it is of a DaemonSet in the operator's namespace."""
    sees = pod("ns/monitor").set("spec.runtimeClassName", "nvidia").on("a")
    assert not may_change(IDLE, mig_manager("a"), sees.daemon())
    own = pod("gpu-operator/monitor").set("spec.runtimeClassName", "nvidia").on("a")
    assert not may_change(IDLE, mig_manager("a"), own)
    assert may_change(IDLE, mig_manager("a"), own.daemon())


def test_a_tenants_mig_manager_is_not_believed() -> None:
    """A pod that only bears the label does not make its namespace the operator's."""
    impostor = mig_manager("a", namespace="ns")
    sees = pod("ns/monitor").daemon().set("spec.runtimeClassName", "nvidia").on("a")
    assert not may_change(IDLE, mig_manager("a"), impostor, sees)
    elsewhere = mig_manager("a", namespace="nvidia")
    own = pod("nvidia/monitor").daemon().set("spec.runtimeClassName", "nvidia").on("a")
    assert may_change(IDLE, elsewhere, own)


def test_the_operators_pods_are_known_while_mig_manager_restarts() -> None:
    """Without its pod there, its usual namespaces and those that a policy names are the operator's."""
    monitor = pod("nvidia-gpu-operator/dcgm").daemon().set("spec.runtimeClassName", "nvidia").on("a")
    assert may_change(IDLE, monitor)
    other = pod("gpus/dcgm").daemon().set("spec.runtimeClassName", "nvidia").on("a")
    assert not may_change(IDLE, other, policy())
    named = policy().set("spec.layouts", {"configMap": {"namespace": "gpus", "name": "c"}})
    assert may_change(IDLE, other, named)


def test_of_several_reasons_the_first_is_told() -> None:
    """The order is that of the enum."""
    marked = IDLE.cordoned().not_ready().annotations({"hami.io/x": "1"})
    assert refusals(planned(marked, WAITS)) == {"a": Reason.ForeignOwner}
    assert refusals(planned(IDLE.cordoned().not_ready(), WAITS)) == {"a": Reason.Cordoned}
    busy = pod("ns/b").wants(SEVEN).on("a")
    assert refusals(planned(IDLE.config("all-7g.80gb", "failed"), busy, WAITS)) == {"a": Reason.ApplyFailed}


def test_two_policies_that_claim_a_node() -> None:
    """Neither may change it; when one is more specific, it may."""
    one, two = policy("one"), policy("two", {"nvidia.com/mig.strategy": "mixed"})
    assert refusals(planned(IDLE, WAITS, one, two)) == {"a": Reason.PolicyConflict}
    narrower = policy("two", {"nvidia.com/mig.strategy": "mixed", "nvidia.com/gpu.product": H100})
    assert [reshape.policy for reshape in planned(IDLE, WAITS, one, narrower).reshapes] == ["two"]


def test_an_ungoverned_node_is_neither_changed_nor_refused() -> None:
    """But its free slices count."""
    made = planned(node("a").gpus(1).config("all-1g.10gb"), WAITS, policy("p", {"zone": "x"}))
    assert (made.nodes, made.reshapes, made.refusals) == (0, (), ())
    assert [s.node for s in made.served] == ["a"]


# per GPU, with an agent

TWO = node("a").gpus(2).config("all-7g.80gb")
RUNS = pod("ns/b").wants(SEVEN).on("a")


def seen(*holders: str, processes: int = 0) -> MigNode:
    """The agent sees GPU 0 held by these pods and GPU 1 by nobody."""
    made = mignode("a").gpu(SEVEN, pods={"7g.80gb": list(holders)} if holders else None, processes=processes)
    return made.gpu(SEVEN)


def changed(*objects: Builder) -> list[int]:
    """The GPUs of the node that may change."""
    found = snapshot(*objects)
    judged = assess(found, found.nodes["a"], BUILT_IN, NOON)
    return [gpu.index for gpu in judged.gpus if gpu.changeable] if judged.refusal is None else []


def test_with_an_agent_only_the_idle_gpu_changes() -> None:
    """The busy one keeps its layout and is listed with it."""
    made = planned(TWO, seen("ns/b"), RUNS, pod("ns/w").wants({"1g.10gb": 1}))
    (reshape,) = made.reshapes
    assert [(gpu.changed, gpu.before == gpu.after) for gpu in reshape.gpus] == [(False, True), (True, False)]


@pytest.mark.parametrize(
    ("objects", "idle"),
    [
        ([seen("ns/b"), RUNS], [1]),
        ([seen("ns/gone")], [1]),  # a pod that is gone from the cluster still counts
        ([seen(processes=1)], [1]),
        ([seen()], [0, 1]),
        ([seen(), RUNS], []),  # a pod that the agent lists nowhere
        ([seen("ns/b"), RUNS.on("a", at=NOON + 1)], []),  # bound after the agent looked
        ([seen("ns/b"), RUNS.on("a", at=NOON)], []),  # or in the same second
        ([seen("ns/b"), RUNS.on("a", at=NOON - 1)], [1]),
        ([seen("ns/b"), RUNS.wants({"7g.80gb": 2})], []),  # listed on fewer instances than it asks for
        ([seen("ns/b"), RUNS, pod("ns/p").wants(SEVEN).nominated("a")], []),
        ([seen("ns/b"), RUNS, pod("ns/m").set("spec.runtimeClassName", "nvidia").on("a")], []),
        ([seen("ns/b").observed(NOON - 1000), RUNS.on("a", at=NOON - 2000)], []),  # too long ago
        ([seen().observed(NOON - 1000)], [0, 1]),  # no matter where no pod runs
    ],
)
def test_which_gpus_are_idle(objects: list[Builder], idle: list[int]) -> None:
    """What is not known to be idle is in use."""
    assert changed(TWO, *objects) == idle


def test_processes_that_the_agent_cannot_count_are_in_use() -> None:
    """An instance whose processes are not known keeps its GPU as it is."""
    made = seen()
    gpus = made.get("status.gpus")
    del gpus[0]["instances"][0]["processes"]
    assert changed(TWO, made.set("status.gpus", gpus)) == [1]


def test_busy_gpus_are_told_apart_from_a_busy_node() -> None:
    """With an agent the GPUs are named; without one the node is."""
    both = mignode("a").gpu(SEVEN, pods={"7g.80gb": ["ns/b"]}).gpu(SEVEN, processes=1)
    made = planned(TWO, both, RUNS, WAITS)
    assert refusals(made) == {"a": Reason.GpuBusy}
    assert "ns/b" in made.refusals[0].message
    assert refusals(planned(TWO, RUNS, WAITS)) == {"a": Reason.NodeBusy}


# the present layout


def test_the_agent_wins_over_the_label() -> None:
    """Where it agrees with allocatable, a label that says something else is no drift; where not, it is."""
    stale = node("a").gpus(1).layout({"3g.40gb": 2}, name="all-7g.80gb")
    agent = mignode("a").gpu({"3g.40gb": 2})
    assert refusals(planned(stale, WAITS)) == {"a": Reason.LayoutDrift}
    (reshape,) = planned(stale, agent, WAITS).reshapes
    assert reshape.gpus[0].before == (("3g.40gb", 2),)
    assert refusals(planned(IDLE, mignode("a").gpu(SEVEN).gpu({"3g.40gb": 2}), WAITS)) == {
        "a": Reason.LayoutDrift
    }
    assert refusals(planned(IDLE, mignode("a").gpu(SEVEN), WAITS)) == {"a": Reason.LayoutDrift}


def test_a_mode_that_waits_for_a_reset_is_no_layout() -> None:
    """Nobody knows what the GPU will hold then."""
    gpus = mignode("a").gpu(SEVEN).gpu(SEVEN).get("status.gpus")
    gpus[1]["migMode"] = {"current": "Enabled", "pending": "Disabled"}
    assert refusals(planned(IDLE, mignode("a").set("status.gpus", gpus), WAITS)) == {
        "a": Reason.LayoutUnknown
    }


def test_what_nvml_says_a_gpu_can_hold_comes_before_the_table() -> None:
    """A product that no table knows may change where the agent reports its profiles."""
    strange = (
        node("a")
        .gpus(1)
        .layout({"2g.12gb": 1}, name="all-disabled")
        .labels({"nvidia.com/gpu.product": "New"})
    )
    profiles = [
        {"name": "1g.6gb", "id": 1, "size": 1, "starts": [0, 1], "maxCount": 2},
        {"name": "2g.12gb", "id": 0, "size": 2, "starts": [0], "maxCount": 1},
    ]
    gpus = mignode("a").gpu({"2g.12gb": 1}).get("status.gpus")
    gpus[0].update(product="New", profiles=profiles)
    agent = mignode("a").set("status.gpus", gpus)
    wants = pod("ns/w").wants({"1g.6gb": 2})
    (reshape,) = planned(strange, agent, wants).reshapes
    assert reshape.gpus[0].after == (("1g.6gb", 2),)
    assert refusals(planned(strange, wants)) == {"a": Reason.UnknownGeometry}
    gpus[0]["profiles"][0]["maxCount"] = 10**6
    assert refusals(planned(strange, mignode("a").set("status.gpus", gpus), wants)) == {
        "a": Reason.UnknownGeometry
    }


# the way to mig-manager

PATH = [mig_manager("a"), config_map(configs.DEFAULTS), IDLE]


@pytest.mark.parametrize(
    ("objects", "reason", "said"),
    [
        (PATH, None, ""),
        ([*PATH, mig_manager("b"), node("b").gpus(1).layout(SEVEN, name="site-special")], None, ""),
        ([IDLE, config_map(configs.DEFAULTS)], Reason.ApplyPathMissing, "no mig-manager pod"),
        ([mig_manager("b"), *PATH[1:]], Reason.ApplyPathMissing, "no mig-manager pod"),
        ([mig_manager("a").condition("Ready", "False"), *PATH[1:]], Reason.ApplyPathMissing, "ready"),
        (
            [mig_manager("a", "default-mig-parted-config"), *PATH[1:]],
            Reason.ApplyPathNotConfigured,
            "kubectl patch",
        ),
        ([mig_manager("a"), IDLE], Reason.ConfigMapIncomplete, "does not exist"),
        ([mig_manager("a"), config_map({}), IDLE], Reason.ConfigMapIncomplete, "not a file"),
        (
            [*PATH[:2], node("a").gpus(1).layout(SEVEN, name="site-special")],
            Reason.ConfigMapIncomplete,
            "site-special",
        ),
        (
            [mig_manager("a"), config_map({"all-7g.80gb": configs.DEFAULTS["all-7g.80gb"]}), IDLE],
            Reason.ConfigMapIncomplete,
            "all-disabled",
        ),
    ],
)
def test_the_apply_path(objects: list[Builder], reason: Reason | None, said: str) -> None:
    """What keeps a config from the node's mig-manager is told, with what mends it."""
    found = snapshot(*objects)
    verdict = apply_path(found, found.nodes["a"], reading.policy(policy().raw))
    assert (verdict and verdict.reason) == reason
    assert said in (verdict.message if verdict else "")


def test_an_impostor_does_not_break_the_apply_path() -> None:
    """The pod in the operator's usual namespace is mig-manager's, whoever else bears its label."""
    found = snapshot(*PATH, mig_manager("a", "tenants-config", namespace="tenant"))
    assert apply_path(found, found.nodes["a"], reading.policy(policy().raw)) is None


def test_the_apply_path_stops_no_plan() -> None:
    """A dump of nodes and pods alone shows nothing of it."""
    assert may_change(IDLE)


def test_the_patch_is_the_one_that_mends_it() -> None:
    """The message ends in the command to run."""
    found = snapshot(mig_manager("a", "default-mig-parted-config"), *PATH[1:])
    verdict = apply_path(found, found.nodes["a"], reading.policy(policy().raw))
    assert verdict is not None
    assert verdict.message.endswith(
        "kubectl patch clusterpolicies.nvidia.com/cluster-policy --type merge "
        """-p '{"spec":{"migManager":{"config":{"name":"autoslicer-mig-parted-config"}}}}'"""
    )


# MIG mode


def test_mode_changes_only_where_allowed_and_idle() -> None:
    """Without permission no GPU is switched on; with it only where nothing on the node is in use."""
    off = node("a").gpus(1).config("all-disabled")
    allowing = policy().set("spec.layouts", {"allowModeChange": True})
    assert refusals(planned(off, WAITS, policy())) == {"a": Reason.ModeChangeForbidden}
    (reshape,) = planned(off, WAITS, allowing).reshapes
    assert (reshape.gpus[0].before, reshape.gpus[0].changed) == (None, True)
    busy = pod("ns/b").resources({"nvidia.com/gpu": "1"}).on("a")
    assert refusals(planned(off, busy, WAITS, allowing)) == {"a": Reason.NodeBusy}


def test_a_gpu_without_mig_stays_so_beside_one_that_changes() -> None:
    """The config switches it off again, and its layout is null."""
    mixed = node("a").gpus(2).layout(SEVEN, None, name="autoslicer-0123456789ab")
    agent = mignode("a").gpu(SEVEN).gpu(None)
    made = planned(mixed, agent, WAITS, policy())
    (reshape,) = made.reshapes
    assert [(gpu.before, gpu.after) for gpu in reshape.gpus][1] == (None, None)
    assert configs.written(made.configs[reshape.target][1]) == {"devices": [1], "mig-enabled": False}


def test_a_product_of_several_models_of_board() -> None:
    """A device filter that not all boards of a product pass is settled by what the node offers."""
    quarter = node("a").gpus(1, A100).config("all-1g.10gb")
    made = planned(quarter, pod("ns/w").wants({"7g.40gb": 1}))
    assert [reshape.gpus[0].before for reshape in made.reshapes] == [(("1g.10gb", 4),)]


FAILURE = change("a", [SEVEN] * 2, [SEVEN] * 2, phase="Quarantined")


@pytest.mark.parametrize("phase", ["Quarantined", "RolledBack"])
def test_a_node_is_left_alone_until_its_time_is_over(phase: str) -> None:
    """As the status says, else as long as the change's own terms say from its end; not a moment longer."""
    failed = FAILURE.set("status.phase", phase).set("status.steps", [])
    told = failed.set("status.quarantinedUntil", rfc3339(NOON + 0.5))
    assert refusals(planned(IDLE, WAITS, told)) == {"a": Reason.Quarantined}
    assert may_change(IDLE, failed.set("status.quarantinedUntil", rfc3339(NOON)))
    steps = [{"phase": phase, "at": rfc3339(NOON - 100), "message": ""}]
    by_terms = failed.set("status.steps", steps)
    assert may_change(IDLE, by_terms.set("spec.recovery", {"quarantineSeconds": 100}))
    longer = by_terms.set("spec.recovery", {"quarantineSeconds": 101})
    assert refusals(planned(IDLE, WAITS, longer)) == {"a": Reason.Quarantined}


def test_after_a_failure_only_an_agent_tells_what_is_left() -> None:
    """mig-manager's state reads failed until the next label; without evidence of the layout none is set."""
    over = FAILURE.set("status.quarantinedUntil", rfc3339(NOON - 1))
    broken = IDLE.labels({"nvidia.com/mig.config.state": "failed"})
    assert refusals(planned(broken, WAITS, over)) == {"a": Reason.ApplyFailed}
    agent = mignode("a").gpu(SEVEN).gpu(SEVEN)
    assert may_change(broken, over, agent)
    assert refusals(planned(broken, WAITS, over, mignode("a").gpu(SEVEN).gpu({}))) == {
        "a": Reason.ApplyFailed
    }
    assert refusals(planned(broken, WAITS, agent)) == {"a": Reason.ApplyFailed}


def test_a_change_that_never_came_to_its_label_ends_no_quarantine() -> None:
    """One that was cancelled after its label does: it was at work on the node."""
    failed = FAILURE.set("metadata.name", "a-1")
    later = change("a", [SEVEN] * 2, [SEVEN] * 2, number=2, phase="Cancelled")
    assert refusals(planned(IDLE, WAITS, failed, later)) == {"a": Reason.Quarantined}
    steps = [{"phase": phase, "at": rfc3339(NOON - 9), "message": ""} for phase in ("Labelled", "Cancelled")]
    assert may_change(IDLE, failed, later.set("status.steps", steps))
