"""One change at any point of its way and the cluster around it, to be varied and looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from autoslicer.cluster import documents
from autoslicer.core import configs, names, reading
from autoslicer.core.actions import Action, RemoveTaint, Report, WakeAt
from autoslicer.core.changes.observation import Observation, Timing
from autoslicer.core.changes.transition import Result
from autoslicer.core.phases import Phase, condition
from autoslicer.core.plan import Verdict
from autoslicer.core.progress import advance
from autoslicer.core.rows import ChangeStatus, Condition, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot, read
from autoslicer.core.times import rfc3339
from solver.profile_name import resource_name
from tests.build import (
    NOON,
    Builder,
    Layout,
    Node,
    Pod,
    change,
    config_map,
    dump,
    mig_manager,
    node,
    pod,
    policy,
)

NODE, NAME = "gpu-1", "gpu-1-1"
BEFORE: list[Layout] = [{"7g.80gb": 1}, {"7g.80gb": 1}]
AFTER: list[Layout] = [{"1g.10gb": 7}, {"7g.80gb": 1}]
SERVES = ("team/a", "team/b")
DEADLINE = NOON + 60
"""of the step that a stage is in"""
MIG_MANAGER = "gpu-operator/nvidia-mig-manager-gpu-1"
TAINTED = (Phase.TAINTED, Phase.DRAINED, Phase.PUBLISHED)
KNOWN = {name: configs.DEFAULTS[name] for name in ("all-disabled", "all-7g.80gb", "all-2g.20gb")}
"""the configs in the ConfigMap besides the change's own"""
PAUSABLE = tuple(f"{names.GPU_DEPLOY_PREFIX}{client}" for client in ("device-plugin", "dcgm-exporter"))
"""the labels of the clients that mig-manager pauses here"""
UNLABELLED = (Phase.VALIDATED, *TAINTED)
LABELLED = (Phase.LABELLED, Phase.APPLIED, Phase.VERIFIED)


@dataclass(frozen=True)
class Stage:
    """What `advance` is asked: every method gives a varied stage, `look` the answer.

    Attributes:
        objects: raw objects by a word for each: node, change, policy, config_map, mig_manager, a and b for
            the pods that are served, and whatever a test adds.
        now: in seconds since the epoch.
        hold: of the cycle.
        fresh: the observation was read anew.
        sightings: of idleness, since the taint.
        timing: of the steps.
        touchable: mig-manager's pod may be annotated.
    """

    objects: Mapping[str, Builder]
    now: float = NOON
    hold: Verdict | None = None
    fresh: bool = True
    sightings: tuple[float, ...] = ()
    timing: Timing = field(default_factory=Timing)
    touchable: bool = True

    def put(self, **objects: Builder) -> Stage:
        """With these objects added, or in the place of others."""
        return replace(self, objects={**self.objects, **objects})

    def drop(self, *words: str) -> Stage:
        """Without these objects."""
        return replace(self, objects={word: o for word, o in self.objects.items() if word not in words})

    def vary(self, word: str, edit: Callable[[Any], Builder]) -> Stage:
        """With one object edited."""
        return self.put(**{word: edit(self.objects[word])})

    def at(self, now: float) -> Stage:
        """At another time."""
        return replace(self, now=now)

    @property
    def snapshot(self) -> Snapshot:
        """The cluster of this stage, all well-formed."""
        found = read(dump(*self.objects.values()))
        assert not found.skipped
        return found

    @property
    def change(self) -> ReconfigurationRow:
        """The change that is looked at."""
        return reading.change(self.objects["change"].raw)

    @property
    def observation(self) -> Observation:
        """What is known."""
        return Observation(self.snapshot, self.fresh, self.hold, self.sightings, self.touchable)

    def look(self) -> Result:
        """What `advance` makes of it."""
        return advance(self.change, self.observation, self.now, self.timing)


def stage(phase: Phase) -> Stage:
    """The change has just entered the phase at noon, and everything is as it should be then."""
    made = change(NODE, BEFORE, AFTER, phase=phase if phase is not Phase.WAITING else "", serves=SERVES)
    if phase is not Phase.WAITING:
        steps = [{"phase": phase, "at": rfc3339(NOON), "message": ""}]
        made = made.put("status", {"steps": steps, "deadline": rfc3339(DEADLINE)})
    target = made.get("spec.to")
    published = phase in (Phase.PUBLISHED, *LABELLED)
    own = {target: configs.entries_of(reading.change(made.raw).gpus)} if published else {}
    manager = mig_manager(NODE)
    if published:
        manager = manager.annotations({names.PUBLISHED: f"{target}@{rfc3339(NOON - 10)}"})
    return Stage(
        {
            "node": _node(phase, target),
            "change": made,
            "policy": policy(),
            "config_map": config_map({**KNOWN, **own}),
            "mig_manager": manager,
            "a": waiting_pod("team/a"),
            "b": waiting_pod("team/b"),
        }
    )


def waiting_pod(key: str) -> Pod:
    """A pod that waits for 1g.10gb."""
    return pod(key).wants({"1g.10gb": 1})


def discovered(made: Node, *layouts: Layout) -> Node:
    """With the labels that GPU feature discovery gives these layouts."""
    total = Counter[str]()
    for layout in layouts:
        total.update(layout or {})
    labels = {f"{resource_name(profile)}.count": str(count) for profile, count in total.items()}
    kept = {
        key: value
        for key, value in made.get("metadata.labels").items()
        if not (key.startswith(names.MIG_RESOURCE_PREFIX) and key.endswith(".count"))
    }
    return made.set("metadata.labels", {**kept, **labels})


def paused(made: Node) -> Node:
    """As mig-manager leaves a node while it works: its clients away, nothing offered."""
    labels = {f"{names.GPU_DEPLOY_PREFIX}{c}": names.PAUSED for c in ("device-plugin", "dcgm-exporter")}
    return made.layout(name=made.get("metadata.labels")[names.MIG_CONFIG], state="pending").labels(labels)


def resumed(made: Node, *layouts: Layout) -> Node:
    """As mig-manager leaves a node after success, with what the device plugin offers so far."""
    labels = {f"{names.GPU_DEPLOY_PREFIX}{c}": "true" for c in ("device-plugin", "dcgm-exporter")}
    return made.layout(*layouts, name=made.get("metadata.labels")[names.MIG_CONFIG]).labels(labels)


def labelled(made: Node, config: str) -> Node:
    """As our label leaves a node."""
    labels = {names.MIG_CONFIG: config, names.MIG_CONFIG_STATE: "pending"}
    return made.labels(labels).annotations({names.APPLIED_CONFIG: config})


def taint(made: Node, number: str = "1") -> Node:
    """With our taint."""
    return made.taint(names.TAINT, value=number)


def _node(phase: Phase, target: str) -> Node:
    made = discovered(node(NODE).gpus(2).config("all-7g.80gb"), *BEFORE)
    if phase in TAINTED:
        return taint(made)
    if phase not in LABELLED:
        return made
    made = paused(labelled(made, target))
    if phase is Phase.LABELLED:
        return taint(made)
    offered = resumed(made) if phase is Phase.APPLIED else resumed(made, *AFTER)
    return discovered(offered, *AFTER)


def succeeded(status: ChangeStatus) -> Condition:
    """The condition that tells how the change stands."""
    found = condition(status, "Succeeded")
    assert found is not None
    return found


def ending(status: ChangeStatus) -> tuple[str, str, str]:
    """Phase, and status and reason of Succeeded."""
    return status.phase, succeeded(status).status, succeeded(status).reason


# what steps come to

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


def carried(here: Stage, status: ChangeStatus) -> Stage:
    """The stage with the status written."""
    return here.vary("change", lambda change: change.set("status", documents.change_status(status)))
