"""One strategy meets a scenario's jobs, and how it did."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain

from autoslicer.core.reasons import Reason
from simulations.arrivals import Arrivals
from simulations.history.history import History
from simulations.history.recorder import Recorder
from simulations.strategies.strategy import Strategy
from simulations.summary import DIGITS, Summary, summary
from simulations.tally import Tally
from simulations.workload.job import Job
from simulations.workload.mistakes import InputError

PATIENCE_SECONDS = 8 * 86400.0
"""so long after the last pod or node came or went nobody watches where nothing runs: every window of a week
has come up"""

BEHIND, OTHERS = "behind a pod of the same name", "not said"
"""why pods are not served, where it is no `Reason`"""
_LAST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""virtual time ends here: the year 10000 cannot be written, and a job takes a hundred years at most"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a strategy did.

    Attributes:
        strategy: its name.
        pods: how many have come.
        completed: how many have ended.
        unserved: how many had no node at the end: never bound, or evicted and not bound again.
        waits: from arrival to binding, over the pods that ask for slices. Those that were never bound count
            with the time from their arrival to the end: the makespan, until other strategies are known (see
            `to_one_end`); of one that was evicted the first binding counts.
        waits_by_profile: the same by each pod's first profile by name.
        makespan: seconds from the start until a pod came, was bound, was evicted or ended last.
        reshapes: how many changes of nodes have reached their layout.
        gpus_changed: GPUs that got another layout in them.
        node_unavailable: seconds, summed over the nodes, in which a node took no pod because it was changed.
        evictions: pods that were deleted while they ran, by the strategy, with their node or by its reboot.
        utilisation: the part of all memory slices that there were, over the makespan, that pods have held.
        thought: real seconds that its planning has taken.
        unbound: what the waits are made of where pods with slices were never bound; else None.
        reasons: why unserved pods are not served at the end: of how many, the most frequent first. Empty
            where the strategy says nothing of any.
    """

    strategy: str
    pods: int
    completed: int
    unserved: int
    waits: Summary
    waits_by_profile: Mapping[str, Summary]
    makespan: float
    reshapes: int
    gpus_changed: int
    node_unavailable: float
    evictions: int
    utilisation: float
    thought: float
    unbound: Unbound | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unbound:
    """What waits are made of where some pods were never bound; both by first profile.

    Attributes:
        waits: seconds, of each pod that was bound.
        arrivals: seconds from the start, of each that was not.
    """

    waits: Mapping[str, array[float]]
    arrivals: Mapping[str, array[float]]

    def until(self, end: float) -> tuple[Summary, dict[str, Summary]]:
        """All waits, and those by profile, where the others wait to an end in seconds from the start."""
        found: dict[str, array[float]] = {}
        for name in sorted(self.waits.keys() | self.arrivals.keys()):
            since = (end - at for at in self.arrivals.get(name, ()))
            found[name] = array("d", chain(self.waits.get(name, ()), since))
        by_profile = {name: summary(waits) for name, waits in found.items()}
        return summary(array("d", chain.from_iterable(found.values()))), by_profile


def to_one_end(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of one scenario's strategies: all unbound pods wait to the latest end of any of them.

    So whoever leaves a pod out has it waiting no shorter than whoever serves it.
    """
    end = max((outcome.makespan for outcome in outcomes), default=0.0)
    return [_ending(outcome, end) for outcome in outcomes]


def _ending(outcome: Outcome, end: float) -> Outcome:
    if outcome.unbound is None:
        return outcome
    waits, by_profile = outcome.unbound.until(end)
    return replace(outcome, waits=waits, waits_by_profile=by_profile)


def run(name: str, strategy: Strategy, jobs: Iterator[Job]) -> Outcome:
    """Live until every job has ended, or nothing happens any more.

    Raises:
        InputError: the trace cannot be read on, or takes thousands of years.
    """
    start = strategy.world.clock.now
    return _outcome(name, strategy, _lived(strategy, jobs, _unseen), start)


def recorded(name: str, strategy: Strategy, jobs: Iterator[Job]) -> tuple[Outcome, History]:
    """The same, with the history of the run.

    Raises:
        InputError: as `run` does.
    """
    start = strategy.world.clock.now
    recorder = Recorder(strategy.world, strategy.gpus)
    tally = _lived(strategy, jobs, lambda arrivals: recorder.look(arrivals.behind))
    never = (profile for profile, _ in tally.waiting())
    return _outcome(name, strategy, tally, start), recorder.history(name, tally.last, tally.waits, never)


def bound_within(strategy: Strategy, jobs: Iterator[Job], seconds: float) -> tuple[int, int]:
    """Live on, and count the pods with slices that came, and those bound so soon after they came.

    One that lost its node and has none at the end counts among those that came alone.

    Raises:
        InputError: as `run` does.
    """
    tally = _lived(strategy, jobs, _unseen)
    waits = [wait for values in tally.waits.values() for wait in values]
    never = sum(bool(profile) for profile, _ in tally.waiting())
    lost = sum(bool(profile) and wait <= seconds for profile, wait in tally.waiting_again())
    return len(waits) + never, sum(wait <= seconds for wait in waits) - lost


def _lived(strategy: Strategy, jobs: Iterator[Job], look: Callable[[Arrivals], None]) -> Tally:
    """Let everything happen, and look at each moment after all of it."""
    arrivals = Arrivals(strategy.world, jobs, strategy.admit)
    tally = Tally(strategy.world, arrivals, strategy.gpus)
    for now in strategy.moments():
        if now > _LAST:
            raise InputError("the workload takes until the year 9000; shorten the durations of its pods")
        look(arrivals)
        patience = max(tally.last, strategy.settled) + PATIENCE_SECONDS
        if arrivals.ended or (arrivals.over and tally.idle and now > patience):
            break
    return tally


def _unseen(arrivals: Arrivals) -> None:
    """Nobody looks."""


def _outcome(name: str, strategy: Strategy, tally: Tally, start: float) -> Outcome:
    waiting = tally.waiting()
    makespan, offered = tally.last - start, tally.offered
    unbound = Unbound(tally.waits, _arrivals(waiting, makespan))
    waits, by_profile = unbound.until(makespan)
    return Outcome(
        strategy=name,
        pods=tally.pods,
        completed=tally.completed,
        unserved=len(waiting) + len(tally.waiting_again()),
        waits=waits,
        waits_by_profile=by_profile,
        makespan=round(makespan, DIGITS),
        reshapes=tally.reshapes,
        gpus_changed=tally.gpus_changed,
        node_unavailable=round(tally.unavailable, DIGITS),
        evictions=tally.evictions,
        utilisation=round(tally.held / offered, 4) if offered else 0.0,
        thought=strategy.thought,
        unbound=unbound if unbound.arrivals else None,
        reasons=_reasons(tally, strategy.reasons),
    )


def _reasons(tally: Tally, told: Mapping[str, Reason]) -> dict[str, int]:
    without = list(tally.without_node())
    found = Counter(told[key].value for key in without if key in told)
    if not found:
        return {}
    named = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    others = {BEHIND: tally.behind(), OTHERS: len(without) - found.total()}
    return dict(named) | {why: count for why, count in others.items() if count}


def _arrivals(waiting: Iterable[tuple[str, float]], makespan: float) -> dict[str, array[float]]:
    """When pods that wait since so long for slices have come."""
    found: dict[str, array[float]] = {}
    for profile, wait in waiting:
        if profile:
            found.setdefault(profile, array("d")).append(makespan - wait)
    return found
