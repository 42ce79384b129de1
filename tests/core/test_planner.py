"""Plans, in the words of the cluster."""

from __future__ import annotations

import json
import random

import pytest

from autoslicer.core import configs, planner
from autoslicer.core.demand import demand
from autoslicer.core.plan import document, summary
from autoslicer.core.planner import Prepared, plan, replan
from autoslicer.core.planning.problem import pose
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ConfigEntry
from solver.check import check
from solver.problem import Problem
from solver.solution import By, Change, Served, Solution, Status
from tests.build import NOON, Builder, change, config_map, mignode, node, pod, policy
from tests.core.scenes import POLICIES, planned, refusals, served, snapshot, unserved

SEVEN = {"7g.80gb": 1}
TEN = [pod(f"team/infer-{i}").wants({"1g.10gb": 1}) for i in range(10)]
TWO = [pod(f"team/train-{i}").wants({"3g.40gb": 1}) for i in range(2)]
PAIR = [node("gpu-1").gpus(2).config("all-7g.80gb"), node("gpu-2").gpus(2).config("all-7g.80gb")]


def test_the_main_job() -> None:
    """Ten small and two middling pods on two idle nodes: all served, three GPUs changed, proven best."""
    made = planned(*PAIR, *TEN, *TWO)
    assert len(made.served) == 12
    assert (made.unserved, made.refusals, made.status) == ((), (), Status.OPTIMAL)
    assert sum(gpu.changed for reshape in made.reshapes for gpu in reshape.gpus) == 3
    assert {level.name: level.value for level in made.levels}["gpusChanged"] == 3
    for reshape in made.reshapes:
        assert reshape.source == "all-7g.80gb"
        assert reshape.target == configs.config_name(made.configs[reshape.target])
        assert [gpu.index for gpu in reshape.gpus] == [0, 1]
    assert summary(made) == "12 of 12 pending pods can be served by reshaping 2 nodes"


def test_the_document() -> None:
    """Its keys and shapes are those of the published contract."""
    made = document(planned(*PAIR, *TEN, *TWO, pod("team/big").wants({"7g.80gb": 5}).priority(7)))
    assert list(made) == [
        "apiVersion",
        "kind",
        "snapshot",
        "reshapes",
        "configs",
        "served",
        "unserved",
        "refusals",
        "objective",
    ]
    assert made["snapshot"]["nodes"] == 2
    assert made["snapshot"]["pendingPods"] == 13
    first = made["reshapes"][0]
    assert list(first) == ["node", "policy", "cause", "from", "to", "gpus", "evictions"]
    assert list(first["gpus"][0]) == ["index", "from", "to", "changed"]
    assert set(made["configs"]) == {reshape["to"] for reshape in made["reshapes"]}
    assert list(made["served"][0]) == ["pod", "node", "by"]
    assert made["unserved"] == [
        {
            "pod": "team/big",
            "reason": "NoFeasibleLayout",
            "message": "needs 5 x 7g.80gb on one node; the most any node can free is 2",
        }
    ]
    levels = made["objective"]["levels"]
    assert [level.get("priority", level["name"]) for level in levels] == [
        7,
        0,
        "evictions",
        "nodesChanged",
        "gpusChanged",
        "spare",
    ]
    assert json.loads(json.dumps(made)) == made


def test_nothing_waits_and_nothing_changes() -> None:
    """An idle cluster stays as it is."""
    made = planned(*PAIR)
    assert (made.reshapes, made.served, made.unserved, made.pending_pods) == ((), (), (), 0)
    assert summary(made) == "no pod waits for a MIG slice"


def test_free_slices_come_first() -> None:
    """A pod that fits without a change causes none, on governed and other nodes alike."""
    ready = node("ready").gpus(1).config("all-1g.10gb")
    made = planned(*PAIR, ready, TEN[0])
    assert (served(made), made.reshapes, made.served[0].by) == ({"team/infer-0": "ready"}, (), By.FREE)
    assert summary(made) == "0 of 1 pending pod can be served by reshaping 0 nodes; 1 needs no change"
    assert planned(*PAIR, TEN[0]).served[0].by is By.RESHAPE


def test_a_live_change_is_not_planned_again() -> None:
    """Its node is frozen and offers its target's slices; its pods are no demand; others may use the rest."""
    live = change("gpu-1", [SEVEN] * 2, [{"1g.10gb": 7}, SEVEN], phase="Labelled", serves=("team/infer-0",))
    made = planned(PAIR[0].layout(None, None, name="x", state="pending"), live, *TEN[:8])
    assert refusals(made) == {"gpu-1": Reason.ChangeInProgress}
    assert made.pending_pods == 7
    assert set(served(made)) == {f"team/infer-{i}" for i in range(1, 7)}
    assert unserved(made) == {"team/infer-7": Reason.OutOfCapacity}
    assert {s.by for s in made.served} == {By.FREE}


def test_equal_layouts_share_a_config() -> None:
    """Two nodes that are cut alike get one name, which is of the layout alone."""
    pods = [pod(f"team/p{i}").wants({"1g.10gb": 7}) for i in range(2)]
    nodes = [node(name).gpus(1).config("all-7g.80gb") for name in ("one", "two")]
    made = planned(*nodes, *pods)
    assert len({reshape.target for reshape in made.reshapes}) == len(made.configs) == 1
    assert len(made.reshapes) == 2


def test_the_order_of_carrying_out() -> None:
    """More pods of the highest priority first, then more of the next, then fewer GPUs, then by name."""
    pinned = [
        ("a", 1, 0, 2),  # node, GPUs of one priority-5 pod, priority-5 pods, priority-0 pods
        ("b", 1, 1, 0),
        ("c", 1, 0, 1),
        ("d", 2, 0, 1),
        ("e", 1, 0, 1),
    ]
    objects: list[Builder] = []
    for name, gpus, high, low in pinned:
        objects.append(node(name).gpus(2).config("all-7g.80gb"))
        wants = {"1g.10gb": 7 * gpus} if gpus > 1 else {"1g.10gb": 1}
        here = {"kubernetes.io/hostname": name}
        objects += [pod(f"ns/{name}h{i}").wants(wants).priority(5).selector(here) for i in range(high)]
        objects += [pod(f"ns/{name}l{i}").wants(wants).selector(here) for i in range(low)]
    assert [reshape.node for reshape in planned(*objects).reshapes] == ["b", "a", "c", "e", "d"]


def test_a_name_that_the_label_has_already_is_not_used_again() -> None:
    """mig-manager acts on new values only: such content gets another name, as where the name is taken."""
    wants = [pod("ns/w").wants({"1g.10gb": 7})]
    (plain,) = planned(node("a").gpus(1).config("all-7g.80gb"), *wants).reshapes
    stale = node("a").gpus(1).layout(SEVEN, name=plain.target)
    # the label says what is wanted, the GPU and allocatable do not
    (again,) = planned(stale, mignode("a").gpu(SEVEN), *wants).reshapes
    assert again.source == plain.target != again.target
    entries = configs.entries_of(again.gpus)
    assert again.target == configs.config_name(entries, 1)
    taken = {plain.target: (ConfigEntry(None, (), False, ()),)}
    (other,) = planned(node("a").gpus(1).config("all-7g.80gb"), config_map(taken), *wants).reshapes
    assert other.target == configs.config_name(entries, 1)
    (same,) = planned(
        node("a").gpus(1).config("all-7g.80gb"), config_map({plain.target: entries}), *wants
    ).reshapes
    assert same.target == plain.target


def test_every_gpu_is_in_the_config() -> None:
    """Those that do not change carry what they hold."""
    made = planned(node("a").gpus(2).config("all-3g.40gb"), pod("ns/w").wants({"7g.80gb": 1}))
    (reshape,) = made.reshapes
    halves, full = (("3g.40gb", 2),), (("7g.80gb", 1),)
    kept, new = sorted(reshape.gpus, key=lambda gpu: gpu.changed)
    assert (kept.before, kept.after, kept.changed) == (halves, halves, False)
    assert (new.before, new.after, new.changed) == (halves, full, True)
    listed = [device for entry in made.configs[reshape.target] for device in entry.devices or ()]
    assert sorted(listed) == [0, 1]


def test_what_was_prepared_saves_the_search_and_changes_nothing() -> None:
    """The same question is not solved again, and the plan is the same."""
    found = snapshot(*PAIR, *TEN)
    first, prepared = replan(found, POLICIES, NOON, Prepared())
    second, again = replan(found, POLICIES, NOON, prepared)
    assert first == second
    assert again.known is prepared.known
    other, _ = replan(snapshot(*PAIR, *TEN[:3]), POLICIES, NOON, prepared)
    assert other.plan == plan(snapshot(*PAIR, *TEN[:3]), POLICIES, NOON)
    assert first.demand == {one.get("metadata.namespace") + "/" + one.get("metadata.name") for one in TEN}


def test_an_illegal_answer_is_never_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the check refuses the solver's answer the greedy one is taken; where it refuses both, none."""
    wrong = Solution(
        (Served("team/infer-0", "gpu-1", By.FREE),),
        (Change("gpu-1", 0, (("4g.40gb", 2),)),),
        (),
        Status.OPTIMAL,
    )

    def search(problem: Problem, *, effort: int) -> Solution:
        return wrong

    found = snapshot(*PAIR, *TEN)
    made = replan(found, POLICIES, NOON, Prepared(), search=search)[0].plan
    assert (made.status, len(made.served)) == (Status.FALLBACK, 10)
    monkeypatch.setattr(planner, "fallback", lambda problem: wrong)
    made = replan(found, POLICIES, NOON, Prepared(), search=search)[0].plan
    assert (made.status, made.served, made.reshapes) == (Status.FALLBACK, (), ())
    assert len(made.unserved) == 10


def test_a_whole_gpu_beside_a_slice() -> None:
    """A pod that asks for both is served where both are, and MIG is not switched on under it."""
    mixed = node("a").gpus(2).layout(SEVEN, None, name="autoslicer-0123456789ab")
    held = config_map(
        {
            "autoslicer-0123456789ab": (
                ConfigEntry((0,), (), True, (("7g.80gb", 1),)),
                ConfigEntry((1,), (), False, ()),
            )
        }
    )
    wants = pod("ns/w").wants({"1g.10gb": 1}).resources({"nvidia.com/gpu": "1"})
    allowing = policy().set("spec.layouts", {"allowModeChange": True})
    (reshape,) = planned(mixed, held, wants, allowing).reshapes
    assert [gpu.after for gpu in reshape.gpus][1] is None


def random_scene(rng: random.Random) -> list[Builder]:
    """A few nodes in various states, and pods that run and wait."""
    objects: list[Builder] = []
    for index in range(rng.randint(1, 4)):
        made = node(f"n{index}").gpus(rng.choice([1, 2, 4]))
        made = made.config(
            rng.choice(["all-7g.80gb", "all-1g.10gb", "all-3g.40gb", "all-balanced", "all-disabled"])
        )
        objects.append(rng.choice([made, made, made, made.cordoned(), made.taint("team")]))
        offered = [r for r, v in made.get("status.allocatable").items() if "mig-" in r and v != "0"]
        if offered and rng.random() < 0.3:
            profile = rng.choice(offered).removeprefix("nvidia.com/mig-")
            objects.append(pod(f"ns/runs-{index}").wants({profile: 1}).on(f"n{index}"))
    for index in range(rng.randint(1, 12)):
        profile = rng.choice(["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"])
        wants = pod(f"ns/w{index}").wants({profile: rng.choice([1, 1, 2])}).priority(rng.choice([0, 0, 5]))
        objects.append(rng.choice([wants, wants.tolerates("team"), wants.resources({"cpu": "30"})]))
    return objects


@pytest.mark.parametrize("seed", range(40))
def test_every_plan_passes_the_check_and_keeps_the_hard_rules(seed: int) -> None:
    """Whatever the cluster: the plan is legal, busy and refused nodes stay, each pod is told of once."""
    objects = random_scene(random.Random(seed))
    found = snapshot(*objects)
    wanted = demand(found, waiting=False)
    posed = pose(found, POLICIES, wanted, NOON, waiting=False)
    made = plan(found, POLICIES, NOON)
    changes = tuple(
        Change(reshape.node, gpu.index, gpu.after or ())
        for reshape in made.reshapes
        for gpu in reshape.gpus
        if gpu.changed
    )
    ordered = tuple(sorted(changes, key=lambda change: (change.node, change.gpu)))
    assert not check(posed.problem, Solution(made.served, ordered, made.levels, made.status))
    told = sorted([*served(made), *unserved(made)])
    assert told == [one.key for one in wanted.pods]
    held = {one.node for one in found.pods.values() if one.node}
    reshaped = {reshape.node for reshape in made.reshapes}
    assert not reshaped & (held | set(refusals(made)))
    for reshape in made.reshapes:
        assert all(gpu.before == gpu.after for gpu in reshape.gpus if not gpu.changed)
        assert reshape.serves
