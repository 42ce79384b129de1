"""The controller's loop in virtual time: decide, carry out, advance every change, until all is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from autoslicer.core.actions import Action, WakeAt, WriteChangeStatus
from autoslicer.core.changes.observation import Observation, Timing, needs_fresh, sight
from autoslicer.core.cycle import Decision, decide
from autoslicer.core.phases import live
from autoslicer.core.plan import Verdict
from autoslicer.core.planner import Prepared
from autoslicer.core.progress import advance
from autoslicer.core.rows import ReconfigurationRow
from simulations.carrying import carry_out
from simulations.world import Conflict, World

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
        decision: of the last cycle; None before the first.
    """

    world: World
    timing: Timing = field(default_factory=Timing)
    before: Callable[[Action], None] = undisturbed
    decision: Decision | None = None
    _prepared: Prepared = field(default_factory=Prepared)
    _sightings: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _seen: int = -1
    _wakes: list[float] = field(default_factory=list)

    def moments(self) -> Iterator[float]:
        """Live: each moment at which something happens, once all that it asks for is done."""
        while True:
            self._settle()
            yield self.world.clock.now
            wake = self._wake()
            if wake is None and not self.world.clock.busy:
                return
            self.world.clock.jump(min(at for at in (self.world.clock.following, wake) if at is not None))

    def _wake(self) -> float | None:
        """When something must be done although nothing changes; None for never."""
        return min(self._wakes, default=None)

    def _settle(self) -> None:
        wake = self._wake()
        due = wake is not None and wake <= self.world.clock.now
        for _ in range(MOST_TURNS):
            if self._seen == self.world.revision and not due:
                return
            self._seen, due = self.world.revision, False
            self._turn()
        raise RuntimeError(f"{MOST_TURNS} turns at {self.world.clock.now}, and still something to do")

    def _turn(self) -> None:
        self._wakes.clear()
        snapshot = self.world.snapshot()
        self.decision, self._prepared = decide(
            snapshot, snapshot.policies, self.world.clock.now, self._prepared
        )
        if self.decision.wake is not None:
            self._wakes.append(self.decision.wake)
        self._carry_out(self.decision.actions)
        for name, change in sorted(self.world.changes.items()):
            if live(change):
                self._advance(change, self.decision.holds.get(name))

    def _advance(self, change: ReconfigurationRow, hold: Verdict | None) -> None:
        now, before = self.world.clock.now, self._sightings.get(change.name, ())
        observation = Observation(self.world.snapshot(), needs_fresh(change, hold), hold, before)
        sightings = sight(before, change, observation, now)
        self._sightings[change.name] = sightings
        status, actions = advance(change, replace(observation, sightings=sightings), now, self.timing)
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
            self._seen = -1
