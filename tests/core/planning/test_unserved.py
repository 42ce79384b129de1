"""Why a pod is not served, each reason with a twin that is."""

from __future__ import annotations

import pytest

from autoslicer.core.reasons import Reason
from tests.build import Builder, node, pod, policy
from tests.core.scenes import planned, served, unserved

IDLE = node("a").gpus(2).config("all-7g.80gb")
WAITS = pod("ns/w").wants({"1g.10gb": 1})
FULL = {"7g.80gb": 1}


def limited(**layouts: object) -> Builder:
    """A policy with these layout rules."""
    return policy().set("spec.layouts", layouts)


CASES: list[tuple[Reason, str, list[Builder], list[Builder]]] = [
    # the reason, what the message says, a scene in which ns/w is not served, and its twin
    (
        Reason.NoFeasibleLayout,
        "needs 3 x 7g.80gb on one node; the most any node can free is 2",
        [IDLE, pod("ns/w").wants({"7g.80gb": 3})],
        [IDLE, pod("ns/w").wants({"7g.80gb": 2})],
    ),
    (
        Reason.NoFeasibleLayout,
        "the most any node can free is 0",
        [IDLE, pod("ns/w").wants({"1g.5gb": 1})],
        [IDLE, WAITS],
    ),
    (
        Reason.NoFeasibleLayout,
        "needs 1 x 4g.40gb + 2 x 7g.80gb on one node",
        [IDLE, pod("ns/w").wants({"7g.80gb": 2, "4g.40gb": 1})],
        [IDLE, pod("ns/w").wants({"7g.80gb": 1, "4g.40gb": 1})],
    ),
    (
        Reason.OutOfCapacity,
        "goes to other pods",
        [IDLE, WAITS, pod("ns/p").wants({"7g.80gb": 2}).priority(1)],
        [IDLE, WAITS, pod("ns/p").wants({"7g.80gb": 1}).priority(1)],
    ),
    (
        Reason.OutOfCapacity,
        "a may not change (NodeBusy)",
        [IDLE, WAITS, pod("ns/b").wants(FULL).on("a")],
        [IDLE, WAITS, pod("ns/b").wants(FULL).on("a").phase("Failed")],
    ),
    (
        Reason.OutOfCapacity,
        "a may not change (Cordoned)",
        [IDLE.cordoned().taint("node.kubernetes.io/unschedulable"), WAITS],
        [IDLE, WAITS],
    ),
    (
        Reason.OutOfCapacity,
        "a may not change (Cordoned)",
        [node("a").gpus(1).config("all-1g.10gb").cordoned(), WAITS],
        [node("a").gpus(1).config("all-1g.10gb"), WAITS],
    ),
    (
        Reason.OutOfCapacity,
        "a: the node is not Ready",
        [node("a").gpus(1).config("all-1g.10gb").not_ready(), policy("p", {"x": "y"}), WAITS],
        [node("a").gpus(1).config("all-1g.10gb"), policy("p", {"x": "y"}), WAITS],
    ),
    (
        Reason.OutOfCapacity,
        "no policy governs",
        [
            node("a").gpus(1).config("all-1g.10gb"),
            policy("p", {"x": "y"}),
            WAITS,
            pod("ns/b").wants({"1g.10gb": 7}).on("a"),
        ],
        [
            node("a").gpus(1).config("all-1g.10gb"),
            policy("p", {"x": "y"}),
            WAITS,
            pod("ns/b").wants({"1g.10gb": 6}).on("a"),
        ],
    ),
    (
        Reason.InsufficientResources,
        "a could hold its slices but lack cpu",
        [IDLE, WAITS.resources({"cpu": "2"}), pod("ns/b").resources({"cpu": "63"}).on("a")],
        [IDLE, WAITS.resources({"cpu": "2"}), pod("ns/b").resources({"cpu": "62"}).on("a")],
    ),
    (
        Reason.InsufficientResources,
        "pods",
        [IDLE.allocatable({"pods": "1"}), WAITS, pod("ns/b").on("a")],
        [IDLE.allocatable({"pods": "2"}), WAITS, pod("ns/b").on("a")],
    ),
    (
        Reason.InsufficientResources,
        "nvidia.com/gpu",
        [IDLE, WAITS.resources({"nvidia.com/gpu": "1"})],
        [
            IDLE.allocatable({"nvidia.com/gpu": "0", "example.com/nic": "1"}),
            WAITS.resources({"example.com/nic": "1"}),
        ],
    ),
    (
        Reason.TaintNotTolerated,
        "does not tolerate the taints of a, such as team=ml:NoSchedule",
        [IDLE.taint("team", value="ml"), WAITS],
        [IDLE.taint("team", value="ml"), WAITS.tolerates("team")],
    ),
    (
        Reason.NodeAffinityMismatch,
        "its selector or affinity excludes a",
        [IDLE, WAITS.selector({"zone": "x"})],
        [IDLE.labels({"zone": "x"}), WAITS.selector({"zone": "x"})],
    ),
    (
        Reason.PolicyForbids,
        "policy default does not allow the profiles on a",
        [IDLE, WAITS, limited(deniedProfiles=["1g.10gb"])],
        [IDLE, WAITS, limited(deniedProfiles=["2g.20gb"])],
    ),
    (
        Reason.PolicyForbids,
        "policy default does not allow the profiles on a",
        [IDLE, WAITS, limited(allowedProfiles=["3g.40gb"])],
        [IDLE, WAITS, limited(allowedProfiles=["1g.10gb"])],
    ),
    (
        Reason.PolicyForbids,
        "ModeChangeForbidden",
        [node("a").gpus(1).config("all-disabled"), WAITS, limited(allowModeChange=False)],
        [node("a").gpus(1).config("all-disabled"), WAITS, limited(allowModeChange=True)],
    ),
    (
        Reason.PolicyForbids,
        "OptedOut",
        [IDLE.annotations({"autoslicer.dev/ignore": "true"}), WAITS],
        [IDLE.annotations({"autoslicer.dev/ignore": "no"}), WAITS],
    ),
    (
        Reason.BelowMinBenefit,
        "a would change for fewer than 2 pods",
        [IDLE, WAITS, policy().set("spec.disruption.minBenefit", 2)],
        [IDLE, WAITS, pod("ns/v").wants({"2g.20gb": 1}), policy().set("spec.disruption.minBenefit", 2)],
    ),
]


@pytest.mark.parametrize(("reason", "said", "scene", "twin"), CASES)
def test_each_reason(reason: Reason, said: str, scene: list[Builder], twin: list[Builder]) -> None:
    """The most telling reason is given, in words; in the twin the pod is served."""
    made = planned(*scene)
    assert unserved(made) == {"ns/w": reason}
    assert said in made.unserved[0].message
    assert served(planned(*twin))["ns/w"] == "a"


def test_what_is_in_use_comes_before_what_a_policy_forbids() -> None:
    """Only where nothing but a policy stands in the way on every node is it the policy's doing."""
    denied = node("a").gpus(1).config("all-7g.80gb").labels({"zone": "x"})
    busy = node("b").gpus(1).config("all-7g.80gb")
    runs = pod("ns/b").wants(FULL).on("b")
    held = [
        policy("p", {"zone": "x"}).set("spec.layouts", {"deniedProfiles": ["1g.10gb"]}),
        policy("q", {"nvidia.com/mig.strategy": "mixed"}),
    ]
    narrower = held[0].set("spec.nodeSelector.matchLabels", {"zone": "x", "nvidia.com/mig.strategy": "mixed"})
    made = planned(denied, busy, runs, WAITS, narrower, held[1])
    assert unserved(made) == {"ns/w": Reason.OutOfCapacity}
    assert unserved(planned(denied, WAITS, narrower)) == {"ns/w": Reason.PolicyForbids}


def test_a_reason_for_each_pod_of_a_crowd() -> None:
    """Pods that agree share an answer, and every pod of the demand is in exactly one list."""
    crowd = [pod(f"ns/w{i}").wants({"7g.80gb": 1}) for i in range(5)]
    made = planned(IDLE, *crowd)
    assert len(made.served) == 2
    assert len(unserved(made)) == 3
    assert sorted([*served(made), *unserved(made)]) == [f"ns/w{i}" for i in range(5)]


def test_a_pod_that_waits_for_its_turn() -> None:
    """While one policy's window has passed and another's has not, the message names the latter."""
    policies = [
        policy("old", {"zone": "x"}),
        policy("young", {"zone": "y"}).set("spec.trigger.pendingSeconds", 3600),
    ]
    cordoned = node("x").gpus(1).config("all-7g.80gb").labels({"zone": "x"}).cordoned()
    other = node("y").gpus(1).config("all-7g.80gb").labels({"zone": "y"})
    made = planned(cordoned, other, WAITS, *policies, waiting=True)
    assert unserved(made) == {"ns/w": Reason.OutOfCapacity}
    assert "pendingSeconds" in made.unserved[0].message
    assert served(planned(cordoned, other, WAITS, *policies)) == {"ns/w": "y"}
