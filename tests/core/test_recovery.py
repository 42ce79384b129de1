"""Every trap of mig-manager, as a change sees it: found by a reason of its own, and mended or left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoslicer.core import names
from autoslicer.core.actions import AddTaint, DeletePod, RemoveTaint, RestoreClients, SetConfig
from autoslicer.core.changes import mending
from autoslicer.core.changes.applying import LATE_SUCCESS_SECONDS
from autoslicer.core.changes.attempts import back, nth
from autoslicer.core.configs import config_name, entries_of
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase
from autoslicer.core.recovery import Recovery
from tests.build import NOON, change, node, pod
from tests.core.moving_world import SOURCE, TARGET, agent, beginning, walker
from tests.core.scenes import planned
from tests.core.stages import MIG_MANAGER, NODE, PAUSABLE
from tests.core.way import Answer, Way, fresh

FIRST = beginning(Phase.LABELLED)[1]
SECOND, THIRD = nth(FIRST, 2).name, nth(FIRST, 3).name
BACK = back(FIRST).name
WORKS = Answer("success", works=True)
FAILS = Answer("failed", works=True, offers="nothing")
REFUSES = Answer("failed", offers="before")
STUCK = Answer("pending", left=True, offers="nothing")
AGAIN = ["Tainted", "Drained", "Published", "Labelled"]
ONCE = Recovery(max_attempts=1)


def gone(way: Way) -> None:
    """mig-manager's pod is not there."""
    way.world = way.world.with_pod(MIG_MANAGER, None)


# further attempts


def test_a_failed_attempt_is_followed_by_another_under_another_name() -> None:
    """After the back-off, under the same taint, with every step taken again; then it is as any other."""
    way = Way().go(FAILS, WORKS, turns=40)
    assert way.phases[:6] == [*AGAIN, "Applied", "Verified"]
    assert way.labels == [SECOND]
    assert way.change.status.attempt == 2
    again, labelled = way.change.status.steps[1].at, way.times(SetConfig)[0]
    assert labelled >= again - NOON + 30
    assert way.times(RemoveTaint)[0] > labelled
    assert way.world.config_map is not None
    assert (way.world.config_map.configs or {})[SECOND] == entries_of(way.change.gpus)
    assert way.told[0] == "ApplyFailed"


def test_the_back_off_doubles() -> None:
    """Thirty seconds before the second attempt, sixty before the third."""
    way = Way(Recovery(max_attempts=3)).go(FAILS, FAILS, WORKS, turns=60)
    assert way.labels == [SECOND, THIRD]
    began = [step.at - NOON for step in way.change.status.steps if step.phase == "Tainted"]
    labelled = way.times(SetConfig)
    assert 30 <= labelled[0] - began[0] < 45
    assert 60 <= labelled[1] - began[1] < 75


def test_one_attempt_is_all_where_the_policy_says_so() -> None:
    """With maxAttempts 1 the way back follows at once."""
    assert Way(ONCE).go(FAILS, WORKS).phases == ["RollingBack", "RolledBack"]
    assert Way().go(FAILS, FAILS, WORKS).phases == [*AGAIN, "RollingBack", "RolledBack"]


def test_names_of_equal_content_differ() -> None:
    """Each attempt has its own name, none is that of before, and a restart finds the same."""
    found = [nth(FIRST, attempt).name for attempt in range(1, 6)]
    assert len({*found, SOURCE, BACK}) == 7
    planned = replace(FIRST, target=config_name(entries_of(FIRST.gpus)))
    assert nth(planned, 2).name != nth(planned, 1).name == planned.target


@pytest.mark.parametrize(
    ("disturb", "message"),
    [
        (lambda way: way.world.with_pod("team/c", walker()), "pod team/c uses GPUs"),
        (lambda way: way.world.with_node(unschedulable=True), "the node is cordoned"),
        (lambda way: way.world.annotated("all-2g.20gb"), "another hand was there"),
        (lambda way: way.world.tainted(""), "somebody took"),
        (lambda way: way.world.with_pod("team/a", None).with_pod("team/b", None), "none of the pods"),
    ],
    ids=["a pod walked in", "cordoned", "another owner", "the taint is gone", "nobody needs it"],
)
@pytest.mark.parametrize("late", [False, True], ids=["at the failure", "while it waits"])
def test_there_is_no_further_attempt_that_is_not_safe_or_not_wanted(
    disturb: Callable[[Way], object], message: str, late: bool
) -> None:
    """Whenever that comes to light; the end says what was in the way."""

    def meanwhile(way: Way) -> None:
        if way.change.status.attempt == (2 if late else 1) and way.change.status.phase != Phase.ROLLING_BACK:
            way.world = disturb(way)  # type: ignore[assignment]

    way = Way(meanwhile=meanwhile).go(FAILS, WORKS)
    assert SECOND not in way.labels
    assert message in way.message
    assert way.end[0] in ("RolledBack", "Quarantined")
    assert way.world.taints == []


def test_a_fault_that_no_name_mends_is_not_tried_again() -> None:
    """Where the agent sees that the driver left a GPU empty, the layout is refused and the way back taken."""
    seen = agent("after")
    empty = replace(seen, gpus=(replace(seen.gpus[0], instances=()), *seen.gpus[1:]), observed=NOON + 1)
    way = Way(world=replace(fresh(), agent=empty), now=NOON + 2)
    way.go(Answer("failed", works=True, offers="nothing"), turns=3)
    assert way.phases == ["RollingBack"]
    assert way.end[1] == "LayoutRefused"


# traps


def test_a_file_that_was_not_there_yet() -> None:
    """mig-manager fails and touches nothing: ConfigLag, and another name of equal content."""
    way = Way().go(REFUSES, WORKS, turns=40)
    assert (way.told[0], way.labels) == ("ConfigLag", [SECOND])
    assert Way().go(REFUSES, REFUSES, WORKS).end == ("RolledBack", "ConfigLag")
    assert Way().go(REFUSES, REFUSES, WORKS).labels == [SECOND, SOURCE]


def test_a_file_that_came_late_is_no_attempt_at_the_layout() -> None:
    """It is asked again once even where the policy allows one attempt; a layout that fails then is not."""
    assert Way(ONCE).go(REFUSES, WORKS, turns=40).labels == [SECOND]
    for answers in ((REFUSES, REFUSES, WORKS), (REFUSES, FAILS, WORKS)):
        assert Way(ONCE).go(*answers).labels == [SECOND, SOURCE]
    lagged = Way(ONCE).go(REFUSES, WORKS, turns=40)
    assert "attempt 2 of 2: " in lagged.change.status.steps[1].message


def test_partial_destruction_is_told_apart() -> None:
    """An agent that looked since the label sees neither layout; the way back makes it whole."""
    part = replace(agent("something"), observed=NOON + 1)
    way = Way(ONCE, world=replace(fresh(), agent=part), now=NOON + 2)

    def healed(way: Way) -> None:
        if SOURCE in way.labels:
            way.world = replace(way.world, agent=None)

    way.meanwhile = healed
    assert way.go(FAILS, WORKS).end == ("RolledBack", "PartialDestruction")
    assert "GPU 0 holds 1 x 2g.20gb" in way.message


def test_a_success_that_leaves_clients_paused_is_mended_by_hand() -> None:
    """After ten seconds, for labels come back before success; an admin's false stays."""
    off = {f"{names.GPU_DEPLOY_PREFIX}dcgm": "false"}
    way = Way(world=fresh().labelled(off)).go(Answer("success", left=True), turns=12)
    [restored] = way.times(RestoreClients)
    assert 10 <= restored < 15
    assert way.phases[0] == "Applied"
    assert way.world.node is not None
    assert way.world.node.labels[f"{names.GPU_DEPLOY_PREFIX}dcgm"] == "false"
    assert evidence.paused(way.world.node) == ()


def test_a_failure_that_leaves_clients_paused_is_mended_before_the_next_label() -> None:
    """Else nobody could see the next run at work, and the device plugin would stay away."""
    way = Way().go(Answer("failed", left=True), WORKS, turns=40)
    assert way.in_order(RestoreClients, SetConfig)
    assert way.end[0] in ("Verified", "Done")


def test_a_driver_upgrade_s_pause_is_nobody_s_business() -> None:
    """Only labels that mig-manager paused are set back; under another pause no label is set."""
    other = {PAUSABLE[0]: "paused-for-driver-upgrade"}

    def upgrade(way: Way) -> None:
        way.world = way.world.labelled(other)

    way = Way(meanwhile=upgrade).go(FAILS, WORKS)
    assert way.times(RestoreClients) == []
    assert way.labels == []
    assert way.end[0] == "Quarantined"


def test_a_wedge_climbs_the_ladder() -> None:
    """Another name, the way back, the labels by hand; mig-manager's pod only where that is allowed."""
    way = Way(Recovery(pending_deadline=600)).go(STUCK)
    assert way.labels == [SECOND, SOURCE]
    assert [round(at, -2) for at in way.times(SetConfig)] == [600, 1200]
    assert way.told == ["ApplyStuck", "ApplyStuck"]
    assert way.in_order(SetConfig, RestoreClients, RemoveTaint)
    assert way.times(RestoreClients)[0] > 1900
    assert way.end == ("Quarantined", "ApplyStuck")
    assert way.times(DeletePod) == []


def test_the_pod_of_a_wedged_mig_manager_goes_last() -> None:
    """Once, after the taint, and the pod that follows is given a deadline to make the old layout."""
    allowed = Recovery(pending_deadline=600, delete_operator_pods=True)
    way = Way(allowed).go(STUCK)
    assert way.in_order(RestoreClients, RemoveTaint, DeletePod)
    [deleted] = way.times(DeletePod)
    assert way.change.status.steps[-1].at - NOON >= deleted + 500

    def reborn(way: Way) -> None:
        if way.times(DeletePod) and MIG_MANAGER not in way.world.pods:
            row = replace(beginning(Phase.WAITING)[0].pods[MIG_MANAGER], created=way.now, uid="another")
            way.world = Answer().given(way.world.with_pod(MIG_MANAGER, row), way.change, SOURCE)

    way = Way(allowed, meanwhile=reborn).go(STUCK)
    assert way.end == ("RolledBack", "ApplyStuck")
    assert len(way.times(DeletePod)) == 1


def test_the_clients_of_another_process_are_its_own() -> None:
    """The mig-manager that follows pauses them for its run; they are given back only once that is over."""

    def at_work(way: Way) -> None:
        if way.times(DeletePod) and MIG_MANAGER not in way.world.pods:
            row = replace(beginning(Phase.WAITING)[0].pods[MIG_MANAGER], created=way.now, uid="another")
            way.world = STUCK.given(way.world.with_pod(MIG_MANAGER, row), way.change, SOURCE)

    way = Way(Recovery(delete_operator_pods=True), meanwhile=at_work).go(STUCK)
    assert max(way.times(RestoreClients)) < way.times(DeletePod)[0]
    assert way.end == ("Quarantined", "ApplyStuck")


def test_no_pod_is_deleted_while_slices_are_offered() -> None:
    """Pods could come to them before the next mig-manager cuts them."""

    def back_already(way: Way) -> None:
        if way.times(RestoreClients):
            way.world = way.world.offering("before", discovery=True)

    way = Way(Recovery(delete_operator_pods=True), meanwhile=back_already).go(STUCK)
    assert way.times(RestoreClients)
    assert way.times(DeletePod) == []


def test_a_label_that_nobody_answered_to_is_not_simply_taken_back() -> None:
    """mig-manager may never have seen it, and then the old value triggers nothing: another name does."""
    dead = Answer("pending", offers="before")
    assert Way().go(dead).labels == [SECOND, BACK]
    assert Way(ONCE).go(dead, WORKS).end == ("RolledBack", "ApplyStuck")
    assert Way(ONCE).go(REFUSES).labels == [SECOND, SOURCE]


def test_a_stale_success_is_told_apart() -> None:
    """mig-manager says success and the node still offers the old layout: asked again, then set back."""
    stale = Answer("success", offers="before")
    way = Way(Recovery(pending_deadline=600)).go(stale)
    assert way.told[0] == "StaleSuccess"
    assert way.end == ("RolledBack", "StaleSuccess")


def test_a_cleared_layout_is_set_back() -> None:
    """Success for a profile that the driver does not know has emptied the GPUs: taint, and the old layout."""
    way = Way(Recovery(pending_deadline=600)).go(Answer("success", works=True, offers="emptied"), WORKS)
    assert way.phases == ["Applied", "RollingBack", "RolledBack"]
    assert way.end[1] == "LayoutCleared"
    assert way.in_order(RemoveTaint, AddTaint, SetConfig)


def test_a_cleared_layout_is_set_back_as_soon_as_it_is_known() -> None:
    """By device plugin and discovery together, or by an agent; one of them alone may still be on its way."""
    cleared = Answer("success", works=True, offers="emptied")
    assert Way().go(cleared, WORKS).times(SetConfig)[0] < 30

    def behind(way: Way) -> None:
        old = {f"{names.MIG_RESOURCE_PREFIX}7g.80gb.count": "2"}
        way.world = way.world if way.labels else way.world.labelled(old)

    assert Way(meanwhile=behind).go(cleared, WORKS).times(SetConfig)[0] > 1800

    def looks(way: Way) -> None:
        way.now += 15.0 if way.phases == ["Applied"] else 0.0
        empty = tuple(replace(gpu, instances=()) if gpu.index == 0 else gpu for gpu in agent("after").gpus)
        seen = replace(agent("after"), gpus=empty, observed=way.now)
        way.world = replace(way.world, agent=None if way.labels else seen)

    nothing = Answer("success", works=True, offers="nothing")
    assert 10 < Way(meanwhile=looks).go(nothing, WORKS).times(SetConfig)[0] < 60


def test_a_device_plugin_that_stays_away_quarantines() -> None:
    """No layout would be offered without it, so that nothing is set back."""
    way = Way()

    def stale_labels(way: Way) -> None:
        way.world = way.world.offering("after", discovery=True).offering("nothing", discovery=False)

    way.meanwhile = stale_labels
    assert way.go(WORKS).end == ("Quarantined", "PluginMissing")
    assert way.labels == []


def test_a_node_that_is_lost_is_left_alone() -> None:
    """At the deadline nothing can be proven of it: no label, no attempt, and no taint."""

    def lost(way: Way) -> None:
        way.world = way.world.with_node(ready=False)

    way = Way(meanwhile=lost).go(Answer("pending", offers="nothing"))
    assert way.end == ("Quarantined", "NotReady")
    assert (way.labels, way.world.taints) == ([], [])
    assert way.change.status.steps[-1].at - NOON >= 1800


def test_a_reboot_is_waited_for() -> None:
    """mig-manager reboots the node where the driver asks for it, and goes on afterwards."""

    def reboots(way: Way) -> None:
        up = way.now >= NOON + 700
        way.world = way.world.with_node(ready=up)
        if up:
            way.world = Answer().given(way.world, way.change, TARGET)
        elif way.now < NOON + 690:
            way.now = min(way.now, NOON + 690)

    way = Way(meanwhile=reboots)
    way.world = way.world.labelled({names.MIG_CONFIG_STATE: "rebooting"})
    for _ in range(30):
        way.now = min(way.now + 50, NOON + 1700)
        way.meanwhile(way)
        way.turn()
    assert way.phases[0] == "Applied"
    assert way.labels == []


def test_a_node_that_was_lost_before_mig_manager_heard_gets_its_old_label_back() -> None:
    """Else mig-manager would cut it later, under pods that came to the slices it still offers."""

    def lost(way: Way) -> None:
        crashing(way)
        way.world = way.world.with_node(ready=False)

    way = Way(meanwhile=lost).go(Answer("pending", offers="before"))
    assert way.labels[:1] == [BACK]
    assert way.in_order(SetConfig, RemoveTaint)
    assert way.world.taints == []


def test_a_reboot_takes_mig_managers_pod_along() -> None:
    """It is not missed as long as its node is away, however long that takes."""

    def reboots(way: Way) -> None:
        up = way.now >= NOON + 900
        way.world = (fresh() if up else way.world).with_node(ready=up)
        if up:
            way.world = Answer().given(way.world, way.change, TARGET)
        else:
            crashing(way)

    way = Way(meanwhile=reboots)
    way.world = way.world.labelled({names.MIG_CONFIG_STATE: "rebooting"})
    for _ in range(40):
        way.now = min(way.now + 30, NOON + 1700)
        way.meanwhile(way)
        way.turn()
    assert (way.phases[0], way.labels) == ("Applied", [])


def test_a_reboot_that_does_not_come_quarantines() -> None:
    """Another label would only ask for another reboot: none is set, and the clients stay away."""
    way = Way().go(Answer("rebooting", left=True, offers="nothing"))
    assert way.end == ("Quarantined", "ApplyStuck")
    assert "its state is rebooting" in way.message
    assert (way.labels, way.times(RestoreClients), way.world.taints) == ([], [], [])


def crashing(way: Way) -> None:
    """mig-manager's pod is there and never ready."""
    way.world = way.world.with_pod(MIG_MANAGER, replace(way.world.pods[MIG_MANAGER], ready=False))


@pytest.mark.parametrize("away", [gone, crashing])
def test_a_mig_manager_that_stays_away_is_not_waited_for_until_the_deadline(
    away: Callable[[Way], None],
) -> None:
    """Two minutes, as for a restart; then the old layout's label is set, and the taint goes for its pod."""
    way = Way(meanwhile=away).go(Answer("pending", offers="before"), turns=30)
    assert way.labels == [BACK]
    assert 120 <= way.times(SetConfig)[0] < 200
    assert way.times(RemoveTaint)
    assert way.end[1] == "ApplyPathMissing"


def test_a_mig_manager_that_comes_back_in_time_goes_on() -> None:
    """An upgrade of the operator in the middle of a run costs nothing but time."""

    def away(way: Way) -> None:
        row = beginning(Phase.LABELLED)[0].pods[MIG_MANAGER]
        way.world = way.world.with_pod(MIG_MANAGER, None if way.now < NOON + 60 else row)

    way = Way(meanwhile=away)
    for second in range(0, 200, 10):
        way.now = NOON + second
        way.meanwhile(way)
        way.turn()
    assert way.phases == []
    way.now = NOON + 200
    assert way.go(WORKS, turns=3).phases[0] == "Applied"


# the way back


def test_a_foreign_label_on_the_way_back_is_left_alone() -> None:
    """It is another hand's node from then on."""

    def relabel(way: Way) -> None:
        if way.change.status.phase == Phase.ROLLING_BACK:
            way.world = way.world.labelled({names.MIG_CONFIG: "all-2g.20gb"})

    assert Way(ONCE, meanwhile=relabel).go(FAILS).end == ("Cancelled", "ForeignOwner")


def test_without_an_old_label_another_name_of_the_old_layout_is_set() -> None:
    """A label is never blanked: the GPU Operator would wipe the node."""
    way = Way(ONCE)
    way.change = replace(way.change, source="")
    assert way.go(FAILS, WORKS).labels == [BACK]
    assert way.end[0] == "RolledBack"


def test_an_old_label_that_means_something_else_now_is_not_set() -> None:
    """Somebody edited the ConfigMap: another name of the layout that was there is published and set."""
    way = Way(ONCE)
    way.world = way.world.holding(SOURCE, entries_of(FIRST.gpus))
    assert way.go(FAILS, WORKS).labels == [BACK]
    assert Way(ONCE).go(FAILS, WORKS).labels == [SOURCE]


def test_a_layout_that_is_refused_while_the_old_one_is_made_is_called_so() -> None:
    """The GPUs were idle and the driver in order, for it made the old layout of them."""
    assert Way().go(FAILS, FAILS, WORKS).end == ("RolledBack", "LayoutRefused")
    already = Answer("success")
    assert Way().go(FAILS, FAILS, already).end == ("RolledBack", "ApplyFailed")


def test_recovery_needs_no_policy() -> None:
    """Its terms are in the change, and the ConfigMap is the one that mig-manager mounts."""

    def deleted(way: Way) -> None:
        way.world = replace(way.world, policies={})

    assert Way(meanwhile=deleted).go(FAILS, FAILS, WORKS).labels == [SECOND, SOURCE]


@pytest.mark.parametrize("final", ["RolledBack", "Quarantined"])
def test_a_node_is_left_alone_for_so_long_as_the_policy_said(final: str) -> None:
    """From the end of the change on; the status says until when."""
    way = Way(Recovery(max_attempts=1, quarantine=77)).go(FAILS, WORKS if final == "RolledBack" else FAILS)
    assert way.end[0] == final
    assert way.change.status.quarantined_until == way.change.status.steps[-1].at + 77
    kinds = [condition.type for condition in way.change.status.conditions]
    assert ("Quarantined" in kinds) == (final == "Quarantined")
    assert way.world.taints == []
    assert way.world.node is not None
    assert way.world.node.name == NODE


@pytest.mark.parametrize(("phase", "planned_elsewhere"), [("Labelled", False), ("RollingBack", True)])
def test_pods_of_a_change_that_is_set_back_are_demand_again(phase: str, planned_elsewhere: bool) -> None:
    """Another node may serve them at once; while the change may still do so, none is changed for them."""
    idle = node("idle").gpus(1).config("all-7g.80gb")
    changing = node("changing").gpus(1).config("all-7g.80gb")
    under_way = change("changing", [{"7g.80gb": 1}], [{"1g.10gb": 7}], phase=phase, serves=("ns/w",))
    plan = planned(idle, changing, under_way, pod("ns/w").wants({"1g.10gb": 1}))
    assert [reshape.node for reshape in plan.reshapes] == (["idle"] if planned_elsewhere else [])


def since_back(way: Way) -> float:
    """Seconds since the way back has set its label; before that none."""
    return way.now - NOON - way.times(SetConfig)[-1] if way.times(SetConfig) else 0.0


LATE = [Answer(offers="nothing", works=True), Answer("failed", left=True), Answer("failed", offers="nothing")]


@pytest.mark.parametrize("late", LATE)
def test_the_end_of_an_overtaken_run_is_not_that_of_the_way_back(late: Answer) -> None:
    """It stands there for a moment; the taint stays, and the run for the old layout is what counts."""
    own: list[float] = []

    def begins(way: Way) -> None:
        if not own and since_back(way) >= 5:
            own.append(since_back(way))
            way.world = Answer().begun(way.world.labelled({names.MIG_CONFIG_STATE: "pending"}))
        elif own and since_back(way) >= own[0] + 60:
            way.world = Answer().given(way.world, way.change, way.labels[-1])

    way = Way(Recovery(pending_deadline=600, max_attempts=1), meanwhile=begins).go(STUCK, late)
    assert own
    assert way.end == ("RolledBack", "ApplyStuck")
    assert way.times(RemoveTaint)[0] >= way.times(SetConfig)[0] + own[0] + 60


@pytest.mark.parametrize("late", LATE)
def test_an_end_that_lasts_is_that_of_the_way_back(late: Answer) -> None:
    """Whoever's it was, nothing follows it; an old layout that is there is believed at once."""
    way = Way(Recovery(pending_deadline=600, max_attempts=1)).go(STUCK, late)
    assert LATE_SUCCESS_SECONDS <= way.times(RemoveTaint)[0] - way.times(SetConfig)[0] < 20
    assert way.end == ("Quarantined", "ApplyStuck")
    good = Way(Recovery(pending_deadline=600, max_attempts=1)).go(STUCK, WORKS)
    assert good.end == ("RolledBack", "ApplyStuck")
    assert good.times(RemoveTaint)[0] - good.times(SetConfig)[0] < 1


@pytest.mark.parametrize("begins", [True, False])
def test_the_failure_of_an_overtaken_run_is_not_that_of_the_next(begins: bool) -> None:
    """It stands there for a moment, and the next run succeeds; one that lasts is the next one's own."""

    def at_work(way: Way) -> None:
        if begins and since_back(way) >= 5:
            way.world = Answer().given(way.world, way.change, way.labels[-1])

    way = Way(Recovery(pending_deadline=600), meanwhile=at_work)
    way.go(STUCK, Answer("failed", left=True), WORKS, turns=45)
    assert way.labels == ([SECOND] if begins else [SECOND, SOURCE])
    assert way.told[0] == "ApplyStuck"
    assert begins or way.times(SetConfig)[1] - way.times(SetConfig)[0] >= LATE_SUCCESS_SECONDS


@pytest.mark.parametrize("ends", [True, False])
def test_a_change_that_is_given_up_waits_for_a_run_that_begins_after_all(ends: bool) -> None:
    """Until its deadline: while mig-manager makes the old layout the taint stays."""

    def begins(way: Way) -> None:
        if mending.begun(way.change):
            way.world = way.world.labelled({names.MIG_CONFIG_STATE: "pending"})
            if ends and way.now >= (way.change.status.deadline or 0.0) - 1:
                way.world = Answer().given(way.world, way.change, way.labels[-1])

    way = Way(Recovery(pending_deadline=600, max_attempts=1), meanwhile=begins)
    way.go(FAILS, Answer("failed", offers="nothing"))
    assert way.end[0] == ("RolledBack" if ends else "Quarantined")
    assert way.times(RemoveTaint)[0] - way.times(SetConfig)[0] > 600
