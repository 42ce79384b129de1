"""Pods are evicted for pods of higher priority, where they may be and their replacements have a place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core import configs, draining, names, reading
from autoslicer.core.actions import AddTaint, CreateChange, Evict, Leaver, RemoveTaint
from autoslicer.core.changes.observation import Observation, Timing, sight
from autoslicer.core.changes.transition import Result
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Reshape, document
from autoslicer.core.planner import Prepared
from autoslicer.core.progress import advance
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.times import rfc3339
from solver.problem import MOST_EVICTED, MOST_OF_NAMESPACE
from tests.build import NOON, Builder, Pod, change, config_map, mig_manager, mignode, node, pod, policy
from tests.core.pacing.test_gates import gate, reason
from tests.core.scenes import planned, served, snapshot, unserved
from tests.core.stages import ending

TENANTS = ("low/a", "low/b")
LAYOUT = {"1g.10gb": 7}


def tenant(key: str) -> Pod:
    """A running pod of a Deployment with one small slice of node `full`."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": True}
    made = (
        pod(key)
        .wants({"1g.10gb": 1})
        .set("metadata.ownerReferences", [owner])
        .set("metadata.labels", {"app": "x"})
    )
    return made.on("full", at=NOON - 300).created(NOON - 300)


def scene(**more: Builder | None) -> dict[str, Builder]:
    """Two pods hold one GPU, another node has free slices for them, and a large pod of priority 10 waits.

    `more` takes the place of objects by their word, or takes them away.
    """
    found: dict[str, Builder | None] = {
        "full": node("full").gpus(1).layout(LAYOUT, name="all-1g.10gb"),
        "agent": mignode("full").gpu(LAYOUT, pods={"1g.10gb": [*TENANTS]}),
        "spare": node("spare").gpus(1).layout(LAYOUT, name="all-1g.10gb"),
        "a": tenant("low/a"),
        "b": tenant("low/b"),
        "busy": pod("low/c").wants({"1g.10gb": 1}).on("spare"),
        "large": pod("high/large").wants({"7g.80gb": 1}).priority(10),
        "policy": evicting(),
        **more,
    }
    return {word: made for word, made in found.items() if made is not None}


def evicting(eviction: str = "WhenServed") -> Builder:
    """The usual policy with that word about evictions."""
    return policy().set("spec.disruption.eviction", eviction)


def _reshape(**more: Builder | None) -> Reshape | None:
    [*found] = planned(*scene(**more).values()).reshapes
    return found[0] if found else None


def test_two_pods_make_room_for_one_above_them() -> None:
    """The node is planned for, both tenants go, and the plan's document names them."""
    made = planned(*scene().values())
    [reshape] = made.reshapes
    assert (reshape.node, reshape.serves, reshape.evictions) == ("full", ("high/large",), TENANTS)
    assert document(made)["reshapes"][0]["evictions"] == [*TENANTS]
    assert served(made) == {"high/large": "full"}
    assert not made.refusals or all(refusal.name != "full" for refusal in made.refusals)


@pytest.mark.parametrize(
    "more",
    [
        {"policy": evicting("Never")},
        {"agent": None},
        {"spare": None, "busy": None},
        {"large": pod("high/large").wants({"7g.80gb": 1})},
        {"a": tenant("low/a").priority(10)},
        {"a": tenant("low/a").set("metadata.ownerReferences", None)},
        {"a": tenant("low/a").daemon()},
        {"a": tenant("low/a").set("metadata.ownerReferences", [{"kind": "Node", "controller": True}])},
        {"a": tenant("low/a").set("metadata.ownerReferences", [{"kind": "Workflow", "controller": True}])},
        {"a": tenant("low/a").annotations({names.IGNORE: "true"})},
        {"a": tenant("low/a").annotations({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})},
        {"a": tenant("low/a").annotations({"karpenter.sh/do-not-disrupt": "true"})},
        {"a": tenant("low/a").set("spec.schedulerName", "volcano")},
        {"a": tenant("low/a").tolerates()},
        {"a": tenant("low/a").deleting()},
        {"agent": mignode("full").gpu(LAYOUT, pods={"1g.10gb": [*TENANTS]}, processes=1)},
    ],
    ids=[
        *("forbidden", "no agent", "no place for the replacements", "no higher priority", "one is as high"),
        *(
            "bare",
            "daemon set",
            "static",
            "not known to be replaced",
            "opted out",
            "not safe to evict",
            "not to be disrupted",
        ),
        *("another scheduler", "tolerates everything", "leaving already", "a stranger's process"),
    ],
)
def test_nobody_goes_where_one_of_them_must_stay(more: dict[str, Builder | None]) -> None:
    """Where one tenant may not be evicted, or has no place elsewhere, the pod above them is not served."""
    made = planned(*scene(**more).values())
    assert made.reshapes == ()
    assert "high/large" in unserved(made)


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController", "StatefulSet", "Job"])
def test_pods_that_are_made_again_make_room(kind: str) -> None:
    """Whichever of Kubernetes' own controllers of such pods they belong to."""
    owner = [{"kind": kind, "controller": True}]
    assert _reshape(a=tenant("low/a").set("metadata.ownerReferences", owner)) is not None


def test_a_mark_with_another_value_keeps_nobody() -> None:
    """`safe-to-evict: "true"` and `do-not-disrupt: "false"` are no reason to stay."""
    marks = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "karpenter.sh/do-not-disrupt": "false"}
    assert _reshape(a=tenant("low/a").annotations(marks)) is not None


# what may start


def _decided(**more: Builder | None) -> Decision:
    known = config_map({name: configs.DEFAULTS[name] for name in ("all-disabled", "all-1g.10gb")})
    objects = scene(known=known, manager=mig_manager("full"), **more)
    found = snapshot(*objects.values())
    return decide(found, found.policies, NOON, Prepared())[0]


def _made(decision: Decision) -> list[ReconfigurationRow]:
    return [action.change for action in decision.actions if isinstance(action, CreateChange)]


def test_the_change_names_those_who_go() -> None:
    """What a cycle makes of the plan says who is evicted."""
    [made] = _made(_decided())
    assert (made.node, made.serves, made.evicts) == ("full", ("high/large",), TENANTS)


def _asking(node: str, *pods: str, phase: str = "Tainted") -> Builder:
    return change(node, [LAYOUT], [{"7g.80gb": 1}], phase=phase).set("spec.evicts", list(pods))


def test_few_pods_are_evicted_at_once() -> None:
    """A change waits while too many pods of its namespace, or of all, are being evicted; else it starts."""

    def held(*leaving: str, phase: str = "Tainted", approved: bool = True) -> Reason | None:
        asked = gate(_asking("d", *leaving, phase=phase).set("spec.approved", approved))
        return reason(asked, evicts=TENANTS)

    few, many = ([f"low/{n}" for n in range(MOST_OF_NAMESPACE - left)] for left in (2, 1))
    assert (held(*few), held(*many)) == (None, Reason.DrainBlocked)
    few, many = ([f"team-{n}/x" for n in range(MOST_EVICTED - left)] for left in (2, 1))
    assert (held(*few), held(*many)) == (None, Reason.DrainBlocked)
    # what has not started evicts nobody
    assert held(*many, phase="Waiting") is None
    assert held(*many, phase="Waiting", approved=False) is None
    assert reason(gate(_asking("d", *many, "low/x", "low/y"))) is None


def test_changes_that_start_together_are_counted_together() -> None:
    """Approved all at once, they evict no more than one after the other."""
    asked = gate()
    pods = [f"low/{n}" for n in range(MOST_OF_NAMESPACE)]
    assert reason(asked, "a", evicts=tuple(pods[:4])) is None
    assert reason(asked, "b", evicts=tuple(pods[4:])) is None
    assert reason(asked, "c", evicts=("low/x",)) is Reason.DrainBlocked
    assert reason(asked, "c", evicts=("other/x",)) is None


def test_no_plan_asks_for_more_evictions_than_may_ever_begin() -> None:
    """Where all that a pod could get is too much, less is planned for others, and the pod is told."""
    crowd = [tenant(f"low/{gpu}{n}") for gpu in "xy" for n in range(4)]
    agent = mignode("full")
    for gpu in "xy":
        agent = agent.gpu(LAYOUT, pods={"1g.10gb": [f"low/{gpu}{n}" for n in range(4)]})
    world = {
        "full": node("full").gpus(2).layout(LAYOUT, LAYOUT, name="all-1g.10gb"),
        "agent": agent,
        "spare": node("spare").gpus(2).layout(LAYOUT, LAYOUT, name="all-1g.10gb"),
        "a": None,
        "b": None,
    }
    two = pod("high/two").wants({"7g.80gb": 2}).priority(10)
    one = pod("high/one").wants({"7g.80gb": 1}).priority(10)
    both = planned(*scene(**world, large=two).values(), one, *crowd)  # type: ignore[arg-type]
    assert [len(reshape.evictions) for reshape in both.reshapes] == [4]
    assert (served(both), unserved(both)) == ({"high/one": "full"}, {"high/two": Reason.OutOfCapacity})
    fewer = [made for made in crowd if made.raw["metadata"]["name"] != "y3"]
    less = mignode("full").gpu(LAYOUT, pods={"1g.10gb": [f"low/x{n}" for n in range(4)]})
    less = less.gpu(LAYOUT, pods={"1g.10gb": [f"low/y{n}" for n in range(3)]})
    seven = planned(*scene(**{**world, "agent": less}, large=two).values(), *fewer)  # type: ignore[arg-type]
    assert [len(reshape.evictions) for reshape in seven.reshapes] == [7]


def test_places_are_made_before_they_are_needed() -> None:
    """A reshape whose evicted pods go to a node that changes too waits for that change."""
    reshape = Reshape("full", "default", "x", "y", (), ("high/large",), TENANTS, after=("other",))
    found = draining.held(reshape, ())
    assert found is not None
    assert (found.reason, "other" in found.message) == (Reason.DrainBlocked, True)


@pytest.mark.parametrize(("approved", "made"), [(True, []), (False, ["full"])])
def test_a_place_that_a_change_has_yet_to_make_is_none(approved: bool, made: list[str]) -> None:
    """One that may fail, or has not begun; what nobody has approved changes nothing."""
    busy = change("spare", [{"1g.10gb": 7}], [{"1g.10gb": 5}], phase="Waiting").set(
        "spec.from", "all-1g.10gb"
    )
    decision = _decided(coming=busy.set("spec.approved", approved))
    assert [found.node for found in _made(decision) if found.evicts] == made
    blocked = [v.reason for v in decision.withheld if v.name == "high/large"]
    assert blocked == ([Reason.DrainBlocked] if approved else [])


# carrying it out


def _carried(phase: Phase, now: float = NOON, **more: Builder | None) -> Result:
    """What `advance` makes of the change of node `full` in that phase."""
    made = change("full", [LAYOUT], [{"7g.80gb": 1}], phase=phase, serves=("high/large",))
    made = made.set("spec.from", "all-1g.10gb").set("spec.evicts", [*TENANTS])
    made = made.put("status", {"deadline": rfc3339(NOON + 60)})
    known = config_map({name: configs.DEFAULTS[name] for name in ("all-disabled", "all-1g.10gb")})
    full = node("full").gpus(1).layout(LAYOUT, name="all-1g.10gb")
    tainted = full if phase is Phase.VALIDATED else full.taint(names.TAINT, value="1")
    base: dict[str, Builder | None] = {"full": tainted, "known": known, "manager": mig_manager("full")}
    objects = scene(**{**base, "change": made, **more})
    found = snapshot(*objects.values())
    row = reading.change(objects["change"].raw)
    seen = Observation(found, fresh=True)
    return advance(row, replace(seen, sightings=sight((), row, seen, now)), now, Timing())


def _evicted(result: Result) -> list[str]:
    return [f"{pod.namespace}/{pod.name}" for pod in _leavers(result)]


def _leavers(result: Result) -> list[Leaver]:
    return [pod for action in result[1] if isinstance(action, Evict) for pod in action.pods]


def test_pods_are_asked_to_go_after_the_taint() -> None:
    """Before the node is tainted nobody is evicted, afterwards each tenant is, by its uid."""
    before = _carried(Phase.VALIDATED)
    assert _evicted(before) == []
    assert any(isinstance(action, AddTaint) for action in before[1])
    after = _carried(Phase.TAINTED)
    assert _evicted(after) == [*TENANTS]
    assert [pod.uid for pod in _leavers(after)] == ["pod-low/a", "pod-low/b"]
    assert after[0].phase == Phase.TAINTED


def test_those_who_are_leaving_are_waited_for() -> None:
    """A pod within its grace period is not asked again and keeps the change from going on."""
    assert _evicted(_carried(Phase.TAINTED, a=tenant("low/a").deleting())) == ["low/b"]
    both = _carried(Phase.TAINTED, a=tenant("low/a").deleting(), b=tenant("low/b").deleting())
    assert (_evicted(both), both[0].phase) == ([], Phase.TAINTED)
    assert not _sighted(a=tenant("low/a").deleting(), b=None)


def test_the_change_goes_on_once_they_are_gone() -> None:
    """With the pods gone and the agent's word for it the GPU is idle; without that word it is not yet."""
    gone: dict[str, Builder | None] = {"a": None, "b": None}
    assert not _sighted(**gone)
    assert _sighted(agent=mignode("full").gpu(LAYOUT).observed(NOON + 1), **gone)


def _sighted(**more: Builder | None) -> bool:
    made = change("full", [LAYOUT], [{"7g.80gb": 1}], phase="Tainted", serves=("high/large",))
    full = node("full").gpus(1).layout(LAYOUT, name="all-1g.10gb").taint(names.TAINT, value="1")
    found = snapshot(*scene(**{"full": full, "change": made, **more}).values())
    return bool(sight((), reading.change(made.raw), Observation(found, fresh=True), NOON + 2))


def test_the_drain_has_a_limit() -> None:
    """Entering Tainted the pods get the policy's time; when the deadline is over the node goes back."""
    full = node("full").gpus(1).layout(LAYOUT, name="all-1g.10gb").taint(names.TAINT, value="1")
    rules = evicting().set("spec.disruption.drainTimeoutSeconds", 1000)
    status, _ = _carried(Phase.VALIDATED, full=full, policy=rules)
    assert status.phase == Phase.TAINTED
    assert status.deadline == NOON + 1000 + Timing().idle_confirm
    late = _carried(Phase.TAINTED, now=NOON + 60)
    assert ending(late[0]) == (Phase.CANCELLED, "False", Reason.DrainBlocked)
    assert any(isinstance(action, RemoveTaint) for action in late[1])
    assert _evicted(late) == []


@pytest.mark.parametrize(
    "more",
    [
        {"policy": evicting("Never")},
        {"a": tenant("low/a").annotations({names.IGNORE: "true"})},
        {"a": tenant("low/a").priority(10)},
        {"spare": None, "busy": None},
        {"busy": pod("low/c").wants({"1g.10gb": 1}).on("spare").repels({"app": "x"})},
        {"coming": change("spare", [LAYOUT], [LAYOUT], phase="Labelled")},
        {"coming": change("spare", [LAYOUT], [LAYOUT], phase="Waiting")},
    ],
    ids=[
        *("forbidden by now", "opted out by now", "as important by now", "the place is gone"),
        *("kept off the place", "the place is in a change", "the place is about to change"),
    ],
)
def test_nobody_is_evicted_on_yesterdays_word(more: dict[str, Builder | None]) -> None:
    """What no longer allows an eviction ends the change before anybody has to go."""
    ended = _carried(Phase.TAINTED, **more)
    assert ending(ended[0]) == (Phase.CANCELLED, "False", Reason.DrainBlocked)
    assert _evicted(ended) == []


def test_what_nobody_approved_takes_no_place() -> None:
    """The node of a recommendation is as it is."""
    coming = change("spare", [LAYOUT], [LAYOUT], phase="Waiting").set("spec.approved", False)
    assert _evicted(_carried(Phase.TAINTED, coming=coming)) == [*TENANTS]


def test_another_pod_on_the_node_ends_the_change() -> None:
    """A GPU pod that the plan did not know of is nobody's to evict."""
    ended = _carried(Phase.TAINTED, guest=tenant("low/new").on("full", at=NOON - 1))
    assert ended[0].phase == Phase.CANCELLED
    assert _evicted(ended) == []
