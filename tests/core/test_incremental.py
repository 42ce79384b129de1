"""What was prepared saves work and changes nothing: every step of a life against a fresh start."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from autoslicer.core import configs
from autoslicer.core.plan import Verdict
from autoslicer.core.planner import Prepared, replan
from autoslicer.core.policy import BUILT_IN, Mode, Objective, Weight
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import Condition, MigNodeRow, Requirement, Taint
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339
from tests.build import NOON, change, config_map, mig_manager, mignode, node, pod
from tests.core.scenes import snapshot
from tests.core.test_planner import random_scene

Step = Callable[[random.Random, Snapshot], Snapshot]
PATIENT = replace(
    BUILT_IN,
    pending_seconds=20.0,
    batch_idle_seconds=10.0,
    batch_max_seconds=30.0,
    allow_mode_change=True,
    objective=Objective(Weight.SLICES, starvation_seconds=700.0),
    cooldown_seconds=90.0,
)
HELD = Verdict("", Reason.Reversal, "not yet")


def a_pod_comes(rng: random.Random, now: Snapshot) -> Snapshot:
    profile = rng.choice(["1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"])
    made = pod(f"ns/new-{rng.randrange(10**6)}").wants({profile: rng.choice([1, 1, 9])})
    made = rng.choice([made, made.tolerates("team"), made.resources({"cpu": "2"}), made.priority(9)])
    (row,) = snapshot(made).pods.values()
    row = replace(row, unschedulable_since=NOON - rng.choice([5.0, 25.0, 200.0]))
    return replace(now, pods={**now.pods, row.key: row})


def a_pod_goes(rng: random.Random, now: Snapshot) -> Snapshot:
    gone = rng.choice([*now.pods, ""])
    return replace(now, pods={key: row for key, row in now.pods.items() if key != gone})


def a_pod_is_bound(rng: random.Random, now: Snapshot) -> Snapshot:
    waiting = [row for row in now.pods.values() if not row.node]
    if not waiting:
        return now
    row = replace(rng.choice(waiting), node=rng.choice(sorted(now.nodes)), phase="Running")
    return replace(now, pods={**now.pods, row.key: row})


def a_node_changes(rng: random.Random, now: Snapshot) -> Snapshot:
    row = now.nodes[rng.choice(sorted(now.nodes))]
    row = rng.choice(
        [
            replace(row, unschedulable=not row.unschedulable),
            replace(row, resource_version="9"),
            replace(row, taints=() if row.taints else (Taint("team", "", "NoSchedule"),)),
            replace(row, labels={**row.labels, "nvidia.com/mig.config": "all-7g.80gb"}),
        ]
    )
    return replace(now, nodes={**now.nodes, row.name: row})


def an_agent_looks(rng: random.Random, now: Snapshot) -> Snapshot:
    (row,) = snapshot(mignode(rng.choice(sorted(now.nodes))).gpu({"7g.80gb": 1})).mignodes.values()
    seen: MigNodeRow = replace(row, observed=NOON - rng.choice([0.0, 880.0, 2000.0]))
    return replace(now, mignodes={**now.mignodes, row.name: seen})


def a_config_is_written(rng: random.Random, now: Snapshot) -> Snapshot:
    name = rng.choice(["all-7g.80gb", "all-1g.10gb", "autoslicer-00000000000f", configs.ALL_DISABLED])
    held = {**configs.DEFAULTS, name: configs.DEFAULTS[rng.choice(["all-7g.80gb", "all-3g.40gb"])]}
    if rng.random() < 0.2:
        del held[name]
    return replace(now, config_maps=snapshot(config_map(held)).config_maps)


def a_change_begins(rng: random.Random, now: Snapshot) -> Snapshot:
    waiting = [key for key, row in now.pods.items() if not row.node]
    seven, small = [{"7g.80gb": 1}], [{"1g.10gb": 7}]
    made = change(rng.choice(sorted(now.nodes)), seven, small, phase="Labelled", serves=waiting[:1])
    return replace(now, changes={**now.changes, **snapshot(made).changes})


def a_change_ends(rng: random.Random, now: Snapshot) -> Snapshot:
    return replace(now, changes={})


def time_passes(rng: random.Random, now: Snapshot) -> Snapshot:
    return replace(now, newest=now.newest + 200.0)


def a_hint_is_given(rng: random.Random, now: Snapshot) -> Snapshot:
    waiting = [row for row in now.pods.values() if not row.node]
    if not waiting:
        return now
    row = replace(rng.choice(waiting), nominated=rng.choice(["", *now.nodes]))
    made = change(row.nominated or min(now.nodes), [{"7g.80gb": 1}], [{"1g.10gb": 7}], serves=[row.key])
    steps = [{"phase": "Done", "at": rfc3339(NOON)}]
    done = snapshot(made.set("status", {"phase": "Done", "steps": steps})).changes
    pods = {**now.pods, row.key: row}
    return replace(now, pods=pods, changes=rng.choice([now.changes, done]), newest=NOON + 150.0)


def nothing_happens(rng: random.Random, now: Snapshot) -> Snapshot:
    return replace(now, pods=dict(now.pods))


STEPS: list[Step] = [
    *[a_pod_comes] * 6,
    *[a_pod_goes, a_pod_is_bound, a_node_changes, an_agent_looks, a_config_is_written] * 2,
    a_change_begins,
    a_change_ends,
    *[a_hint_is_given, time_passes] * 2,
    nothing_happens,
]


@pytest.mark.parametrize(("waiting", "holding"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("seed", range(12))
def test_a_life_of_small_steps(seed: int, waiting: bool, holding: bool) -> None:
    """After each of many steps the outcome from what was prepared is that of a fresh start.

    Pods begin to starve meanwhile; in some lives a policy counts pods otherwise, in some it wants headroom,
    and in some nodes rest, are out of reach or are to be avoided for a while.
    """
    rng = random.Random(seed)
    now, prepared, at = snapshot(*random_scene(rng)), Prepared(), NOON
    policies = {PATIENT.name: PATIENT}
    if seed % 4 == 1:
        policies[PATIENT.name] = replace(PATIENT, headroom=(("1g.10gb", 2), ("3g.40gb", 1)))
    if seed % 3 == 0:
        first = (Requirement("kubernetes.io/hostname", "In", (min(now.nodes),)), *PATIENT.selector)
        policies["other"] = replace(PATIENT, name="other", selector=first, objective=Objective())
    if holding and seed % 2:
        policies[PATIENT.name] = replace(policies[PATIENT.name], mode=Mode.AUTO)
    told: Counter[bool] = Counter()
    avoid: dict[str, Verdict] | None = None
    for _ in range(25):
        now = rng.choice(STEPS)(rng, now)
        at += rng.choice([0.0, 0.0, 6.0, 30.0])
        said = rng.choice([(), (Condition("Ready", "True", "Ready", f"at {at}"),)])
        policies = {name: replace(policy, conditions=said) for name, policy in policies.items()}
        if holding:
            avoid = dict.fromkeys(rng.choice([[], [], [min(now.nodes)], [*now.nodes]]), HELD)
        outcome, prepared = replan(now, policies, at, prepared, waiting=waiting, avoid=avoid)
        fresh, _ = replan(now, policies, at, Prepared(), waiting=waiting, avoid=avoid)
        assert outcome == fresh
        assert not {reshape.node for reshape in fresh.plan.reshapes} & (avoid or {}).keys()
        told[bool(fresh.plan.served)] += 1
    assert told[True] or told[False] == 25


@pytest.mark.parametrize("seed", range(12))
def test_a_snapshot_made_near_another(seed: int) -> None:
    """After each of many steps it holds what it would hold without the one that it was made near.

    The pods of most nodes are the very objects that they were.
    """
    rng = random.Random(seed)
    now = kept = snapshot(*random_scene(rng))
    same: Counter[bool] = Counter()
    for _ in range(60):
        now, before = rng.choice(STEPS)(rng, now), kept.tenants
        kept = replace(now, near=kept)
        assert (kept.tenants, kept.hinted, kept.history) == (now.tenants, now.hinted, now.history)
        assert list(kept.history) == list(now.history)
        same.update(pods is before.get(name) for name, pods in kept.tenants.items())
    assert same[True] > same[False] > 0


def test_what_has_not_changed_is_not_made_anew() -> None:
    """One pod more: every other pod and every node of the problem is the very object that it was."""
    rng = random.Random(5)
    now = snapshot(*random_scene(rng))
    policies = {BUILT_IN.name: BUILT_IN}
    _, first = replan(now, policies, NOON, Prepared())
    _, second = replan(a_pod_comes(rng, now), policies, NOON, first)
    assert first.posed is not None
    assert second.posed is not None
    assert second.posed.problem.nodes is first.posed.problem.nodes
    old = {id(one) for one in first.posed.problem.pods}
    assert len(second.posed.problem.pods) == len(old) + 1
    assert len(old - {id(one) for one in second.posed.problem.pods}) == 0


def test_what_says_nothing_new_costs_no_work() -> None:
    """An agent that looks again, a policy's status, a config that no node has: every node stays as it was.

    The same config with another content is news to the nodes that have it, and to no other.
    """
    held = {**configs.DEFAULTS, "autoslicer-00000000000f": configs.DEFAULTS["all-7g.80gb"]}
    machines = [
        node(name).gpus(1).config(config) for name, config in (("a", "all-7g.80gb"), ("b", "all-1g.10gb"))
    ]
    agent = mignode("a").gpu({"7g.80gb": 1})
    world = (*machines, mig_manager("a"), mig_manager("b"), agent, config_map(configs.DEFAULTS))
    now, policies = snapshot(*world), {PATIENT.name: PATIENT}
    _, known = replan(now, policies, NOON, Prepared())
    (look,) = now.mignodes.values()
    told = replace(PATIENT, conditions=(Condition("Ready", "True", "Ready", "governs 2 nodes"),))
    more = replace(
        now,
        mignodes={"a": replace(look, observed=NOON + 60)},
        config_maps=snapshot(config_map(held)).config_maps,
    )
    _, again = replan(more, {PATIENT.name: told}, NOON + 60, known)
    assert known.posed is not None
    assert again.posed is not None
    assert again.posed.sites is known.posed.sites
    other = {**configs.DEFAULTS, "all-1g.10gb": configs.DEFAULTS["all-7g.80gb"]}
    _, news = replan(replace(now, config_maps=snapshot(config_map(other)).config_maps), policies, NOON, known)
    assert news.posed is not None
    old, new = known.posed.sites.by_name, news.posed.sites.by_name
    assert (new["a"] is old["a"], new["b"] is old["b"]) == (True, False)
