"""Which pods are hinted to kube-scheduler, when, and which hints are taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoslicer.core import names
from autoslicer.core.actions import Nominate
from autoslicer.core.nominating import nomination
from autoslicer.core.phases import Phase
from autoslicer.core.snapshot import TAKE_BACK_SECONDS
from tests.build import NOON, Builder, Node, Pod, change, node, pod
from tests.core.stages import AFTER, BEFORE, NAME, NODE, Stage, resumed, stage

HINT = Nominate("team", "a", "pod-team/a", "", NODE)


def _asked(found: Stage, *coming: str, settled: bool = True) -> Nominate | None:
    """What is done about pod team/a."""
    snapshot = found.snapshot
    serving = [row for row in snapshot.changes.values() if "team/a" in row.serves]
    rows = snapshot.nodes, snapshot.policies
    return nomination(
        snapshot.pods["team/a"],
        serving,
        *rows,
        found.now,
        coming=coming,
        settled=[NAME, "gpu-2-1"] if settled else [],
    )


def _vary(found: Stage, edit: dict[str, object]) -> Stage:
    """With fields of pod team/a set."""
    for path, value in edit.items():
        found = found.vary("a", lambda pod, path=path, value=value: pod.set(path, value))  # type: ignore[misc]
    return found


@pytest.mark.parametrize("phase", [Phase.APPLIED, Phase.VERIFIED])
def test_a_served_pod_is_nominated_once_its_slices_can_be_taken(phase: Phase) -> None:
    """Once the pods that the end of our taint woke were tried, one that waits is hinted to its node."""
    assert _asked(stage(phase)) == HINT


def test_a_pod_that_asks_for_no_slice_is_not_nominated() -> None:
    """One that was made anew under the name of a served pod is somebody else's."""
    assert _asked(stage(Phase.APPLIED).put(a=pod("team/a").wants({}))) is None


def test_the_scheduler_is_given_time_to_rest() -> None:
    """Right after our taint the hint would be dropped at once, so that it comes a moment later."""
    assert _asked(stage(Phase.APPLIED), settled=False) is None
    assert _asked(stage(Phase.APPLIED).vary("node", _back), settled=False) == HINT


def test_slices_that_are_there_are_hinted_before_the_taint_goes() -> None:
    """Where the device plugin came back under our taint, its end is the moment that counts."""
    early = stage(Phase.LABELLED).vary("node", _back)
    assert _asked(early) is None
    assert _asked(early, "gpu-2-1") is None
    assert _asked(early, NAME) == HINT
    assert _asked(stage(Phase.LABELLED), NAME) is None


def _back(made: Node) -> Node:
    """With the slices that were promised."""
    return resumed(made, *AFTER)


@pytest.mark.parametrize(
    "phase", [Phase.WAITING, Phase.VALIDATED, Phase.TAINTED, Phase.DRAINED, Phase.PUBLISHED]
)
def test_nobody_is_nominated_before_the_label(phase: Phase) -> None:
    """As long as the change may still be undone, no hint is set."""
    assert _asked(stage(phase), NAME) is None


def test_a_hint_that_is_there_is_not_set_again() -> None:
    """A pod that is nominated to its node needs nothing; one whose hint was dropped is nominated again."""
    hinted = stage(Phase.VERIFIED).vary("a", lambda made: made.nominated(NODE))
    assert _asked(hinted) is None
    assert _asked(_vary(hinted, {"status.nominatedNodeName": None})) == HINT


@pytest.mark.parametrize(
    "edit",
    [
        {"spec.schedulerName": "volcano"},
        {"metadata.annotations": {names.IGNORE: "true"}},
        {"spec.schedulingGates": [{"name": "wait"}]},
        {"metadata.deletionTimestamp": "2026-11-20T12:00:00Z"},
        {"spec.nodeName": NODE},
        {"status.phase": "Succeeded"},
        {"status.nominatedNodeName": "gpu-2"},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_other_pods_are_left_alone(edit: dict[str, object]) -> None:
    """No hint for a pod that the scheduler does not try, that has a node, or that somebody else nominated."""
    assert _asked(_vary(stage(Phase.VERIFIED), edit)) is None


def test_a_pod_that_no_change_serves_is_left_alone() -> None:
    """A pod beside those that are served gets no hint."""
    found = stage(Phase.VERIFIED)
    rival = replace(found.snapshot.pods["team/a"], name="rival")
    assert nomination(rival, (), found.snapshot.nodes, found.snapshot.policies, NOON) is None


def test_the_policy_can_forbid_hints() -> None:
    """With scheduling.nominate false nothing is hinted, and with true it is."""
    found = stage(Phase.VERIFIED)
    for wanted, expected in ((False, None), (True, HINT)):
        said = found.vary("policy", lambda made, wanted=wanted: made.set("spec.scheduling.nominate", wanted))  # type: ignore[misc]
        assert _asked(said) == expected


@pytest.mark.parametrize(
    "edit", [Node.cordoned, Node.not_ready, lambda made: made.set("metadata.uid", "another")]
)
def test_a_node_that_takes_no_pods_is_no_hint(edit: object) -> None:
    """Nothing is hinted to a node that is cordoned, not ready or another one of the same name."""
    assert _asked(stage(Phase.VERIFIED).vary("node", edit)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.QUARANTINED, Phase.CANCELLED])
def test_a_hint_is_taken_back_with_its_promise(phase: Phase) -> None:
    """Once the change is rolled back or given up its hint goes, and without a hint nothing is done."""
    ended = _ended(phase)
    assert _asked(ended) is None
    hinted = ended.vary("a", lambda made: made.nominated(NODE))
    assert _asked(hinted) == Nominate("team", "a", "pod-team/a", NODE, "")


def test_pods_that_come_later_keep_their_hint() -> None:
    """After Done the hints of pods that are not bound yet stay; where nobody came they go."""
    hinted = _ended(Phase.DONE).vary("a", lambda made: made.nominated(NODE))
    good = hinted.vary("change", lambda made: made.condition("Succeeded", "True", "Done"))
    assert _asked(good) is None
    late = hinted.vary("change", lambda made: made.condition("Succeeded", "False", "DeadlineExceeded"))
    assert _asked(late) == Nominate("team", "a", "pod-team/a", NODE, "")


def test_an_old_change_takes_nothing_back() -> None:
    """A hint beyond the time of a change, or of a pod that is younger than its end, is the scheduler's."""
    hinted = _ended(Phase.CANCELLED).vary("a", lambda made: made.nominated(NODE))
    assert _asked(hinted.at(NOON + TAKE_BACK_SECONDS - 1)) is not None
    assert _asked(hinted.at(NOON + TAKE_BACK_SECONDS)) is None
    assert _asked(hinted.vary("a", lambda made: made.created(NOON + 1)).at(NOON + 2)) is None


def test_a_hint_moves_with_the_promise() -> None:
    """A pod with the hint of a change that was given up gets that of the change that serves it now."""
    other = change("gpu-2", BEFORE, AFTER, phase=Phase.APPLIED, serves=("team/a",))
    twin = resumed(node("gpu-2").gpus(2).config("all-7g.80gb"))
    moved = _ended(Phase.CANCELLED).put(other=other, twin=twin).vary("a", lambda made: made.nominated(NODE))
    assert _asked(moved) == Nominate("team", "a", "pod-team/a", NODE, "gpu-2")


def _ended(phase: Phase) -> Stage:
    def at_noon(made: Builder) -> Builder:
        step = {"phase": phase, "at": "2026-11-20T12:00:00Z", "message": ""}
        return made.put("status", {"phase": phase, "steps": [step]})

    found = stage(Phase.APPLIED).vary("change", at_noon)
    assert isinstance(found.objects["a"], Pod)
    return found
