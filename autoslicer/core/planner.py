"""From a snapshot to the plan: who is served, by which changes, and why the others are not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autoslicer.core import configs, evidence
from autoslicer.core.demand import Demand, demand, next_window
from autoslicer.core.digest import digest
from autoslicer.core.plan import Plan, Reshape, Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.problem import Posed, pose
from autoslicer.core.rows import ConfigEntry, GpuTarget
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.unserved import verdicts
from solver.check import check
from solver.problem import Problem
from solver.solution import By, Level, Solution, Status
from solver.solve import DEFAULT_EFFORT, fallback, solve

EFFORT = DEFAULT_EFFORT
"""counted work of the search, see `solver.solve`"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the last call worked out; where the question is the same again, it saves the search.

    Attributes:
        problem: that was solved; None before the first call.
        effort: that was allowed.
        solution: the checked answer.
    """

    problem: Problem | None = None
    effort: int = 0
    solution: Solution | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan with what the cycle asks beside it.

    Attributes:
        plan: the plan.
        demand: the keys of the pods that wait for slices, those too that have not waited long enough to be
            planned for, or that a change under way will serve.
        wake: when the next pod will have waited long enough (seconds since the epoch), or None.
    """

    plan: Plan
    demand: frozenset[str]
    wake: float | None


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
        snapshot: the cluster; live changes in it count as done.
        policies: by name; they stand in for those of the snapshot.
        now: seconds since the epoch.
        effort: counted work that the search may do.
        waiting: only pods that the scheduler found unschedulable, and `pendingSeconds` ago, are planned for.
        reached: told when each stage ends: "prepared", "solved" and "explained"; for a caller's clock.
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
    reached: Callable[[str], None] = lambda stage: None,
) -> tuple[Outcome, Prepared]:
    """As `plan`, from what the last call prepared, which saves work and never changes the plan."""
    # 1. demand, and what may be done for it
    wanted = demand(snapshot, waiting=waiting)
    posed = pose(snapshot, policies, wanted, now, waiting=waiting)
    reached("prepared")
    # 2. the best way, unless it is known already
    if prepared.solution is not None and (prepared.problem, prepared.effort) == (posed.problem, effort):
        solution = prepared.solution
    else:
        solution = _checked(posed.problem, effort)
    reached("solved")
    # 3. in the words of the cluster
    reshapes = tuple(sorted(_reshapes(snapshot, posed, solution), key=lambda r: _precedence(posed, r)))
    made = Plan(
        digest=digest(snapshot),
        nodes=len(posed.policies),
        pending_pods=len(posed.pods),
        reshapes=reshapes,
        configs={
            reshape.target: configs.entries_of(reshape.gpus) for reshape in sorted(reshapes, key=_target)
        },
        served=solution.served,
        unserved=verdicts(snapshot, posed, solution, now),
        refusals=_refusals(posed),
        status=solution.status,
        gap=_gap(solution.levels),
        levels=solution.levels,
    )
    reached("explained")
    wake = next_window(wanted, policies, now) if waiting else None
    return Outcome(made, _keys(wanted), wake), Prepared(posed.problem, effort, solution)


def _keys(wanted: Demand) -> frozenset[str]:
    return frozenset(pod.key for pod in wanted.pods) | wanted.promised.keys()


def _checked(problem: Problem, effort: int) -> Solution:
    """The solver's answer where the independent check passes it, else the greedy one, else nothing."""
    solution = solve(problem, effort=effort)
    if not check(problem, solution):
        return solution
    solution = fallback(problem)
    return solution if not check(problem, solution) else _nothing(problem)


def _nothing(problem: Problem) -> Solution:
    """No pod served and no GPU changed, which is always legal."""
    served = [
        Level("servedWeight", priority, 0, None)
        for priority in sorted({pod.priority for pod in problem.pods}, reverse=True)
    ]
    costs = [Level(name, None, 0, 0) for name in ("evictions", "nodesChanged", "gpusChanged", "spare")]
    return Solution((), (), (*served, *costs), Status.FALLBACK)


def _reshapes(snapshot: Snapshot, posed: Posed, solution: Solution) -> list[Reshape]:
    layouts: defaultdict[str, dict[int, tuple[tuple[str, int], ...]]] = defaultdict(dict)
    for change in solution.changes:
        layouts[change.node][change.gpu] = change.layout
    serves: defaultdict[str, list[str]] = defaultdict(list)
    for served in solution.served:
        if served.by is By.RESHAPE:
            serves[served.node].append(served.pod)
    return [
        _reshape(snapshot, posed, node, new, sorted(serves[node])) for node, new in sorted(layouts.items())
    ]


def _reshape(
    snapshot: Snapshot,
    posed: Posed,
    node: str,
    layouts: Mapping[int, tuple[tuple[str, int], ...]],
    serves: Sequence[str],
) -> Reshape:
    gpus = tuple(
        GpuTarget(gpu.index, gpu.layout, layouts.get(gpu.index, gpu.layout), gpu.index in layouts)
        for gpu in posed.assessments[node].gpus
    )
    policy = posed.policies[node]
    assert isinstance(policy, Policy), "only a node that one policy governs is changed"
    source = evidence.config(snapshot.nodes[node])
    target = _name(snapshot, policy, source, configs.entries_of(gpus))
    return Reshape(node, policy.name, source, target, gpus, tuple(serves))


def _name(snapshot: Snapshot, policy: Policy, source: str, entries: tuple[ConfigEntry, ...]) -> str:
    """The content's name; another where the label has that value already or the name has another content."""
    row = snapshot.config_maps.get(policy.config_map)
    held = {} if row is None or row.configs is None else row.configs
    variant = 0
    while (name := configs.config_name(entries, variant)) == source or held.get(name, entries) != entries:
        variant += 1
    return name


def _target(reshape: Reshape) -> str:
    return reshape.target


def _precedence(posed: Posed, reshape: Reshape) -> tuple[object, ...]:
    """More pods served, higher priorities first; then fewer GPUs; then by name."""
    priorities = Counter(posed.pods[key].priority for key in reshape.serves)
    ranks = sorted({pod.priority for pod in posed.pods.values()}, reverse=True)
    return (*(-priorities[rank] for rank in ranks), sum(gpu.changed for gpu in reshape.gpus), reshape.node)


def _refusals(posed: Posed) -> tuple[Verdict, ...]:
    found = (assessment.refusal for _, assessment in sorted(posed.assessments.items()))
    return tuple(refusal for refusal in found if refusal is not None)


def _gap(levels: Sequence[Level]) -> float:
    """How far the first unproven served level may be from the best, as a part of it; 0 where none is."""
    for level in levels:
        if level.name == "servedWeight" and level.bound is not None and level.bound > level.value:
            return (level.bound - level.value) / level.bound
    return 0.0
