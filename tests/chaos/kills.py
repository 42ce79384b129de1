"""SIGKILL of the controller in every phase of real changes, and at any moment; it is started at once."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from autoslicer.core.phases import FINAL, Phase
from tests.chaos.demand import Stream
from tests.chaos.human import Human
from tests.chaos.invariants import Violation
from tests.chaos.journal import Journal
from tests.chaos.moments import Trap, provoked
from tests.chaos.scene import Scene

AIMS = tuple(phase for phase in Phase if phase not in FINAL)
ANY_MOMENT = "any moment"
RANDOM_SHARE = 0.2
"""of the kills are at any moment, up to so many seconds after the start"""
RANDOM_SECONDS = 12.0
LEASE_KEPT = 0.25
"""of the kills leave the Lease to be waited out; else it is taken from the dead holder, which saves time"""
AIM_SECONDS = 90.0
"""a phase that does not come for so long is given up for another"""
CHECKED_EVERY = 10
"""kills, until what must hold at every moment is looked at"""
STORM_SHARE = 0.3
"""of the controller's lives are under a storm of faults of the API server"""
STORM_CHANCE = 0.01
"""of each request to meet each fault in a storm"""
END_SECONDS = 240.0


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        aim: the phase that was waited for, or "any moment".
        caught: the phases of the live changes when the controller was dead, first that of the one aimed at.
        lived: seconds from its start to the kill.
        ended: it had ended by itself before; only under a storm of faults may it lose its Lease and do so.
        storm: its life was under one.
    """

    aim: str
    caught: tuple[str, ...]
    lived: float
    ended: bool = False
    storm: bool = False

    @property
    def hit(self) -> str:
        """The phase that the kill counts for; empty where no change was live."""
        return self.aim if self.aim in self.caught else self.caught[0] if self.caught else ""


@dataclass
class Outcome:
    """What a run of kills came to."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    pods: int = 0
    seconds: float = 0.0
    storms: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    released: int = 0
    repaired: int = 0
    violations: list[Violation] = field(default_factory=list)

    @property
    def counted(self) -> list[Kill]:
        """The kills of a living controller during a change; others count for nothing."""
        return [kill for kill in self.kills if kill.caught and not kill.ended]

    def histogram(self) -> Counter[str]:
        """Kills by the phase that they hit."""
        return Counter(kill.hit for kill in self.counted)

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "seed": self.seed,
            "kills": len(self.counted),
            "killsThatDoNotCount": len(self.kills) - len(self.counted),
            "histogram": dict(self.histogram()),
            "caught": dict(Counter(phase for kill in self.kills for phase in kill.caught)),
            "endedByItself": sum(kill.ended for kill in self.kills),
            "changes": dict(self.ends),
            "podsServed": self.pods,
            "livesUnderApiFaults": self.storms,
            "apiFaults": dict(self.faults),
            "nodesReleasedByHand": self.released,
            "nodesRepairedByHand": self.repaired,
            "seconds": round(self.seconds),
            "violations": [asdict(violation) for violation in self.violations],
        }


class Killing:
    """Kills until there are `wanted` of them, and at least `each` in every phase; the journal's count."""

    def __init__(
        self,
        scene: Scene,
        seed: int,
        wanted: int,
        each: int,
        say: Callable[[str], None],
        journal: Journal | None = None,
    ) -> None:
        self._scene, self._wanted, self._each, self._say = scene, wanted, each, say
        self._journal = journal or Journal()
        self._random = random.Random(f"kills {seed}")
        self._outcome, self._human = Outcome(seed), Human(scene)
        self._started, self._ended, self._storm, self._last = 0.0, False, False, ""

    def run(self) -> Outcome:
        """Kill while pods come and go; then let everything come to rest and check it."""
        scene, outcome = self._scene, self._outcome
        began = time.monotonic()
        earlier = [Kill(**{**told, "caught": tuple(told["caught"])}) for told in self._journal.lines("kill")]
        outcome.kills += earlier
        stream = Stream(scene, outcome.seed, len(scene.nodes))
        self._start()
        stream.start()
        try:
            while (aim := self._next_aim()) is not None:
                self._one(aim)
                if len(outcome.kills) % CHECKED_EVERY == 0:
                    self._check()
            stream.close()
            self._scene.proxy.clear()
            self._come_to_rest()
            outcome.pods, outcome.faults = len(stream.pods), scene.faults_met()
            outcome.released, outcome.repaired = self._human.released, self._human.repaired
            outcome.violations = [*self._human.abandoned, *scene.violations(stream.pods)]
        finally:
            stream.stop()
        with scene.recorder.lock:
            changes = list(scene.recorder.history.changes.values())
        outcome.ends = Counter(f"{c.phase} {c.reason}".strip() for c in changes)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _next_aim(self) -> str | None:
        """What the next kill aims at: a phase that lacks kills first; None when there are enough."""
        done = self._outcome.histogram()
        lacking = [phase for phase in AIMS if done[phase] < self._each]
        left = self._wanted - len(self._outcome.counted)
        if left <= 0 and not lacking:
            return None
        spare = left - sum(self._each - done[phase] for phase in lacking)
        if spare > 0 and self._random.random() < RANDOM_SHARE:
            return ANY_MOMENT
        if lacking:
            # the next phase of the change that was hit last is the next to come
            last = AIMS.index(Phase(self._last)) if self._last in AIMS else -1
            return min(lacking, key=lambda phase: (AIMS.index(phase) - last - 1) % len(AIMS))
        return self._random.choices(AIMS, weights=[1 / (1 + done[phase]) for phase in AIMS])[0]

    def _one(self, aim: str) -> None:
        seen = self._wait_and_kill(aim)
        if seen is None:
            self._say(f"{aim} did not come within {AIM_SECONDS:g} s")
            self._human.attend()
            return
        live = self._scene.live()
        first = [change for change in live if change.name == seen]
        caught = [str(change.phase) for change in (*first, *(c for c in live if c not in first))]
        lived = time.monotonic() - self._started
        ended = self._ended
        kill = Kill(aim, tuple(caught), round(lived, 1), ended, self._storm)
        self._outcome.kills.append(kill)
        self._journal.write("kill", asdict(kill))
        self._last = kill.hit
        number, alone = len(self._outcome.counted), " (it had ended by itself)" if ended else ""
        what = ",".join(caught) or "nothing"
        self._say(f"kill {number}/{self._wanted} aim {aim} caught {what} after {lived:.1f} s{alone}")
        if self._random.random() >= LEASE_KEPT:
            self._scene.release_lease()
        self._human.attend()
        self._start()

    def _check(self) -> None:
        """What holds at every moment is looked at on the way, so that a run that is cut short tells of it."""
        broken = self._scene.lasting_violations()
        self._journal.write("checked", {"kills": len(self._outcome.kills), "broken": list(map(str, broken))})
        self._say(f"so far {len(broken)} times broken: {'; '.join(map(str, broken[:3])) or 'all held'}")

    def _start(self) -> None:
        self._scene.proxy.clear()
        self._storm = self._random.random() < STORM_SHARE
        if self._storm:
            self._scene.proxy.storm(STORM_CHANCE)
            self._outcome.storms += 1
        self._scene.start_controller()
        self._started, self._ended = time.monotonic(), False

    def _wait_and_kill(self, aim: str) -> str | None:
        """Kill when the moment has come; the name of the change aimed at, or empty.

        None, and no kill, where the phase did not come.
        """
        process = self._scene.controller.process
        if aim == ANY_MOMENT:
            time.sleep(self._random.uniform(0, RANDOM_SECONDS))
            self._ended = not process.alive
            process.kill()
            return ""
        trap = Trap(aim, process.pid)
        with provoked(self._scene, aim):
            self._scene.recorder.listen(trap)
            try:
                deadline = time.monotonic() + AIM_SECONDS
                while not trap.sprung.wait(0.5):
                    self._human.attend()
                    if not process.alive:
                        self._ended = True
                        return ""
                    if time.monotonic() > deadline:
                        return None
            finally:
                self._scene.recorder.unlisten(trap)
                if trap.sprung.is_set():
                    process.kill()
        return trap.change

    def _come_to_rest(self) -> None:
        """The controller stays alive from now on; wait until every pod was served and nothing goes on."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            if self._scene.settled():
                time.sleep(2)
                if self._scene.settled():
                    return
            self._human.attend()
            self._scene.keep_alive()
            time.sleep(0.5)
