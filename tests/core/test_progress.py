"""Every step of a change, and every way out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoslicer.cluster import documents
from autoslicer.core import configs, names, progress
from autoslicer.core.actions import (
    Action,
    AddTaint,
    Publish,
    RemoveTaint,
    Report,
    SetConfig,
    TouchPod,
    WakeAt,
)
from autoslicer.core.changes.observation import Timing, needs_fresh, sight
from autoslicer.core.phases import BEFORE_LABEL, FINAL, Phase, condition
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ChangeStatus
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, Layout, mignode, pod
from tests.core.stages import (
    AFTER,
    BEFORE,
    DEADLINE,
    LABELLED,
    MIG_MANAGER,
    NAME,
    NODE,
    PAUSABLE,
    TAINTED,
    UNLABELLED,
    Stage,
    ending,
    labelled,
    resumed,
    stage,
    succeeded,
    taint,
    waiting_pod,
)

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")
TARGET = "autoslicer-000000000000"
LIFT = RemoveTaint(NODE, "1")
EVERY = (Phase.WAITING, *UNLABELLED, *LABELLED, Phase.ROLLING_BACK)


def acts(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """The actions that change the cluster."""
    return tuple(action for action in actions if not isinstance(action, WakeAt | Report))


def wakes(actions: tuple[Action, ...]) -> list[float]:
    return [action.at for action in actions if isinstance(action, WakeAt)]


def events(actions: tuple[Action, ...]) -> list[tuple[str, str]]:
    return [(action.type, action.reason) for action in actions if isinstance(action, Report)]


def ready(phase: Phase) -> Stage:
    """The phase, once everything that the next one asks for has come to pass."""
    here = stage(phase)
    match phase:
        case Phase.VALIDATED:
            return here.vary("node", taint)
        case Phase.TAINTED:
            return replace(here, sightings=(NOON - 1, NOON))
        case Phase.DRAINED:
            published = stage(Phase.PUBLISHED).objects
            return here.put(config_map=published["config_map"], mig_manager=published["mig_manager"])
        case Phase.PUBLISHED:
            return here.vary("node", lambda node: labelled(node, TARGET))
        case Phase.LABELLED:
            return here.vary("node", lambda node: resumed(node, *AFTER))
        case Phase.APPLIED:
            return here.vary("node", lambda node: resumed(node, *AFTER))
        case Phase.VERIFIED:
            return here.put(a=waiting_pod("team/a").on(NODE))
        case _:
            return here


# the way, undisturbed


@pytest.mark.parametrize(
    ("phase", "following", "allowed"),
    [
        (Phase.WAITING, Phase.VALIDATED, 60),
        (Phase.VALIDATED, Phase.TAINTED, 120 + 1),
        (Phase.TAINTED, Phase.DRAINED, 120 + 5),
        (Phase.DRAINED, Phase.PUBLISHED, 60 + 5),
        (Phase.PUBLISHED, Phase.LABELLED, 1800),
        (Phase.LABELLED, Phase.APPLIED, 1800),
        (Phase.APPLIED, Phase.VERIFIED, 1800),
    ],
)
def test_each_phase_leads_to_the_next_with_its_deadline(
    phase: Phase, following: Phase, allowed: float
) -> None:
    """Once all that it asks for is seen, the next phase is entered, noted with its time, and given time."""
    here = ready(phase)
    status, actions = here.look()
    assert (status.phase, status.deadline) == (following, NOON + allowed)
    assert [(step.phase, step.at) for step in status.steps[len(here.change.status.steps) :]] == [
        (following, NOON)
    ]
    assert succeeded(status).status == "Unknown"
    assert acts(actions) == ((LIFT,) if following is Phase.APPLIED else ())


def test_the_waits_of_the_settings_are_added_to_the_deadlines() -> None:
    """A setting that asks for long waits leaves time for them."""
    timing = Timing(idle_confirm=1000, publish_settle=500)
    allowed = {}
    for phase in (Phase.VALIDATED, Phase.TAINTED, Phase.DRAINED):
        here = replace(ready(phase), timing=timing)
        if phase is Phase.TAINTED:
            here = replace(here, sightings=(NOON - 1000, NOON))
        if phase is Phase.DRAINED:
            here = here.vary("mig_manager", lambda pod: touched(pod, NOON - 500))
        allowed[phase] = here.look()[0].deadline
    assert allowed == {
        Phase.VALIDATED: NOON + 1120,
        Phase.TAINTED: NOON + 620,
        Phase.DRAINED: NOON + 560,
    }


def test_the_first_phase_starts_the_clock() -> None:
    """`startedAt` is when the change left Waiting, and stays."""
    assert stage(Phase.WAITING).look()[0].started == NOON
    later = ready(Phase.VALIDATED).vary("change", lambda c: c.set("status.startedAt", "2026-11-20T11:00:00Z"))
    assert later.look()[0].started == NOON - 3600


def test_a_bound_pod_ends_the_change_as_done() -> None:
    """One pod of those that are served is enough; the event is no warning."""
    status, actions = ready(Phase.VERIFIED).look()
    assert ending(status) == ("Done", "True", "Done")
    assert succeeded(status).message == "1 of 2 pods are bound to gpu-1"
    assert (status.deadline, events(actions)) == (None, [("Normal", "Done")])


@pytest.mark.parametrize("phase", sorted(FINAL))
def test_what_has_ended_stays(phase: Phase) -> None:
    """A final phase is never left, and nothing is done."""
    here = stage(phase).vary("node", taint)
    assert here.look() == (here.change.status, ())


# what is done on the way


def test_the_taint_comes_first_and_the_config_is_published_meanwhile() -> None:
    """Validated taints the node, adds the config to the ConfigMap and touches mig-manager's pod, in order."""
    status, actions = stage(Phase.VALIDATED).look()
    assert status == stage(Phase.VALIDATED).change.status
    assert [type(action) for action in acts(actions)] == [AddTaint, Publish, TouchPod]
    assert actions[0] == AddTaint(NODE, "1", "1", names.DO_NOT_DISRUPT)
    assert wakes(actions) == [DEADLINE]


def test_the_taint_of_another_change_is_none() -> None:
    """Only the taint with this change's number counts."""
    here = stage(Phase.VALIDATED).vary("node", lambda node: taint(node, "2"))
    assert acts(here.look()[1])[0] == AddTaint(NODE, "1", "1", names.DO_NOT_DISRUPT)


@pytest.mark.parametrize(
    ("sightings", "phase", "wake"),
    [
        ((), Phase.TAINTED, NOON + 1),
        ((NOON,), Phase.TAINTED, NOON + 1),
        ((NOON - 0.75, NOON), Phase.TAINTED, NOON + 0.25),
        ((NOON - 1, NOON), Phase.DRAINED, None),
    ],
)
def test_idleness_is_seen_twice(sightings: tuple[float, ...], phase: Phase, wake: float | None) -> None:
    """Two sightings at least `idle_confirm` apart; until then it is looked again in time for the second."""
    status, actions = replace(stage(Phase.TAINTED), sightings=sightings).look()
    assert status.phase == phase
    assert acts(actions) == ()
    assert wakes(actions) == ([] if wake is None else [wake, DEADLINE])


def touched(manager: Builder, at: float, config: str = TARGET) -> Builder:
    return manager.annotations({names.PUBLISHED: f"{config}@{rfc3339(at)}"})


def test_published_means_touched_and_settled() -> None:
    """The file is trusted `publish_settle` seconds after the touch, and looked at again then."""
    here = ready(Phase.DRAINED).vary("mig_manager", lambda pod: touched(pod, NOON - 4.75))
    status, actions = here.look()
    assert (status.phase, acts(actions), wakes(actions)) == ("Drained", (), [NOON + 0.25, DEADLINE])
    assert here.at(NOON + 0.25).look()[0].phase == "Published"


@pytest.mark.parametrize("phase", [Phase.DRAINED, Phase.PUBLISHED])
def test_a_config_that_went_is_published_anew_and_touched_anew(phase: Phase) -> None:
    """Where somebody resets the ConfigMap, an old touch proves nothing: no label before another one."""
    here = stage(Phase.PUBLISHED).put(change=stage(phase).objects["change"])
    reset = here.put(config_map=stage(Phase.DRAINED).objects["config_map"])
    status, actions = reset.look()
    assert status.phase == phase
    assert [type(action) for action in acts(actions)] == [Publish, TouchPod]
    kept = here.look()
    assert kept[0].phase == "Published"


@pytest.mark.parametrize("phase", [Phase.DRAINED, Phase.PUBLISHED])
def test_another_mig_manager_pod_is_touched_too(phase: Phase) -> None:
    """A pod that was replaced meanwhile, or touched for another config, is touched and waited for."""
    here = stage(Phase.PUBLISHED).put(change=stage(phase).objects["change"])
    other = here.vary("mig_manager", lambda pod: touched(pod, NOON - 60, "autoslicer-111111111111"))
    status, actions = other.look()
    assert status.phase == phase
    namespace, _, name = MIG_MANAGER.partition("/")
    value = f"{TARGET}@2026-11-20T12:00:00Z"
    pod = other.snapshot.pods[MIG_MANAGER]
    assert acts(actions) == (TouchPod(namespace, name, pod.uid, names.PUBLISHED, value),)
    garbled = here.vary("mig_manager", lambda pod: pod.annotations({names.PUBLISHED: f"{TARGET}@noon"}))
    assert acts(garbled.look()[1]) == acts(actions)


def test_without_the_right_to_touch_the_kubelet_is_given_its_time() -> None:
    """Ninety seconds from when the ConfigMap is seen with the config; a reset starts them anew."""
    bare = stage(Phase.DRAINED).objects["mig_manager"]
    here = replace(stage(Phase.PUBLISHED).put(change=stage(Phase.DRAINED).objects["change"]), touchable=False)
    here = here.put(mig_manager=bare)
    status, actions = here.look()
    assert (status.phase, acts(actions), wakes(actions)[0]) == ("Drained", (), NOON + 90)
    later = here.vary("change", lambda made: made.put("status", documents.change_status(status)))
    later = later.vary("change", lambda made: made.set("status.deadline", rfc3339(NOON + 125)))
    assert later.at(NOON + 89).look()[0].phase == "Drained"
    assert later.at(NOON + 90).look()[0].phase == "Published"
    assert [type(action) for action in acts(replace(later, touchable=True).at(NOON + 90).look()[1])] == [
        TouchPod
    ]
    reset = later.put(config_map=stage(Phase.DRAINED).objects["config_map"]).at(NOON + 90)
    status, actions = reset.look()
    assert (status.phase, [type(action) for action in acts(actions)]) == ("Drained", [Publish])


def test_the_label_is_set_once_all_is_ready() -> None:
    """Published labels the node, under the version that was looked at."""
    status, actions = stage(Phase.PUBLISHED).look()
    assert status == stage(Phase.PUBLISHED).change.status
    assert actions == (SetConfig(NODE, "1", TARGET), WakeAt(DEADLINE))


def test_a_label_that_was_replaced_at_once_is_still_ours_to_watch() -> None:
    """The annotation tells that our label was there: mig-manager may run, so that the taint stays for now."""
    here = ready(Phase.PUBLISHED).vary("node", lambda node: node.labels({names.MIG_CONFIG: "all-2g.20gb"}))
    status, actions = here.look()
    assert (status.phase, acts(actions)) == ("Labelled", ())


def test_the_taint_goes_once_mig_manager_is_done() -> None:
    """With Applied the taint goes, for the device plugin cannot come back under it; and is tried again."""
    assert acts(ready(Phase.LABELLED).look()[1]) == (LIFT,)
    assert acts(stage(Phase.APPLIED).vary("node", taint).look()[1]) == (LIFT,)
    assert acts(stage(Phase.APPLIED).look()[1]) == ()
    assert acts(stage(Phase.VERIFIED).vary("node", taint).look()[1]) == (LIFT,)
    assert acts(stage(Phase.VERIFIED).look()[1]) == ()


# fresh reads


@pytest.mark.parametrize("phase", EVERY)
def test_while_a_label_is_to_be_set_only_fresh_reads_count(phase: Phase) -> None:
    """A cache is not enough before Labelled and while rolling back, and enough in between."""
    here = replace(ready(phase), fresh=False)
    fresh_only = phase in (*BEFORE_LABEL, Phase.ROLLING_BACK)
    assert needs_fresh(here.change, None) == fresh_only
    status, actions = here.look()
    assert (status != here.change.status or bool(actions)) != fresh_only


def test_a_change_that_is_held_is_looked_at_in_the_cache() -> None:
    """Only while it waits; a hold that comes later holds nothing."""
    waiting, running = stage(Phase.WAITING).change, stage(Phase.VALIDATED).change
    assert not needs_fresh(waiting, HELD)
    assert needs_fresh(running, HELD)


# sightings


@pytest.mark.parametrize("phase", TAINTED)
def test_a_sighting_is_a_fresh_read_of_idleness_under_the_taint(phase: Phase) -> None:
    """The first and the newest are kept; a cached read adds none and takes none."""
    here = stage(phase)
    assert sight((), here.change, here.observation, NOON) == (NOON,)
    assert sight((1.0,), here.change, here.observation, NOON) == (1.0, NOON)
    assert sight((1.0, 2.0), here.change, here.observation, NOON) == (1.0, NOON)
    cached = replace(here, fresh=False)
    assert sight((1.0, 2.0), here.change, cached.observation, NOON) == (1.0, 2.0)


def _seen(at: float) -> Builder:
    """What an agent saw at a time: a pod on the GPU that is to change."""
    seen = mignode(NODE).gpu({"7g.80gb": 1}, pods={"7g.80gb": ["team/c"]}).gpu({"7g.80gb": 1})
    return seen.set("status.observedAt", rfc3339(at))


@pytest.mark.parametrize(
    "disturb",
    [
        lambda here: here.vary("node", lambda node: node.set("spec.taints", [])),
        lambda here: here.vary("node", lambda node: taint(node.set("spec.taints", []), "2")),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE)),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE).phase("Pending")),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE).deleting()),
        lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE), agent=_seen(NOON - 1000)),
        lambda here: here.put(agent=_seen(NOON - 1)),
        lambda here: here.drop("node"),
    ],
    ids=[
        "no taint",
        "another taint",
        "in use",
        "bound and not running",
        "terminating",
        "seen long ago",
        "a pod that only the agent sees",
        "no node",
    ],
)
def test_a_disturbance_takes_the_sightings_away(disturb: Callable[[Stage], Stage]) -> None:
    """Confirmation starts anew where the taint went or a pod walked in."""
    here = stage(Phase.TAINTED)
    assert sight((1.0, 2.0), here.change, disturb(here).observation, NOON) == ()


# holds


def test_a_hold_is_told_and_nothing_else() -> None:
    """The condition names the hold; without it the change goes on."""
    status, actions = replace(stage(Phase.WAITING), hold=HELD).look()
    assert (status.phase, status.steps, actions) == ("Waiting", (), ())
    found = succeeded(status)
    assert (found.status, found.reason, found.message) == ("Unknown", "BudgetExhausted", HELD.message)
    assert stage(Phase.WAITING).look()[0].phase == "Validated"


def test_a_hold_that_stays_writes_nothing_anew() -> None:
    """The same hold later is the same status; another hold keeps the transition time."""
    held = replace(stage(Phase.WAITING), hold=HELD)
    first, _ = held.look()
    waiting = replace(held.change, status=first)
    again, _ = progress.advance(waiting, held.observation, NOON + 50, held.timing)
    assert again == first
    other = replace(held, hold=Verdict(NODE, Reason.Suspended, "suspended"))
    status, _ = progress.advance(waiting, other.observation, NOON + 50, held.timing)
    assert (succeeded(status).reason, succeeded(status).since) == ("Suspended", NOON)


@pytest.mark.parametrize(
    ("why", "ends"),
    [
        (Reason.ApplyPathMissing, True),
        (Reason.ApplyPathNotConfigured, True),
        (Reason.ConfigMapIncomplete, True),
        (Reason.BudgetExhausted, False),
    ],
)
def test_pods_are_not_promised_for_ever_to_a_node_that_no_config_reaches(why: Reason, ends: bool) -> None:
    """A change that waits for its apply path as long as mig-manager is given ends; others have no end."""
    held = replace(stage(Phase.WAITING), hold=Verdict(NODE, why, "held"))
    allowed = held.change.recovery.pending_deadline
    first, actions = held.look()
    assert (first.phase, actions) == ("Waiting", (WakeAt(NOON + allowed),) if ends else ())

    def later(status: ChangeStatus, at: float, hold: Verdict | None = held.hold) -> ChangeStatus:
        waiting = replace(held.change, status=status)
        return progress.advance(waiting, replace(held.observation, hold=hold), at, held.timing)[0]

    assert later(first, NOON + allowed - 1) == first
    over = later(first, NOON + allowed)
    assert ending(over) == (("Cancelled", "False", why) if ends else ("Waiting", "Unknown", why))
    # what was mended for a while starts the time anew
    between = later(first, NOON + 9, Verdict(NODE, Reason.Suspended, "suspended"))
    assert later(between, NOON + allowed).phase == "Waiting"


@pytest.mark.parametrize("phase", [*UNLABELLED, *LABELLED])
def test_a_hold_holds_no_change_that_has_started(phase: Phase) -> None:
    """Suspending a policy, or closing its budget, lets what runs be finished."""
    suspended = replace(ready(phase), hold=HELD).vary(
        "policy", lambda policy: policy.set("spec.suspend", True)
    )
    assert suspended.look() == ready(phase).look()


def test_a_recommendation_is_planned_anew_in_mode_auto() -> None:
    """What no human has approved is never carried out: it makes room for a change that needs no approval."""
    unapproved = replace(stage(Phase.WAITING), hold=HELD).vary(
        "change", lambda change: change.set("spec.approved", False)
    )
    assert ending(unapproved.look()[0]) == ("Cancelled", "False", "Superseded")
    recommended = unapproved.vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    assert recommended.look()[0].phase == "Waiting"
    forgotten = replace(recommended, hold=None).look()[0]
    assert ending(forgotten) == ("Waiting", "Unknown", "AwaitingApproval")
    approved = stage(Phase.WAITING).vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    assert approved.look()[0].phase == "Validated"


def test_a_change_that_the_policy_approved_is_planned_anew_in_mode_recommend() -> None:
    """Once a human is asked for approval, none but a human's counts; and under mode Auto it goes on."""
    by_policy = stage(Phase.WAITING).vary(
        "change", lambda change: change.put("metadata.annotations", {names.APPROVED_BY: names.BY_POLICY})
    )
    assert by_policy.look()[0].phase == "Validated"
    asked = by_policy.vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    assert ending(asked.look()[0]) == ("Cancelled", "False", "Superseded")


@pytest.mark.parametrize("reason", [Reason.Superseded, Reason.Expired])
def test_a_recommendation_ends_when_the_cycle_says_so(reason: Reason) -> None:
    """One that was approved since then is left to the next cycle."""
    recommended = stage(Phase.WAITING).vary("policy", lambda policy: policy.set("spec.mode", "Recommend"))
    over = replace(recommended, hold=Verdict(NODE, reason, "a newer plan"))
    unapproved = over.vary("change", lambda change: change.set("spec.approved", False))
    assert ending(unapproved.look()[0]) == ("Cancelled", "False", reason)
    assert over.look() == (over.change.status, ())


def test_who_approved_a_change_is_told() -> None:
    """In its first step, with nothing that steers a terminal."""
    approved = stage(Phase.WAITING).vary(
        "change", lambda change: change.put("metadata.annotations", {names.APPROVED_BY: "kim\n@example.com"})
    )
    assert approved.look()[0].steps[-1].message == "the plan still holds; approved by kim\ufffd@example.com"
    assert stage(Phase.WAITING).look()[0].steps[-1].message == "the plan still holds"


# ways out before the label

WAYS_OUT: dict[str, tuple[Callable[[Stage], Stage], str]] = {
    "cordoned": (lambda here: here.vary("node", lambda node: node.cordoned()), "Cordoned"),
    "not ready": (lambda here: here.vary("node", lambda node: node.not_ready()), "NotReady"),
    "opted out": (
        lambda here: here.vary("node", lambda node: node.annotations({names.IGNORE: "true"})),
        "OptedOut",
    ),
    "relabelled": (
        lambda here: here.vary("node", lambda node: node.labels({names.MIG_CONFIG: "all-2g.20gb"})),
        "Superseded",
    ),
    "another layout": (
        lambda here: here.vary("node", lambda node: node.layout(*AFTER, name="all-7g.80gb")),
        "LayoutDrift",
    ),
    "mig-manager at work": (
        lambda here: here.vary("node", lambda node: node.labels({names.MIG_CONFIG_STATE: "pending"})),
        "ChangeInProgress",
    ),
    "paused": (
        lambda here: here.vary(
            "node", lambda node: node.labels({f"{names.GPU_DEPLOY_PREFIX}dcgm": names.PAUSED})
        ),
        "ChangeInProgress",
    ),
    "failed before": (
        lambda here: here.vary("node", lambda node: node.labels({names.MIG_CONFIG_STATE: "failed"})),
        "ApplyFailed",
    ),
    "policy gone": (lambda here: here.drop("policy"), "NotGoverned"),
    "policy renamed": (
        lambda here: here.vary("policy", lambda policy: policy.set("metadata.name", "other")),
        "NotGoverned",
    ),
    "two policies": (
        lambda here: here.put(other=here.objects["policy"].set("metadata.name", "other")),
        "PolicyConflict",
    ),
    "too few pods": (
        lambda here: here.drop("a").vary("policy", lambda p: p.set("spec.disruption.minBenefit", 2)),
        "BelowMinBenefit",
    ),
    "profile denied": (
        lambda here: here.vary("policy", lambda p: p.set("spec.layouts", {"deniedProfiles": ["1g.10gb"]})),
        "PolicyForbids",
    ),
    "a pod walked in": (lambda here: here.put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE)), "NodeBusy"),
    "pods gone": (lambda here: here.drop("a", "b"), "ServedElsewhere"),
    "pods deleted": (
        lambda here: here.vary("a", lambda pod: pod.deleting()).vary("b", lambda pod: pod.deleting()),
        "ServedElsewhere",
    ),
    "pods made anew": (
        lambda here: here.drop("a", "b").put(c=waiting_pod("team/c"), d=waiting_pod("team/d")),
        "ServedElsewhere",
    ),
    "pods bound elsewhere": (
        lambda here: here.put(a=waiting_pod("team/a").on("far"), b=waiting_pod("team/b").on("far")),
        "ServedElsewhere",
    ),
}


@pytest.mark.parametrize("phase", [Phase.WAITING, *UNLABELLED])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_before_the_label_a_change_ends_as_soon_as_it_must_not_go_on(phase: Phase, way: str) -> None:
    """Cancelled with the reason, one warning, and the taint lifted where there is one."""
    disturb, reason = WAYS_OUT[way]
    status, actions = disturb(stage(phase)).look()
    assert ending(status) == ("Cancelled", "False", reason)
    assert actions[:-1] == ((LIFT,) if phase in TAINTED else ())
    assert events(actions) == [("Warning", reason)]
    assert stage(phase).look()[0].phase in (phase, "Validated")


@pytest.mark.parametrize("phase", LABELLED)
@pytest.mark.parametrize(
    "way", ["cordoned", "policy gone", "policy renamed", "two policies", "profile denied"]
)
def test_after_the_label_a_change_is_finished(phase: Phase, way: str) -> None:
    """A human's cordon stays, and a policy that goes changes nothing."""
    finished = WAYS_OUT[way][0](ready(phase))
    assert finished.look()[0].phase == ready(phase).look()[0].phase


@pytest.mark.parametrize("phase", UNLABELLED)
@pytest.mark.parametrize(
    ("disturb", "reason"),
    [
        (lambda here: here.drop("mig_manager"), "ApplyPathMissing"),
        (
            lambda here: here.vary("mig_manager", lambda pod: pod.condition("Ready", "False")),
            "ApplyPathMissing",
        ),
        (lambda here: here.drop("config_map"), "ConfigMapIncomplete"),
        (
            lambda here: here.vary(
                "policy", lambda p: p.set("spec.layouts", {"configMap": {"name": "other"}})
            ),
            "ApplyPathNotConfigured",
        ),
    ],
    ids=["no mig-manager", "mig-manager not ready", "no ConfigMap", "another ConfigMap"],
)
def test_a_broken_apply_path_ends_a_change_that_has_started(
    phase: Phase, disturb: Callable[[Stage], Stage], reason: str
) -> None:
    """It could not be carried through; a Waiting one is held instead, by the cycle."""
    assert ending(disturb(stage(phase)).look()[0]) == ("Cancelled", "False", reason)
    assert disturb(stage(Phase.WAITING)).look()[0].phase == "Validated"


@pytest.mark.parametrize("phase", [Phase.VALIDATED, Phase.TAINTED, Phase.DRAINED])
def test_a_config_map_without_room_ends_the_change(phase: Phase) -> None:
    """A config that would take it to what the API server does not store is not even tried."""
    here = stage(phase)
    row = here.snapshot.config_maps["gpu-operator", "autoslicer-mig-parted-config"]
    added = len(configs.render({TARGET: configs.entries_of(here.change.gpus)}))

    def filled(most: int) -> Stage:
        padding = "x" * (most - row.size - len("padding") - added)
        return here.vary("config_map", lambda found: found.put("data", {"padding": padding}))

    assert ending(filled(1024 * 1024).look()[0]) == ("Cancelled", "False", "ConfigMapFull")
    assert filled(1024 * 1024 - 1).look()[0].phase == phase


def test_a_full_config_map_that_has_the_config_is_good_enough() -> None:
    """Nothing needs to be added to it."""
    full = stage(Phase.PUBLISHED).vary(
        "config_map", lambda found: found.put("data", {"x": "x" * 1024 * 1024})
    )
    assert acts(full.look()[1]) == (SetConfig(NODE, "1", TARGET),)


@pytest.mark.parametrize("phase", TAINTED)
def test_a_taint_that_somebody_takes_away_ends_the_change(phase: Phase) -> None:
    """Without it pods may have come since: nothing is labelled."""
    here = stage(phase).vary("node", lambda node: node.set("spec.taints", []))
    assert ending(here.look()[0]) == ("Cancelled", "False", "DrainBlocked")


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (Phase.VALIDATED, "DeadlineExceeded"),
        (Phase.TAINTED, "DrainBlocked"),
        (Phase.DRAINED, "PublishFailed"),
        (Phase.PUBLISHED, "DeadlineExceeded"),
    ],
)
def test_before_the_label_a_deadline_cancels(phase: Phase, reason: str) -> None:
    """At the deadline and not before it; a step without one has none left."""
    early = stage(phase).at(DEADLINE - 0.25)
    assert early.look()[0].phase == phase
    status, actions = stage(phase).at(DEADLINE).look()
    assert ending(status) == ("Cancelled", "False", reason)
    assert acts(actions) == ((LIFT,) if phase in TAINTED else ())
    timeless = stage(phase).vary("change", lambda change: change.set("status.deadline", None))
    assert ending(timeless.look()[0]) == ("Cancelled", "False", reason)


# the node itself


@pytest.mark.parametrize("phase", EVERY)
def test_a_node_that_is_gone_or_another_ends_the_change(phase: Phase) -> None:
    """There is nothing to undo; a node of the same name with another uid is another node."""
    gone = stage(phase).drop("node")
    replaced = stage(phase).vary("node", lambda node: node.set("metadata.uid", "another"))
    for here in (gone, replaced):
        status, actions = here.look()
        assert ending(status) == ("Cancelled", "False", "NodeGone")
        assert acts(actions) == ()
    unknown = replaced.vary("change", lambda change: change.set("spec.node", {"name": NODE}))
    assert unknown.look()[0].phase != "Cancelled"


# walking in around the label


def test_a_pod_that_walks_in_right_after_the_label_is_told_of() -> None:
    """It is too late to undo anything: the change goes on, and a warning names the pod."""
    here = ready(Phase.PUBLISHED).put(c=pod("team/c").wants({"7g.80gb": 1}).on(NODE))
    status, actions = here.look()
    assert status.phase == "Labelled"
    [alarm] = [action for action in actions if isinstance(action, Report)]
    assert (alarm.type, alarm.reason, alarm.name) == ("Warning", "NodeBusy", NAME)
    assert alarm.message.startswith("around the label: pod team/c ")
    assert ready(Phase.PUBLISHED).look()[1] == ()


def test_a_gpu_that_does_not_change_may_be_in_use() -> None:
    """Where an agent tells them apart, only the GPUs of the change must be idle."""

    def seen(used: int) -> Stage:
        agent = mignode(NODE)
        for index in (0, 1):
            agent = agent.gpu({"7g.80gb": 1}, pods={"7g.80gb": ["team/c"]} if index == used else {})
        return stage(Phase.PUBLISHED).put(agent=agent, c=pod("team/c").wants({"7g.80gb": 1}).on(NODE))

    assert acts(seen(1).look()[1]) == (SetConfig(NODE, "1", TARGET),)
    assert ending(seen(0).look()[0]) == ("Cancelled", "False", "GpuBusy")


# mig-manager's run


def run_started(status: ChangeStatus) -> str:
    found = condition(status, "RunStarted")
    return "" if found is None else found.status


def carried(here: Stage, status: ChangeStatus) -> Stage:
    """The stage with the status written."""
    return here.vary("change", lambda change: change.set("status", documents.change_status(status)))


def success(*offered: Layout) -> Stage:
    """mig-manager says success for our label, was never seen paused, and the node offers this."""
    here = stage(Phase.LABELLED)
    labels = {names.MIG_CONFIG_STATE: "success", **dict.fromkeys(PAUSABLE, "true")}
    return here.vary("node", lambda node: node.layout(*offered, name=TARGET).labels(labels))


def test_pending_is_waited_for_and_the_start_is_noted() -> None:
    """Paused clients show that our run has begun."""
    here = stage(Phase.LABELLED)
    status, actions = here.look()
    assert (status.phase, run_started(status)) == ("Labelled", "True")
    assert actions == (WakeAt(DEADLINE),)
    unpaused = here.vary("node", lambda node: node.labels(dict.fromkeys(PAUSABLE, "true")))
    assert unpaused.look() == (unpaused.change.status, (WakeAt(DEADLINE),))


def test_success_after_a_start_that_was_seen_counts_at_once() -> None:
    """Whatever the node offers by now, but the old layout."""
    begun = carried(stage(Phase.LABELLED), stage(Phase.LABELLED).look()[0])
    for offered in ([], [{"1g.10gb": 3}], AFTER):
        done = begun.vary("node", lambda node, offered=offered: resumed(node, *offered))
        assert done.look()[0].phase == "Applied"
    old = begun.vary("node", lambda node: resumed(node, *BEFORE))
    assert old.look()[0].phase == "Labelled"


def test_success_with_clients_still_paused_does_not_count() -> None:
    """The success of an earlier run, or of a rollback: the device plugin will not come back."""
    done = stage(Phase.LABELLED).vary("node", lambda node: resumed(node, *AFTER))
    assert done.look()[0].phase == "Applied"
    held = done.vary("node", lambda node: node.labels({PAUSABLE[1]: names.PAUSED}))
    assert held.look()[0].phase == "Labelled"


def test_a_client_that_an_admin_switched_off_stays_off() -> None:
    """Its label reads false, which is nothing to wait for."""
    off = {f"{names.GPU_DEPLOY_PREFIX}dcgm": "false"}
    done = stage(Phase.LABELLED).vary("node", lambda node: resumed(node, *AFTER).labels(off))
    assert done.look()[0].phase == "Applied"


def test_a_late_success_of_an_earlier_run_does_not_count() -> None:
    """A success without a seen start is trusted only when it lasts; ours soon replaces an earlier one's."""
    late = success()
    status, actions = late.look()
    assert (status.phase, run_started(status)) == ("Labelled", "Unknown")
    assert wakes(actions) == [NOON + 10]
    noted = carried(late, status)
    assert noted.at(NOON + 9.75).look()[0] == status
    assert noted.at(NOON + 10).look()[0].phase == "Applied"
    taken_up = noted.put(node=stage(Phase.LABELLED).objects["node"]).at(NOON + 10)
    assert (taken_up.look()[0].phase, run_started(taken_up.look()[0])) == ("Labelled", "True")


def test_a_success_that_still_offers_the_old_layout_never_counts() -> None:
    """The node's slices must be those of the new layout, or away: the deadline decides."""
    stale = success(*BEFORE)
    noted = carried(stale, stale.look()[0])
    assert noted.at(DEADLINE - 1).look()[0].phase == "Labelled"
    assert noted.at(DEADLINE).look()[0].phase == "Tainted"


def test_a_layout_that_is_there_already_counts_at_once() -> None:
    """mig-manager reports success within moments and pauses nothing: the wanted slices are proof enough."""
    assert success(*AFTER).look()[0].phase == "Applied"


def test_a_gpu_that_was_cut_from_nothing() -> None:
    """With an empty layout before, offering nothing is no sign of the old layout."""
    empty = [{"from": {}, "to": {"1g.10gb": 7}, "index": 0, "changed": True}]
    here = success().vary("change", lambda change: change.set("spec.gpus", empty))
    begun = carried(here, here.look()[0]).at(NOON + 10)
    assert begun.look()[0].phase == "Applied"


def test_a_run_that_does_not_end_is_given_up_at_the_deadline() -> None:
    """The message names the state that mig-manager is stuck in."""
    here = stage(Phase.LABELLED)
    assert here.at(DEADLINE - 0.25).look()[0].phase == "Labelled"
    status, actions = here.at(DEADLINE).look()
    assert (status.phase, status.attempt, events(actions)) == ("Tainted", 2, [("Warning", "ApplyStuck")])
    assert "its state is pending" in status.steps[-1].message
    assert acts(actions) == ()


def test_a_success_that_is_first_seen_after_the_deadline_still_counts() -> None:
    """A controller that was away for long takes note of what mig-manager did meanwhile."""
    late = stage(Phase.LABELLED).vary("node", lambda node: resumed(node, *AFTER)).at(DEADLINE + 500)
    assert late.look()[0].phase == "Applied"
    unseen = success().at(DEADLINE + 500)
    status, actions = unseen.look()
    assert (status.phase, wakes(actions)) == ("Labelled", [DEADLINE + 510])
    assert carried(unseen, status).at(DEADLINE + 510).look()[0].phase == "Applied"


# a foreign label


def relabelled(phase: Phase, state: str) -> Stage:
    """Somebody has replaced our label, and mig-manager is in that state, nothing paused."""
    labels = {
        names.MIG_CONFIG: "all-2g.20gb",
        names.MIG_CONFIG_STATE: state,
        **dict.fromkeys(PAUSABLE, "true"),
    }
    return stage(phase).vary("node", lambda node: node.labels(labels))


@pytest.mark.parametrize("phase", [Phase.LABELLED, Phase.APPLIED])
@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_foreign_label_ends_the_change_once_mig_manager_rests(phase: Phase, state: str) -> None:
    """It has to rest for ten seconds, for our run's success shows for a moment before the next run begins."""
    here = relabelled(phase, state)
    status, actions = here.look()
    assert (status.phase, actions) == (phase, (WakeAt(NOON + 10),))
    resting = carried(here, status)
    assert resting.at(NOON + 9.75).look()[0].phase == phase
    status, actions = resting.at(NOON + 10).look()
    assert ending(status) == ("Cancelled", "False", "ForeignOwner")
    assert acts(actions) == ((LIFT,) if phase is Phase.LABELLED else ())


@pytest.mark.parametrize("phase", [Phase.LABELLED, Phase.APPLIED])
@pytest.mark.parametrize(
    "busy",
    [
        {names.MIG_CONFIG_STATE: "pending"},
        {names.MIG_CONFIG_STATE: "rebooting"},
        {"nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change"},
    ],
    ids=["pending", "rebooting", "paused"],
)
def test_while_mig_manager_works_on_a_foreign_label_the_taint_stays(
    phase: Phase, busy: dict[str, str]
) -> None:
    """Its ten seconds of rest begin anew when it begins to work, and the deadline ends all waiting."""
    resting = carried(relabelled(phase, "success"), relabelled(phase, "success").look()[0])
    working = resting.vary("node", lambda node: node.labels(busy)).at(NOON + 5)
    status, actions = working.look()
    assert (status.phase, actions) == (phase, (WakeAt(DEADLINE),))
    again = carried(resting, status).at(NOON + 12)
    assert again.look()[1] == (WakeAt(NOON + 22),)
    assert ending(carried(working, status).at(DEADLINE).look()[0]) == ("Cancelled", "False", "ForeignOwner")


# proof


def test_the_proof_is_waited_for_until_the_deadline() -> None:
    """What is missing is told at the end, not before."""
    here = stage(Phase.APPLIED)
    assert here.look() == (here.change.status, (WakeAt(DEADLINE),))
    assert here.at(DEADLINE - 0.25).look()[0].phase == "Applied"
    status, _ = here.at(DEADLINE).look()
    assert ending(status) == ("Quarantined", "False", "PluginMissing")
    assert "allocatable shows nothing, not " in succeeded(status).message
    partly = here.vary("node", lambda node: node.layout({"1g.10gb": 3}, name=TARGET))
    assert ending(partly.at(DEADLINE).look()[0])[2] == "VerificationFailed"


def test_a_proof_that_is_first_seen_after_the_deadline_still_counts() -> None:
    """Proven is proven."""
    assert ready(Phase.APPLIED).at(DEADLINE + 500).look()[0].phase == "Verified"


# whom it served


def test_a_verified_change_waits_for_the_scheduler_until_the_deadline() -> None:
    """Then it is done all the same, but without success: the node is as planned."""
    here = stage(Phase.VERIFIED)
    assert here.look() == (here.change.status, (WakeAt(DEADLINE),))
    assert here.at(DEADLINE - 0.25).look()[0].phase == "Verified"
    assert ending(here.at(DEADLINE).look()[0]) == ("Done", "False", "DeadlineExceeded")
    assert ending(ready(Phase.VERIFIED).at(DEADLINE).look()[0]) == ("Done", "True", "Done")


@pytest.mark.parametrize("way", ["pods gone", "pods deleted", "pods made anew", "pods bound elsewhere"])
def test_pods_that_need_the_change_no_more_end_it(way: str) -> None:
    """Once verified; until then mig-manager's run and the proof go on."""
    gone = WAYS_OUT[way][0](stage(Phase.VERIFIED))
    assert ending(gone.look()[0]) == ("Done", "True", "ServedElsewhere")
    for phase in (Phase.LABELLED, Phase.APPLIED):
        assert WAYS_OUT[way][0](ready(phase)).look()[0].phase == ready(phase).look()[0].phase


def test_one_pod_that_still_waits_is_enough_to_go_on() -> None:
    """As long as the policy's `minBenefit` is met."""
    assert stage(Phase.VALIDATED).drop("a").look()[0].phase == "Validated"
    assert stage(Phase.VERIFIED).drop("a").look()[0].phase == "Verified"


def test_slices_that_a_rival_took_end_the_change() -> None:
    """Its pods fit no more: they must be planned for anew."""
    rivals = {f"r{n}": pod(f"rival/{n}").wants({"1g.10gb": 1}).on(NODE) for n in range(7)}
    assert ending(stage(Phase.VERIFIED).put(**rivals).look()[0]) == ("Done", "True", "ServedElsewhere")
    del rivals["r0"]
    assert stage(Phase.VERIFIED).put(**rivals).look()[0].phase == "Verified"
