"""How many more nodes a scenario needs until its pods are served: one simulation for each number tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from simulations.arrivals import operands
from simulations.run import bound_within
from simulations.scenario.scenario import Node, Scenario
from simulations.strategies.planned import Planned
from simulations.workload.mistakes import Kind
from simulations.workload.source import jobs


@dataclass(frozen=True, slots=True)
class Goal:
    """When a scenario's pods count as served.

    Attributes:
        share: of the pods with slices, from 0 to 1.
        within: they are bound so many seconds after they came; infinity for ever.
        most: so many more nodes of a kind are tried at most.
    """

    share: Fraction
    within: float
    most: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A simulation with so many more nodes: of the pods that came, so many were served."""

    more: int
    pods: int
    served: int


@dataclass(frozen=True, slots=True)
class Sized:
    """How many more nodes of one kind are needed.

    Attributes:
        node: the first of the scenario's nodes of this kind; the added ones are as it is.
        more: the fewest that were enough; None where `Goal.most` are not.
        trials: what was tried, by the number of nodes.
    """

    node: Node
    more: int | None
    trials: tuple[Trial, ...]


def kinds(scenario: Scenario) -> list[Node]:
    """The first node of each kind, in the scenario's order: nodes that differ in nothing but their names.

    Nodes that join or leave at other times are of another kind.
    """
    found: dict[str, Node] = {}
    for node in scenario.nodes:
        found.setdefault(repr(replace(node, name="")), node)
    return list(found.values())


def left_out(scenario: Scenario, *, lenient: bool) -> Counter[Kind]:
    """Read the whole workload once: the lines of its trace that are left out, by kind of mistake.

    Raises:
        InputError: a line is wrong, and `lenient` is false; or the trace cannot be read.
    """
    found = Counter[Kind]()
    for _ in jobs(scenario.workload, found if lenient else None, operands(scenario)):
        pass
    return found


def sizes(
    scenario: Scenario,
    goal: Goal,
    tried: Callable[[Node, Trial], None] = lambda node, trial: None,
    *,
    lenient: bool = False,
) -> Iterator[Sized]:
    """The need of nodes of each kind, where only nodes of that kind are added.

    The numbers 0, 1, 2, 4 and so on are tried until one is enough, and then by halves those between it and
    the last that was not. One less than the answer was not enough, then; it is the fewest of all if more
    nodes never serve fewer pods.

    Args:
        scenario: with nodes; what it compares does not matter, for autoslicer is simulated.
        goal: when it is enough.
        tried: told of every simulation.
        lenient: lines of a trace that are wrong are left out.

    Raises:
        InputError: the workload is not as it must be.
    """

    def trial(node: Node | None, more: int) -> Trial:
        added = () if node is None else _clones(scenario, node, more)
        grown = replace(scenario, nodes=(*scenario.nodes, *added))
        found = jobs(scenario.workload, Counter() if lenient else None, operands(scenario))
        return Trial(more, *bound_within(Planned(grown), found, goal.within))

    none = trial(None, 0)
    for node in kinds(scenario):
        tried(node, none)
        yield _sized(node, goal, none, trial, tried)


def _sized(
    node: Node,
    goal: Goal,
    none: Trial,
    trial: Callable[[Node, int], Trial],
    tried: Callable[[Node, Trial], None],
) -> Sized:
    trials = {0: none}

    def enough(more: int) -> bool:
        if more not in trials:
            trials[more] = trial(node, more)
            tried(node, trials[more])
        return trials[more].served >= goal.share * trials[more].pods

    low, high = -1, 0
    while not enough(high) and high < goal.most:
        low, high = high, min(goal.most, max(1, 2 * high))
    found = enough(high)
    while found and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return Sized(node, high if found else None, tuple(trials[more] for more in sorted(trials)))


def _clones(scenario: Scenario, node: Node, more: int) -> tuple[Node, ...]:
    """Nodes like this one under names that nobody has."""
    taken = {one.name for one in scenario.nodes}
    free = (
        name for number in range(more + len(taken)) if (name := f"{node.name}-more-{number}") not in taken
    )
    return tuple(replace(node, name=name) for name, _ in zip(free, range(more), strict=False))
