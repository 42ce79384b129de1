"""A change that is carried on from its label to its end, while mig-manager answers every label in its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from autoslicer.core import names
from autoslicer.core.actions import Action, Report, SetConfig, WakeAt
from autoslicer.core.changes.attempts import leads_back
from autoslicer.core.changes.observation import Observation, Timing, sight
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.progress import advance
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import ReconfigurationRow
from tests.build import NOON
from tests.core.moving_world import World, beginning
from tests.core.stages import PAUSABLE, succeeded

TIMING = Timing(idle_confirm=1.0, publish_settle=5.0, retry_backoff=30.0)
ANSWERED = (Phase.LABELLED, Phase.APPLIED, Phase.ROLLING_BACK)
"""the phases in which mig-manager has a label of ours"""


@dataclass(frozen=True)
class Answer:
    """What becomes of a label: mig-manager's state, whether its clients stay paused, and what is offered.

    Attributes:
        state: that it reports in the end.
        left: its clients are left paused.
        offers: a word of `moving_world.LAYOUTS`, or "wanted" for the layout that was asked for.
        works: it is seen to pause its clients first.
    """

    state: str = "success"
    left: bool = False
    offers: str = "wanted"
    works: bool = False

    def begun(self, world: World) -> World:
        """The world in which mig-manager is seen at work."""
        busy = world.labelled(dict.fromkeys(PAUSABLE, names.PAUSED))
        return busy.offering("nothing", discovery=False)

    def given(self, world: World, change: ReconfigurationRow, label: str) -> World:
        """The world in which mig-manager has answered; discovery agrees with what is offered."""
        there = world.labelled({names.MIG_CONFIG_STATE: self.state})
        there = there.labelled(dict.fromkeys(PAUSABLE, names.PAUSED if self.left else "true"))
        wanted = "before" if leads_back(change, label) else "after"
        offered = wanted if self.offers == "wanted" else self.offers
        return there.offering("nothing" if self.left else offered, discovery=True)


def fresh() -> World:
    """The world as our label leaves it: mig-manager has not begun."""
    world = beginning(Phase.LABELLED)[0].labelled(dict.fromkeys(PAUSABLE, "true"))
    return world.offering("before", discovery=True)


@dataclass
class Way:
    """The way of one change whose label was just set; `done` holds what was done, each with its time."""

    recovery: Recovery = field(default_factory=Recovery)
    world: World = field(default_factory=fresh)
    change: ReconfigurationRow = field(init=False)
    now: float = NOON
    done: list[tuple[float, Action]] = field(default_factory=list)
    meanwhile: Callable[[Way], None] = lambda way: None
    _sightings: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.change = replace(beginning(Phase.LABELLED)[1], recovery=self.recovery)
        status = replace(self.change.status, deadline=NOON + self.recovery.pending_deadline)
        self.change = replace(self.change, status=status)

    def go(self, *answers: Answer, turns: int = 200) -> Way:
        """Carry the change on to its end; the last answer is given to all further labels."""
        answered, left = "", list(answers)
        for _ in range(turns):
            if not live(self.change):
                return self
            label = evidence.config(self.world.node) if self.world.node is not None else ""
            if phase(self.change) in ANSWERED and label != answered:
                answered, answer = label, left.pop(0) if len(left) > 1 else left[0]
                if answer.works:
                    self.world = answer.begun(self.world)
                    self.turn()
                self.world = answer.given(self.world, self.change, label)
            self.meanwhile(self)
            self.turn()
        return self

    def turn(self) -> None:
        """One look, all its actions, and time up to the next thing that is due."""
        if not live(self.change):
            return
        seen = Observation(self.world.snapshot(self.change), True, None, self._sightings)
        self._sightings = sight(self._sightings, self.change, seen, self.now)
        world, seen = self.world, replace(seen, sightings=self._sightings)
        status, actions = advance(self.change, seen, self.now, TIMING)
        for action in actions:
            self.world = self.world.obeyed(action)
        self.done += [(self.now, action) for action in actions if not isinstance(action, WakeAt)]
        wakes = [action.at for action in actions if isinstance(action, WakeAt)]
        moved = self.world != world or status != self.change.status
        self.change = replace(self.change, status=status)
        self.now = self.now + 0.25 if moved else max(self.now + 0.25, min(wakes, default=0.0))

    @property
    def phases(self) -> list[str]:
        """The phases from the label on."""
        return [step.phase for step in self.change.status.steps[1:]]

    @property
    def labels(self) -> list[str]:
        """The configs that were asked for after the first."""
        return [action.config for _, action in self.done if isinstance(action, SetConfig)]

    @property
    def told(self) -> list[str]:
        """The reasons of the events."""
        return [action.reason for _, action in self.done if isinstance(action, Report)]

    @property
    def end(self) -> tuple[str, str]:
        """The last phase, and why."""
        return self.change.status.phase, succeeded(self.change.status).reason

    @property
    def message(self) -> str:
        """What the end says."""
        return succeeded(self.change.status).message

    def times(self, kind: type[Action]) -> list[float]:
        """When actions of a kind were done, in seconds since the label."""
        return [at - NOON for at, action in self.done if isinstance(action, kind)]

    def in_order(self, *kinds: type[Action]) -> bool:
        """The first actions of these kinds came one after the other."""
        firsts = [
            next(n for n, (_, done) in enumerate(self.done) if isinstance(done, kind)) for kind in kinds
        ]
        return all(one < other for one, other in pairwise(firsts))
