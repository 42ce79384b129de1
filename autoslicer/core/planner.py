"""From a snapshot to the plan: who is served, by which changes, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autoslicer.core.demand import Demand, demand
from autoslicer.core.governed import Governed
from autoslicer.core.plan import Plan, Verdict
from autoslicer.core.planning.digest import Digests, digested
from autoslicer.core.planning.problem import Posed, pose
from autoslicer.core.planning.reshapes import Made, reshapes
from autoslicer.core.planning.sites import Site
from autoslicer.core.planning.unserved import Unserved, unserved
from autoslicer.core.policy import Policy
from autoslicer.core.recommendations import set_aside
from autoslicer.core.snapshot import Snapshot
from solver.check import check
from solver.extend import extend
from solver.known import Known, known
from solver.problem import Problem
from solver.solution import Level, Solution, Status
from solver.solve import DEFAULT_EFFORT, fallback, solve

EFFORT = DEFAULT_EFFORT
"""counted work of the search, see `solver.solve`"""


class Search(Protocol):
    """How a plan is found; `check` looks at whatever it answers."""

    def __call__(self, problem: Problem, *, effort: int) -> Solution:
        """A solution, from so much counted work."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the last call worked out; what has not changed since is not worked out again.

    Attributes:
        snapshot: that was planned for; None before the first call.
        waiting: what was asked.
        effort: that was allowed.
        demand: of the snapshot.
        posed: the problem.
        known: the problem with its checked solution.
        reshapes: of the solution, by node.
        unserved: the pods that it does not serve.
        digests: of the snapshot and of its rows.
        otherwise: the same of the plan that was made instead, because nodes were to be avoided.
        governed: the nodes of each policy.
    """

    snapshot: Snapshot | None = None
    waiting: bool = False
    effort: int = 0
    demand: Demand | None = None
    posed: Posed | None = None
    known: Known | None = None
    reshapes: Mapping[str, Made] = field(default_factory=dict)
    unserved: Unserved = field(default_factory=Unserved)
    digests: Digests = field(default_factory=Digests)
    otherwise: Prepared | None = None
    governed: Governed = field(default_factory=Governed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan with what the cycle asks beside it.

    Attributes:
        plan: the plan.
        demand: the keys of the pods that wait for slices, those too that have not waited long enough to be
            planned for, or that a change under way will serve.
        conflicts: why a policy must agree with another on its objective and does not, by its name.
        wake: when the next pod will have waited long enough, or begins to starve (seconds since the epoch),
            or None.
        sites: the nodes, by name.
        reserved: the nodes on which headroom is.
    """

    plan: Plan
    demand: frozenset[str]
    conflicts: Mapping[str, str]
    wake: float | None
    sites: Mapping[str, Site]
    reserved: frozenset[str]


def plan(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    now: float,
    *,
    effort: int = EFFORT,
    waiting: bool = False,
    reached: Callable[[str], None] = lambda stage: None,
) -> Plan:
    """The best plan for the snapshot; equal inputs give equal plans, in whatever order the objects came.

    Args:
        snapshot: the cluster; live changes in it count as done, but for those that nobody has approved yet.
        policies: by name; they stand in for those of the snapshot.
        now: seconds since the epoch.
        effort: counted work that the search may do.
        waiting: only pods that the scheduler found unschedulable, and `pendingSeconds` ago, are planned for.
        reached: told when each stage ends, for a clock: "prepared", "solved", "explained", "digested".
    """
    found = replan(snapshot, policies, now, Prepared(), effort=effort, waiting=waiting, reached=reached)
    return found[0].plan


def replan(
    snapshot: Snapshot,
    policies: Mapping[str, Policy],
    now: float,
    prepared: Prepared,
    *,
    effort: int = EFFORT,
    waiting: bool = False,
    avoid: Mapping[str, Verdict] | None = None,
    search: Search = solve,
    reached: Callable[[str], None] = lambda stage: None,
) -> tuple[Outcome, Prepared]:
    """As `plan`, from what the last call prepared, which saves work.

    The plan is the same but for one case: where pods came to a large problem and nothing else has changed,
    the known plan is extended, see `solver.extend`. Where there is word of the nodes to `avoid`, no node is
    changed on which no change could start now, see `sites.sites`. What was prepared must come from calls with
    the same `search`.
    """
    last = prepared if (prepared.waiting, prepared.effort) == (waiting, effort) else Prepared()
    snapshot = set_aside(snapshot)
    # 1. demand, and what may be done for it
    asked = None if last.snapshot is None or last.demand is None else (last.snapshot, last.demand)
    wanted = demand(snapshot, waiting=waiting, before=asked)
    posed = pose(snapshot, policies, wanted, now, waiting=waiting, before=last.posed, avoid=avoid)
    reached("prepared")
    # 2. the best way, unless it is known already
    solved = _known(posed, last.known) or known(posed.problem, _checked(posed.problem, effort, search))
    solution = solved.solution
    reached("solved")
    # 3. in the words of the cluster
    made = reshapes(snapshot, posed, solved, last.reshapes)
    spoken = None if last.known is None else (last.unserved, last.known)
    told = unserved(snapshot, posed, solved, spoken)
    reached("explained")
    digests = digested(snapshot, last.digests)
    result = Plan(
        digest=digests.whole,
        nodes=sum(site.policy is not None for site in posed.sites.by_name.values()),
        pending_pods=len(posed.pods),
        reshapes=tuple(one.reshape for one in made.values()),
        configs={one.reshape.target: one.entries for one in sorted(made.values(), key=_target)},
        served=solution.served,
        unserved=told.verdicts,
        refusals=_refusals(posed),
        status=solution.status,
        gap=_gap(solution.levels),
        levels=solution.levels,
    )
    reached("digested")
    wake = posed.wake if waiting else None
    reserved = frozenset(row.node for row in solution.headroom)
    outcome = Outcome(result, wanted.keys, posed.objectives.conflicts, wake, posed.sites.by_name, reserved)
    return outcome, Prepared(snapshot, waiting, effort, wanted, posed, solved, made, told, digests)


def _known(posed: Posed, last: Known | None) -> Known | None:
    """The problem with its solution, as far as that follows from what was known."""
    if last is None:
        return None
    if last.problem is posed.problem or last.problem == posed.problem:
        return last
    return None if posed.fresh is None else extend(last, posed.problem, posed.fresh)


def _checked(problem: Problem, effort: int, search: Search) -> Solution:
    """The search's answer where the independent check passes it, else the greedy one, else nothing."""
    solution = search(problem, effort=effort)
    if not check(problem, solution):
        return solution
    solution = fallback(problem)
    return solution if not check(problem, solution) else _nothing(problem)


def _nothing(problem: Problem) -> Solution:
    """No pod served and no GPU changed, which is always legal."""
    served = [Level("servedWeight", rank, 0, None) for rank in problem.ranks]
    kept = [Level("headroom", None, 0, None)] if problem.headroom else []
    costs = [Level(name, None, 0, 0) for name in ("evictions", "nodesChanged", "gpusChanged", "spare")]
    return Solution((), (), (*served, *kept, *costs), Status.FALLBACK)


def _target(made: Made) -> str:
    return made.reshape.target


def _refusals(posed: Posed) -> tuple[Verdict, ...]:
    found = ((site.assessment, site.held) for site in posed.sites.by_name.values())
    refusals = (held if one is None else one.refusal or held for one, held in found)
    return tuple(refusal for refusal in refusals if refusal is not None)


def _gap(levels: Sequence[Level]) -> float:
    """How far the first unproven served level may be from the best, as a part of it; 0 where none is."""
    for level in levels:
        if level.name == "servedWeight" and level.bound is not None and level.bound > level.value:
            return (level.bound - level.value) / level.bound
    return 0.0
