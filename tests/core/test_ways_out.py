"""The ways out of a change before its label is set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoslicer.core import configs, names
from autoslicer.core.actions import SetConfig
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from tests.build import pod
from tests.core.stages import (
    AFTER,
    DEADLINE,
    LABELLED,
    LIFT,
    NODE,
    TAINTED,
    TARGET,
    UNLABELLED,
    Stage,
    acts,
    ending,
    events,
    ready,
    stage,
    waiting_pod,
)

HELD = Verdict(NODE, Reason.BudgetExhausted, "1 of 1 nodes are in a change")


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
