"""A change keeps its promises in whatever order it sees the cluster, acts upon it, and is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import ClassVar

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from autoslicer.api.reconfiguration import ReconfigurationStatus
from autoslicer.cluster import documents
from autoslicer.core import names, reading
from autoslicer.core.actions import (
    Action,
    AddTaint,
    DeletePod,
    RemoveTaint,
    Report,
    RestoreClients,
    SetConfig,
    WakeAt,
)
from autoslicer.core.causes import Cause
from autoslicer.core.changes import attempts
from autoslicer.core.changes.attempts import asked, back, nth
from autoslicer.core.changes.faults import LAST_ATTEMPT, OVERDUE
from autoslicer.core.changes.mending import GIVEN_UP
from autoslicer.core.changes.observation import Observation, Timing, needs_fresh, sight
from autoslicer.core.configs import entries_of
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import FINAL, Phase, condition, live, phase
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Idle, Mode, Reserve
from autoslicer.core.progress import advance
from autoslicer.core.reasons import Reason
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import ChangeStatus, ReconfigurationRow
from autoslicer.core.times import rfc3339, seconds
from tests.build import NOON
from tests.core.moving_world import SOURCE, TARGET, World, agent, beginning, walker
from tests.core.stages import MIG_MANAGER, NODE, SERVES, succeeded
from tests.core.way import ANSWERED, Answer

SECOND = nth(beginning(Phase.WAITING)[1], 2).name
BACK = back(beginning(Phase.WAITING)[1]).name
TIMING = Timing(idle_confirm=1.0, publish_settle=5.0)
HOLDS = (Reason.BudgetExhausted, Reason.Suspended, Reason.Superseded, Reason.Expired, Reason.ApplyPathMissing)
"""why the cycle keeps a change from starting, or ends one that nobody has approved"""
MOST_ATTEMPTS = 3
LONGEST = (
    600.0  # Tainted, where the node is reserved
    + MOST_ATTEMPTS * (121 + 125 + 65 + 1800 + 20)  # Drained, Published, Labelled, Applied
    + 30 * 2.0 ** (MOST_ATTEMPTS - 1)  # between the attempts
    + 1800  # Verified
    + (121 + 125 + 1800 + 20)  # RolledBack
    + 1800  # a new mig-manager
    + 60
)
"""seconds in which every change ends that is not held: its deadlines, one after the other"""
AGAIN = (Phase.ROLLING_BACK, Phase.QUARANTINED)
"""where a further attempt may lead that is broken off"""
FOLLOWING = {
    Phase.WAITING: (Phase.VALIDATED, Phase.CANCELLED),
    Phase.VALIDATED: (Phase.TAINTED, Phase.CANCELLED),
    Phase.TAINTED: (Phase.DRAINED, Phase.CANCELLED, *AGAIN),
    Phase.DRAINED: (Phase.PUBLISHED, Phase.CANCELLED, *AGAIN),
    Phase.PUBLISHED: (Phase.LABELLED, Phase.CANCELLED, *AGAIN),
    Phase.LABELLED: (Phase.APPLIED, Phase.TAINTED, Phase.CANCELLED, *AGAIN),
    Phase.APPLIED: (Phase.VERIFIED, Phase.CANCELLED, *AGAIN),
    Phase.VERIFIED: (Phase.DONE, Phase.CANCELLED),
    Phase.ROLLING_BACK: (Phase.ROLLED_BACK, Phase.QUARANTINED, Phase.CANCELLED),
}
CASES = Counter[str]()
"""what has happened, over all examples"""


ANSWERS = st.builds(
    Answer,
    state=st.sampled_from(["success", "success", "failed", "failed", "pending", "rebooting", ""]),
    left=st.booleans(),
    works=st.booleans(),
    offers=st.sampled_from(["wanted", "wanted", "before", "nothing", "something"]),
)
TURNS = 60
"""that a change is carried on at most"""
Disturbance = Callable[["AnyOrder"], None]


class AnyOrder(RuleBasedStateMachine):
    """The world moves as it likes; the controller looks, acts, is cut short, and dies."""

    world: World
    cause: Cause
    reserve: bool
    change: ReconfigurationRow
    now: float
    hold: Verdict | None
    sightings: tuple[float, ...]
    idle: tuple[float, ...]
    wakes: list[float]

    @initialize(
        here=st.sampled_from(list(FOLLOWING)),
        attempts=st.integers(1, MOST_ATTEMPTS),
        renew=st.booleans(),
        cause=st.sampled_from(list(Cause)),
        reserve=st.booleans(),
    )
    def begin(self, here: Phase, attempts: int, renew: bool, cause: Cause, reserve: bool) -> None:
        """Some phase was just entered, for some cause and under some policy."""
        self.cause, self.reserve = cause, reserve and cause is Cause.DEMAND
        self.world, change = self.scene(here)
        recovery = Recovery(max_attempts=attempts, delete_operator_pods=renew)
        self.change = replace(change, recovery=recovery)
        self.now, self.hold, self.sightings, self.idle, self.wakes = NOON, None, (), (), []

    def scene(self, here: Phase) -> tuple[World, ReconfigurationRow]:
        """Where all is as it ought to be in that phase."""
        world, change = beginning(here, self.cause)
        if not self.reserve:
            return world, change
        rules = {
            name: replace(plain, reserve=Reserve(3600.0, 600.0)) for name, plain in world.policies.items()
        }
        return replace(world, policies=rules), replace(change, reserve=True)

    # the world

    @rule(config=st.sampled_from([SOURCE, TARGET, SECOND, BACK, "all-2g.20gb", ""]))
    def relabel(self, config: str) -> None:
        """Somebody sets the node's config."""
        self.world = self.world.labelled({names.MIG_CONFIG: config})

    @rule(config=st.sampled_from([TARGET, "", "all-2g.20gb"]))
    def annotate(self, config: str) -> None:
        """Somebody edits our annotation."""
        self.world = self.world.annotated(config)

    @rule(state=st.sampled_from(["pending", "success", "failed", "rebooting", ""]))
    def report(self, state: str) -> None:
        """mig-manager reports."""
        self.world = self.world.labelled({names.MIG_CONFIG_STATE: state})

    @rule(value=st.sampled_from([names.PAUSED, "paused-for-driver-upgrade", "true", "false"]))
    def pause(self, value: str) -> None:
        """mig-manager or an admin switches the device plugin."""
        self.world = self.world.labelled({f"{names.GPU_DEPLOY_PREFIX}device-plugin": value})

    @rule(word=st.sampled_from(["before", "after", "nothing", "something"]), discovery=st.booleans())
    def offer(self, word: str, discovery: bool) -> None:
        """The device plugin offers something, and GPU feature discovery may have seen it."""
        self.world = self.world.offering(word, discovery=discovery)

    @rule(value=st.sampled_from(["", "1", "2"]))
    def taint(self, value: str) -> None:
        """Somebody edits our taint."""
        self.world = self.world.tainted(value)

    @rule(cordoned=st.booleans(), ready=st.booleans())
    def close(self, cordoned: bool, ready: bool) -> None:
        """The node is cordoned or loses its kubelet, or the reverse."""
        self.world = self.world.with_node(unschedulable=cordoned, ready=ready)

    @rule(key=st.sampled_from(SERVES), where=st.sampled_from(["waits", "here", "elsewhere", "gone", "going"]))
    def move_pod(self, key: str, where: str) -> None:
        """A pod that is served is bound, deleted or made anew."""
        place = {"here": NODE, "elsewhere": "far"}.get(where, "")
        made = replace(beginning(Phase.WAITING)[0].pods[key], node=place, terminating=where == "going")
        self.world = self.world.with_pod(key, None if where == "gone" else made)

    @rule(there=st.booleans(), ends=st.booleans())
    def walk_in(self, there: bool, ends: bool) -> None:
        """A pod comes past the taint, or was there before, or goes."""
        self.world = self.world.with_pod("team/c", replace(walker(), ends=ends) if there else None)

    @rule()
    def lose_node(self) -> None:
        """The node is lost for now."""
        self.world = self.world.with_node(ready=False)

    @rule(where=st.sampled_from(["published", "reset", "broken", "gone"]))
    def edit_config_map(self, where: str) -> None:
        """Somebody writes the ConfigMap."""
        full, plain = self.scene(Phase.PUBLISHED)[0].config_map, self.scene(Phase.WAITING)[0].config_map
        assert plain is not None
        made = {"published": full, "reset": plain, "broken": replace(plain, configs=None)}
        self.world = replace(self.world, config_map=made.get(where))

    @rule(
        ready=st.booleans(), config=st.sampled_from([TARGET, "other", ""]), ago=st.sampled_from([0, 4.75, 5])
    )
    def restart_mig_manager(self, ready: bool, config: str, ago: float) -> None:
        """mig-manager's pod is another one, touched for some config or never."""
        row = replace(beginning(Phase.WAITING)[0].pods[MIG_MANAGER], ready=ready, created=self.now)
        touch = f"{config}@{rfc3339(self.now - ago)}" if config else ""
        self.world = self.world.with_pod(MIG_MANAGER, row).touched(touch)

    @rule(how=st.sampled_from(["there", "gone", "suspended", "demanding", "content", "auto", "recommend"]))
    def edit_policy(self, how: str) -> None:
        """Somebody edits the policy."""
        plain = self.scene(Phase.WAITING)[0].policies["default"]
        made = {
            "suspended": replace(plain, suspend=True),
            "demanding": replace(plain, min_benefit=9),
            "content": replace(plain, headroom=(), idle=Idle(), reserve=Reserve()),
            "auto": replace(plain, mode=Mode.AUTO),
            "recommend": replace(plain, mode=Mode.RECOMMEND),
        }
        self.world = replace(self.world, policies={} if how == "gone" else {"default": made.get(how, plain)})

    @rule(word=st.sampled_from(["none", "before", "after"]), ago=st.sampled_from([0, 30, 1000]))
    def agent_looks(self, word: str, ago: float) -> None:
        """An agent comes, goes, or reports what it saw a while ago."""
        seen = None if word == "none" else replace(agent(word), observed=self.now - ago)
        self.world = replace(self.world, agent=seen)

    @rule(how=st.sampled_from(["gone", "another", "back"]))
    def replace_node(self, how: str) -> None:
        """The node is deleted, made anew, or was only hidden."""
        row = self.scene(phase(self.change))[0].node if live(self.change) else None
        if how == "gone":
            self.world = replace(self.world, node=None)
        elif row is not None:
            self.world = replace(
                self.world, node=replace(row, uid="another" if how == "another" else row.uid)
            )

    @rule(why=st.sampled_from([None, *HOLDS]))
    def hold_back(self, why: Reason | None) -> None:
        """The cycle holds the change, or does not."""
        self.hold = None if why is None else Verdict(NODE, why, "the cycle has said so")

    @precondition(lambda self: phase(self.change) is Phase.WAITING)
    @rule(by=st.sampled_from([None, "", "kim", names.BY_POLICY]))
    def approve(self, by: str | None) -> None:
        """A human or the policy's mode has approved the change, or nobody has so far."""
        self.change = replace(self.change, approved=by is not None, approved_by=by or "")

    @rule(seconds=st.sampled_from([0.25, 1.0, 5.0, 10.0, 60.0, 130.0, 1800.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @precondition(lambda self: live(self.change))
    @rule()
    def be_as_planned(self) -> None:
        """All obstacles go, and what the present phase waits for is there."""
        here = phase(self.change)
        following = FOLLOWING[here][0]
        self.world = self.scene(here if following in FINAL else following)[0]
        if here is Phase.LABELLED:
            self.world = self.scene(Phase.VERIFIED)[0].tainted("1")
        config = asked(self.change)
        if self.world.pods[MIG_MANAGER].published:
            self.world = self.world.touched(f"{config.name}@{rfc3339(self.now - 5)}")
            self.world = self.world.holding(config.name, config.entries)
        if here in (Phase.PUBLISHED, Phase.LABELLED, Phase.APPLIED, Phase.VERIFIED):
            self.world = self.world.labelled({names.MIG_CONFIG: config.name}).annotated(config.name)
        elif self.change.status.attempt > 1 and here is not Phase.ROLLING_BACK:
            earlier = nth(self.change, self.change.status.attempt - 1).name
            self.world = self.world.labelled({names.MIG_CONFIG: earlier}).annotated(earlier)
        self.hold = None

    # the controller

    @rule()
    def die(self) -> None:
        """The controller's memory is lost."""
        self.sightings, self.idle = (), ()

    @rule(fresh=st.booleans(), done=st.integers(0, 4), written=st.booleans())
    def look_and_act(self, fresh: bool, done: int, written: bool) -> None:
        """One look; so many of its actions succeed, and the status is written only after all of them."""
        self.look(fresh=fresh, done=done, written=written)

    @rule(times=st.integers(1, 4))
    def carry_on(self, times: int) -> None:
        """Some undisturbed turns."""
        for _ in range(times):
            self.look(fresh=True, done=99, written=True)
            self.now += 1.0

    def observed(self, *, fresh: bool) -> Observation:
        """What the controller knows, with one more sighting where this is one."""
        seen = Observation(self.world.snapshot(self.change), fresh, self.hold, self.sightings)
        self.sightings = sight(self.sightings, self.change, seen, self.now)
        return replace(seen, sightings=self.sightings)

    def look(self, *, fresh: bool, done: int, written: bool) -> None:
        """Observe, judge what follows, carry out."""
        seen = self.observed(fresh=fresh)
        if self.world.taints != ["1"]:
            self.idle = ()
        elif fresh:
            self.idle = () if self.world.busy else (*self.idle, self.now)
        status, actions = advance(self.change, seen, self.now, TIMING)
        self.wakes = wakes(actions)
        self.judge(seen, status, actions)
        acts = [action for action in actions if not isinstance(action, WakeAt | Report)]
        for action in acts[:done]:
            self.world = self.world.obeyed(action)
        if done < len(acts):
            return
        again = replace(seen, snapshot=self.world.snapshot(self.change))
        assert not set(map(repr, acts)) & set(map(repr, advance(self.change, again, self.now, TIMING)[1]))
        if written:
            if phase(self.change) != (status.phase or Phase.WAITING):
                self.count(f"{phase(self.change)} to {status.phase}")
            self.change = replace(self.change, status=status)

    def count(self, what: str) -> None:
        """Take note of an interesting case."""
        event(what)
        CASES[what] += 1

    def live_through(self, answers: Sequence[Answer], disturbances: Mapping[int, Disturbance]) -> None:
        """The change is carried on, mig-manager answers each label in its way, and few things disturb."""
        given, answered = cycle(answers), ""
        for turn in range(TURNS):
            if not live(self.change) or self.world.node is None:
                return
            label, before = evidence.config(self.world.node), phase(self.change)
            if before in ANSWERED and label != answered:
                answered, answer = label, next(given)
                if answer.works:
                    self.world = answer.begun(self.world)
                    self.look(fresh=True, done=99, written=True)
                self.world = answer.given(self.world, self.change, label)
            if turn in disturbances:
                disturbances[turn](self)
            world = self.world
            self.look(fresh=True, done=99, written=True)
            if self.world != world or phase(self.change) is not before:
                self.now += 0.25
            else:
                self.now = max(self.now + 0.25, min(self.wakes, default=0.0))

    # what must hold

    def judge(self, seen: Observation, status: ChangeStatus, actions: tuple[Action, ...]) -> None:
        """Every promise of `advance`, for one observation."""
        old, here, new = self.change, phase(self.change), Phase(status.phase or Phase.WAITING)
        assert advance(old, seen, self.now, TIMING) == (status, actions), "equal inputs, unequal outputs"
        assert advance(stored(old), seen, self.now, TIMING) == (status, actions), "the API server forgets"
        same_node = self.world.node is not None and self.world.node.uid == old.node_uid
        if not live(old) or (same_node and needs_fresh(old, seen.hold) and not seen.fresh):
            assert (status, actions) == (old.status, ())
            return
        if new is here:
            assert status.steps == old.status.steps
            held = here is Phase.WAITING and (seen.hold or not old.approved)
            assert wakes(actions) or held, "it would sleep for ever"
            self.patient(seen, status, actions)
        else:
            assert new in FOLLOWING[here], f"{here} was followed by {new}"
            assert [step.phase for step in status.steps[len(old.status.steps) :]] == [new]
            assert new is Phase.CANCELLED or old.approved
        if new is here is Phase.TAINTED and self.world.busy:
            assert self.reserve, "only a node that is reserved waits for pods"
            self.count("a reserved node waits")
        if new is Phase.DRAINED is not here:
            assert self.idle[-1] - self.idle[0] >= TIMING.idle_confirm
        if new in FINAL:
            ended(status, actions, tainted=same_node and bool(self.world.taints or self.world.marks))
        if new in FINAL:
            self.count(f"{self.cause} ends {new}")
        if new in (Phase.QUARANTINED, Phase.ROLLED_BACK):
            self.count(f"{new}: {succeeded(status).reason}")
        if new is Phase.CANCELLED and succeeded(status).reason == Reason.ForeignOwner:
            label = evidence.config(self.world.node) if self.world.node is not None else ""
            watching = here in (Phase.LABELLED, Phase.APPLIED)
            ours = {asked(old).name} if watching else attempts.names(old)
            assert label not in ours, "it is ours"
        for action in actions:
            self.may(action, seen)

    def may(self, action: Action, seen: Observation) -> None:
        """What is true of the world whenever such an action is wanted."""
        here, node = phase(self.change), self.world.node
        what = f"{type(action).__name__} in {here}, attempt {self.change.status.attempt}"
        match action:
            case SetConfig():
                assert action.config, "the label is never blanked"
                assert node is not None
                assert evidence.state(node) != "rebooting", "it would be rebooted again"
                self.count(what)
                if here is Phase.ROLLING_BACK:
                    self.may_go_back(action, seen)
                elif self.change.status.attempt > 1:
                    self.may_ask_again(action, seen)
                else:
                    self.may_label(action, seen)
            case AddTaint():
                assert here in (Phase.VALIDATED, Phase.ROLLING_BACK)
            case RestoreClients():
                self.count(what)
                assert node is not None
                assert {node.labels[key] for key in action.clients} == {names.PAUSED}
                assert evidence.state(node) != "rebooting", "it is about to go"
                late = self.now >= (self.change.status.deadline or 0.0)
                assert evidence.settled(node) or late or self.overdue, "a run that is not over"
                given_up, pod = condition(self.change.status, GIVEN_UP), self.world.pods.get(MIG_MANAGER)
                if given_up is not None and pod is not None and pod.created >= given_up.since:
                    assert evidence.settled(node), "another process is at work"
            case DeletePod():
                self.count(what)
                assert node is not None
                assert self.change.recovery.delete_operator_pods
                assert not self.world.taints, "the next pod could not come"
                assert evidence.advertised(node) == (), "pods could come meanwhile"
                assert evidence.config(node) in (SOURCE, BACK), "the next pod would apply what has failed"
                assert self.world.pods[MIG_MANAGER].uid == action.uid

    @property
    def overdue(self) -> bool:
        """The last run did not end before its deadline."""
        last = condition(self.change.status, LAST_ATTEMPT)
        return last is not None and last.reason in OVERDUE

    def may_ask_again(self, action: SetConfig, seen: Observation) -> None:
        """Another name for the same layout: idle GPUs, our taint and last label, mig-manager at rest."""
        node = self.world.node
        assert node is not None
        assert seen.fresh
        assert phase(self.change) is Phase.PUBLISHED
        assert action.config == asked(self.change).name
        earlier = [nth(self.change, n).name for n in range(1, self.change.status.attempt)]
        assert evidence.config(node) in earlier
        assert action.config not in (*earlier, SOURCE)
        assert self.world.taints == ["1"]
        assert not self.world.busy
        assert node.ready
        assert not node.unschedulable
        assert self.overdue or (evidence.settled(node) and not evidence.paused(node))
        assert self.world.config_map is not None
        assert (self.world.config_map.configs or {})[action.config] == entries_of(self.change.gpus)

    def may_label(self, action: SetConfig, seen: Observation) -> None:
        """The label is set only on a tainted, idle node at rest, as planned, once the config can be read."""
        node, config_map = self.world.node, self.world.config_map
        assert node is not None
        assert config_map is not None
        assert phase(self.change) is Phase.PUBLISHED
        assert seen.fresh
        assert (action.config, evidence.config(node)) == (TARGET, SOURCE)
        assert self.world.taints == ["1"]
        assert evidence.state(node) in ("success", "", "failed" if self.cause is Cause.DRIFT else "")
        assert evidence.advertised(node) == evidence.before(self.change.gpus)
        assert node.ready
        assert not evidence.paused(node)
        assert not self.world.busy
        assert not node.unschedulable
        assert (config_map.configs or {})[TARGET] == entries_of(self.change.gpus)
        config, _, at = self.world.pods[MIG_MANAGER].published.partition("@")
        assert config == TARGET
        assert seconds(at) <= self.now - TIMING.publish_settle
        waits = any(not self.world.pods[key].node for key in SERVES if key in self.world.pods)
        assert waits or self.cause is not Cause.DEMAND

    def may_go_back(self, action: SetConfig, seen: Observation) -> None:
        """The old layout is asked for where ours stands: the old slices are there, or nobody has any."""
        node = self.world.node
        assert node is not None
        assert seen.fresh
        assert self.cause is not Cause.DRIFT, "what was there was nobody's layout"
        assert action.config in (SOURCE, BACK)
        assert evidence.config(node) in attempts.names(self.change)
        assert self.world.taints == ["1"]
        assert self.overdue or evidence.settled(node)
        intact = evidence.advertised(node) == evidence.before(self.change.gpus)
        if not intact or evidence.paused(node):
            assert not self.world.busy
            assert self.idle[-1] - self.idle[0] >= TIMING.idle_confirm

    def patient(self, seen: Observation, status: ChangeStatus, actions: tuple[Action, ...]) -> None:
        """A moment before the next thing comes due, nothing is different; only agents grow old by time."""
        later = min(wakes(actions), default=self.now + 5000.0) - 0.25
        if later <= self.now or self.world.agent is not None:
            return
        written = replace(self.change, status=status)
        snapshot = self.world.snapshot(written)
        again, then = advance(written, replace(seen, snapshot=snapshot), later, TIMING)
        assert again == status
        assert [type(action) for action in then] == [type(action) for action in actions]

    def teardown(self) -> None:
        """From wherever it stands the change ends in time, whether all of its actions succeed or none."""
        if not hasattr(self, "change") or not live(self.change):
            return
        self.change = replace(self.change, approved=True)
        start, self.hold = (self.world, self.change, self.sightings, self.now), None
        for done in (0, 99):
            self.world, self.change, self.sightings, self.now = start
            for _ in range(200):
                if live(self.change):
                    self.turn(done)
            assert not live(self.change), f"it stays {phase(self.change)} for ever"
            assert self.now - start[3] <= LONGEST
            same_node = self.world.node is not None and self.world.node.uid == self.change.node_uid
            assert not (done and same_node and (self.world.taints or self.world.marks))

    def turn(self, done: int) -> None:
        """One turn in a world that stands still but for these actions; then the next thing is due."""
        before = phase(self.change)
        status, actions = advance(self.change, self.observed(fresh=True), self.now, TIMING)
        for action in actions[:done]:
            self.world = self.world.obeyed(action)
        self.change = replace(self.change, status=status)
        if phase(self.change) is before:
            self.now = max(self.now + 0.25, min(wakes(actions)))


def stored(change: ReconfigurationRow) -> ReconfigurationRow:
    """The change as the API server gives it back, which takes only what the schema allows."""
    document = documents.change(change, "owner")
    document["status"] = documents.change_status(change.status)
    ReconfigurationStatus.model_validate(document["status"])
    document["metadata"]["uid"] = change.uid
    document["metadata"]["resourceVersion"] = change.resource_version
    document["metadata"]["creationTimestamp"] = rfc3339(change.created)
    return reading.change(document)


def ended(status: ChangeStatus, actions: tuple[Action, ...], *, tainted: bool) -> None:
    """Every end lifts the taint with its marks, tells the outcome once, and leaves no deadline."""
    found = condition(status, "Succeeded")
    assert found is not None
    assert found.status in ("True", "False")
    assert found.status == "False" or status.phase == Phase.DONE
    assert status.deadline is None
    assert sum(isinstance(action, Report) for action in actions) == 1
    assert sum(isinstance(action, RemoveTaint) for action in actions) == tainted


def wakes(actions: tuple[Action, ...]) -> list[float]:
    """When to look again."""
    return [action.at for action in actions if isinstance(action, WakeAt)]


def _disturbances() -> st.SearchStrategy[Disturbance]:
    """Single things that go wrong in the world, or with the controller."""
    return st.one_of(
        st.sampled_from([AnyOrder.die, AnyOrder.lose_node]),
        *(
            st.sampled_from([partial(rule, **{name: value}) for value in values])
            for rule, name, values in (
                (AnyOrder.relabel, "config", [SOURCE, SECOND, BACK, "all-2g.20gb", ""]),
                (AnyOrder.report, "state", ["pending", "success", "failed", "rebooting", ""]),
                (AnyOrder.pause, "value", [names.PAUSED, "paused-for-driver-upgrade", "false"]),
                (AnyOrder.taint, "value", ["", "2"]),
                (partial(AnyOrder.walk_in, ends=False), "there", [True]),
                (partial(AnyOrder.walk_in, ends=True), "there", [True, False]),
                (AnyOrder.edit_config_map, "where", ["reset", "broken", "gone"]),
                (AnyOrder.edit_policy, "how", ["gone", "suspended", "content", "recommend"]),
                (AnyOrder.replace_node, "how", ["gone", "another"]),
                (AnyOrder.pass_time, "seconds", [5.0, 130.0, 1800.0]),
            )
        ),
    )


@settings(max_examples=250, deadline=None)
@given(
    here=st.sampled_from([Phase.WAITING, Phase.PUBLISHED, Phase.LABELLED, Phase.ROLLING_BACK]),
    attempts=st.integers(1, MOST_ATTEMPTS),
    renew=st.booleans(),
    answers=st.lists(ANSWERS, min_size=1, max_size=5),
    disturbances=st.dictionaries(st.integers(0, TURNS - 1), _disturbances(), max_size=2),
    cause=st.sampled_from(list(Cause)),
    reserve=st.booleans(),
)
def test_whatever_mig_manager_answers(
    here: Phase,
    attempts: int,
    renew: bool,
    answers: list[Answer],
    disturbances: dict[int, Disturbance],
    cause: Cause,
    reserve: bool,
) -> None:
    """Every promise holds along whole ways through attempts and back, few of them disturbed, and all end."""
    machine = AnyOrder()
    machine.begin(here, attempts, renew, cause, reserve)
    machine.live_through(answers, disturbances)
    machine.teardown()


@settings(max_examples=60, deadline=None)
@given(
    here=st.sampled_from([Phase.WAITING, Phase.VALIDATED, Phase.TAINTED]),
    leaves=st.integers(0, TURNS - 1) | st.none(),
    disturbances=st.dictionaries(st.integers(1, TURNS - 1), _disturbances(), max_size=2),
)
def test_a_reserved_node_waits_for_its_pods(
    here: Phase, leaves: int | None, disturbances: dict[int, Disturbance]
) -> None:
    """A pod runs from the start and ends at some time or never: every promise holds, and the change ends."""
    machine = AnyOrder()
    machine.begin(here, 1, renew=False, cause=Cause.DEMAND, reserve=True)
    there = partial(AnyOrder.walk_in, there=True, ends=True)
    gone = {} if leaves is None else {leaves: partial(AnyOrder.walk_in, there=False, ends=True)}
    machine.live_through([Answer()], {0: there, **disturbances, **gone})
    machine.teardown()


class TestAnyOrder(AnyOrder.TestCase):  # type: ignore[misc]
    """Runs the machine."""

    settings: ClassVar[settings] = settings(max_examples=200, stateful_step_count=30, deadline=None)


@pytest.fixture(scope="module", autouse=True)
def histogram() -> Iterator[None]:
    """Print how often each interesting case has occurred."""
    yield
    for what, times in sorted(CASES.items()):
        print(f"{times:6} {what}")
