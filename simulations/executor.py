"""The controller's loop in virtual time: decide, carry out, advance every change, until all is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from autoslicer.core.actions import Action, WakeAt, WriteChangeStatus
from autoslicer.core.changes.observation import Observation, Timing, needs_fresh, sight
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.hints import Hints
from autoslicer.core.pacing.spacing import USUAL_SECONDS
from autoslicer.core.phases import Phase, live
from autoslicer.core.plan import Verdict
from autoslicer.core.planner import Prepared, Search
from autoslicer.core.progress import advance
from autoslicer.core.rows import ReconfigurationRow
from simulations.attention import Attention
from simulations.carrying import carry_out
from simulations.world import Conflict, Row, World
from solver.solve import solve

MOST_TURNS = 1000
"""so many turns without a moment passing are a loop that does not end"""
_TICK = 0.001
"""a wake that is due already, by the rounding of floating point, comes so much later"""


def undisturbed(action: Action) -> None:
    """Nothing comes between a decision and its action."""


@dataclass(slots=True)
class Executor:
    """Does what the core wants, as the controller does it; all that it remembers may be lost at any time.

    Attributes:
        world: the virtual cluster.
        timing: of the steps.
        before: told of every action before it is carried out.
        search: how plans are found.
        reaction: seconds from what calls for a turn to that turn.
        decision: of the last cycle; None before the first.
        thought: real seconds that the core has taken.
    """

    world: World
    timing: Timing = field(default_factory=Timing)
    before: Callable[[Action], None] = undisturbed
    search: Search = solve
    reaction: float = 0.0
    decision: Decision | None = None
    thought: float = 0.0
    _prepared: Prepared = field(default_factory=Prepared)
    _sightings: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _wakes: list[float] = field(default_factory=list)
    _next: float | None = None
    _attention: Attention = field(init=False)
    _hints: Hints = field(init=False)

    def __post_init__(self) -> None:
        self._attention = Attention(self.world)
        self._hints = Hints(lambda: self.world.nodes, lambda: self.world.policies, USUAL_SECONDS)
        for change in self.world.changes.values():
            self._hear(None, change)
        self.world.watch(self._hear)

    def _hear(self, old: Row | None, new: Row | None) -> None:
        self._hints.hear(old, new, self.world.clock.now)

    def moments(self) -> Iterator[float]:
        """Live: each moment at which something happens, once all that it asks for is done."""
        while True:
            self._settle()
            yield self.world.clock.now
            wake = self._wake()
            if wake is None and self.world.clock.following is None:
                return
            self.world.clock.jump(min(at for at in (self.world.clock.following, wake) if at is not None))

    def _wake(self) -> float | None:
        """When something must be done although nothing changes; None for never."""
        turn = min(self._wakes, default=None) if self._next is None else self._next
        return min((at for at in (turn, self._hints.wake) if at is not None), default=None)

    def _settle(self) -> None:
        now = self.world.clock.now
        self._hint()
        for _ in range(MOST_TURNS):
            if self._next is None:
                if not self._attention.asked and min(self._wakes, default=math.inf) > now:
                    return
                self._next = now + self.reaction
            if self._next > now:
                return
            self._next, self._attention.asked = None, False
            self._turn()
            self._hint()
        raise RuntimeError(f"{MOST_TURNS} turns at {self.world.clock.now}, and still something to do")

    def _hint(self) -> None:
        """Set and take back hints until none is due."""
        now = self.world.clock.now
        self._hints.pass_time(now)
        while due := sorted(self._hints.due):
            self._hints.due.clear()
            for key in due:
                action = self._hints.look(key, self.world.pods.get(key), now)
                if action is not None:
                    self.before(action)
                    carry_out(self.world, action)
                    self._hints.carried_out(key, action)

    def _turn(self) -> None:
        self._wakes.clear()
        snapshot = self.world.snapshot()
        began = time.perf_counter()
        self.decision, self._prepared = decide(
            snapshot, snapshot.policies, self.world.clock.now, self._prepared, search=self.search
        )
        self.thought += time.perf_counter() - began
        if self.decision.wake is not None:
            self._wakes.append(self.decision.wake)
        self._carry_out(self.decision.actions)
        for name, change in sorted(self.world.changes.items()):
            if live(change):
                self._advance(change, self.decision.holds.get(name))

    def _advance(self, change: ReconfigurationRow, hold: Verdict | None) -> None:
        now, before = self.world.clock.now, self._sightings.get(change.name, ())
        began = time.perf_counter()
        observation = Observation(self.world.snapshot(), needs_fresh(change, hold), hold, before)
        sightings = sight(before, change, observation, now)
        self._sightings[change.name] = sightings
        status, actions = advance(change, replace(observation, sightings=sightings), now, self.timing)
        self.thought += time.perf_counter() - began
        back = status.phase == Phase.APPLIED != change.status.phase
        if back and (pause := self._hints.turn(change, now)) > 0:
            self._wakes.append(now + pause)
            return
        if status != change.status:
            actions = (*actions, WriteChangeStatus(change.name, change.resource_version, status))
        self._carry_out(actions)

    def _carry_out(self, actions: tuple[Action, ...]) -> None:
        """Carry out the actions in order; after a conflict the rest is dropped and all is looked at again."""
        try:
            for action in actions:
                self.before(action)
                if isinstance(action, WakeAt):
                    self._wakes.append(max(action.at, self.world.clock.now + _TICK))
                else:
                    carry_out(self.world, action)
        except Conflict:
            self._attention.asked = True
