"""The steps of a change, and what is done in each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.cluster import documents
from autoslicer.core import names
from autoslicer.core.actions import AddTaint, Publish, Report, SetConfig, TouchPod, WakeAt
from autoslicer.core.changes.observation import Timing
from autoslicer.core.phases import FINAL, Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.times import rfc3339
from tests.build import NOON, Builder, mignode, pod
from tests.core.stages import (
    DEADLINE,
    EVERY,
    LIFT,
    MIG_MANAGER,
    NAME,
    NODE,
    TARGET,
    Stage,
    acts,
    ending,
    events,
    ready,
    stage,
    succeeded,
    taint,
    wakes,
)

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


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
