"""Each fault of the catalogue on many nodes at once: is it mended, and what is left where it is not."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.human import Human
from tests.chaos.invariants import Invariant, Violation
from tests.chaos.journal import Journal
from tests.chaos.rounds import Injection, Round
from tests.chaos.scene import Scene


@dataclass
class Row:
    """All injections of one fault."""

    fault: str
    injections: list[Injection] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    seconds: float = 0.0

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "fault": self.fault,
            "times": len(self.injections),
            "firstEnd": dict(Counter(i.ends[0] if i.ends else "no change" for i in self.injections)),
            "served": dict(Counter(i.by or "not served" for i in self.injections)),
            "seconds": round(self.seconds),
            "violations": [asdict(violation) for violation in self.violations],
        }


class Injecting:
    """Rounds of one fault after the other; in each round every node gets a pod that needs another layout."""

    def __init__(
        self, scene: Scene, times: int, say: Callable[[str], None], journal: Journal | None = None
    ) -> None:
        self._scene, self._times, self._say = scene, times, say
        self._journal = journal or Journal()
        self._human = Human(scene)
        self._rounds = itertools.count(1)
        self._known: set[Violation] = set()

    def run(self, faults: Iterable[Fault] = FAULTS) -> list[Row]:
        """Inject each fault at least so many times."""
        self._scene.start_controller()
        return [self._row(fault) for fault in faults]

    def _row(self, fault: Fault) -> Row:
        row, began = self._earlier(fault.name), time.monotonic()
        for _ in range(2 + 3 * self._times // len(self._scene.nodes)):
            if len(row.injections) >= self._times:
                break
            done = Round(self._scene, fault, next(self._rounds), self._human)
            try:
                done.run()
            except AssertionError as error:
                # a wait was in vain: the round is lost, and those after it must not be
                self._say(f"{fault.name}: {error}")
                row.violations.append(Violation(Invariant.NODES, fault.name, str(error).splitlines()[0]))
                done.clean_up()
            broken = self._new(done)
            row.injections += done.injections
            row.violations += broken
            told = {"fault": fault.name, "seconds": done.seconds}
            lines = {
                "injections": list(map(asdict, done.injections)),
                "violations": list(map(asdict, broken)),
            }
            self._journal.write("round", {**told, **lines})
            self._tell(fault, row, done)
        row.seconds += time.monotonic() - began
        return row

    def _earlier(self, fault: str) -> Row:
        """What the journal has of a fault."""
        row = Row(fault)
        for told in self._journal.lines("round"):
            if told["fault"] == fault:
                row.injections += [
                    Injection(i["node"], tuple(i["ends"]), i["by"]) for i in told["injections"]
                ]
                row.violations += [
                    Violation(Invariant(v["invariant"]), v["subject"], v["message"])
                    for v in told["violations"]
                ]
                row.seconds += told["seconds"]
        return row

    def _new(self, done: Round) -> list[Violation]:
        """What this round broke."""
        every = [*self._human.abandoned, *self._scene.violations(done.pods.values())]
        found = [violation for violation in every if violation not in self._known]
        self._known.update(found)
        return found

    def _tell(self, fault: Fault, row: Row, done: Round) -> None:
        ends = Counter(
            f"{' > '.join(i.ends) or 'no change'} / {i.by or 'not served'}" for i in done.injections
        )
        told = ", ".join(f"{count} x {what}" for what, count in sorted(ends.items()))
        self._say(
            f"{fault.name}: {len(row.injections)}/{self._times} in {done.seconds:.0f} s: {told or 'none'}"
        )
        for violation in row.violations:
            self._say(f"  BROKEN {violation}")
