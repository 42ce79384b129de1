"""Several simulations for people: which did best, as far as the seeds can tell, then a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from autoslicer.cli.wording import number
from simulations.telling import US, wait

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.comparing import Comparison
    from simulations.confidence import Interval
    from simulations.run import Outcome
    from simulations.study import Simulated

Rows = Mapping[tuple[str, ...], Mapping[str, Sequence["Outcome"]]]
"""what came out under each seed, by the values of the swept fields and by strategy"""


def draw(console: Console, several: Sequence[Simulated], *, wide: bool) -> None:
    """Print them.

    Args:
        console: to print on.
        several: in the order of the study, seeds of equal values beside each other.
        wide: also figures that are not compared.
    """
    from simulations.workload.generate import Generation

    paths = tuple(several[0].point.values)
    rows: dict[tuple[str, ...], dict[str, list[Outcome]]] = {}
    bounds: dict[tuple[str, ...], list[float | None]] = {}
    for one in several:
        values = tuple(one.point.values.values())
        bounds.setdefault(values, []).append(one.ahead.mean_wait)
        for outcome in one.outcomes:
            rows.setdefault(values, {}).setdefault(outcome.strategy, []).append(outcome)
    seeds = len(next(iter(bounds.values())))
    for sentence in answer(paths, rows):
        console.print(sentence)
    if seeds == 1 and any(isinstance(one.point.scenario.workload, Generation) for one in several):
        console.print("One seed cannot tell this from chance; --seeds 10 may.")
    console.print()
    console.print(_table(paths, rows, bounds, wide=wide))
    console.print()
    if seeds > 1:
        console.print(
            f"Each figure is the mean of {seeds} seeds ± its 95 % confidence interval (Student's t)."
        )
    console.print("Whoever serves all, even if it knows the trace, has a mean wait of at least the bound.")


def answer(paths: Sequence[str], rows: Rows) -> Iterator[str]:
    """What came out, in a sentence or two: for a sweep which values do best, else which strategy does."""
    strategies = next(iter(rows.values()))
    ours = US if all(US in one for one in rows.values()) else next(iter(strategies))
    if len(rows) == 1:
        yield _did(ours, strategies[ours])
        yield from _beside(ours, strategies)
        return
    found = {values: one[ours] for values, one in rows.items() if ours in one}
    if len(found) < len(rows):
        return
    yield from _best(ours, paths, found)


def _beside(ours: str, strategies: Mapping[str, Sequence[Outcome]]) -> Iterator[str]:
    """Which strategy of several does best."""
    if len(strategies) == 1:
        return
    yield from _verdict(list(strategies), list(strategies.values()), "strategies")


def _best(
    ours: str, paths: Sequence[str], found: Mapping[tuple[str, ...], Sequence[Outcome]]
) -> Iterator[str]:
    """Which values of swept fields do best."""
    names = short(paths)
    labels = [
        values[0] if len(paths) == 1 else " ".join(map("=".join, zip(names, values, strict=True)))
        for values in found
    ]
    what = f"values of {paths[0]}" if len(paths) == 1 else f"combinations of {' and '.join(paths)}"
    yield from _verdict(labels, list(found.values()), what, ours)


def _verdict(
    labels: Sequence[str], several: Sequence[Sequence[Outcome]], what: str, ours: str = ""
) -> Iterator[str]:
    from simulations.comparing import Verdict, compared

    found = compared(several)
    best, label = several[found.best], labels[found.best]
    told = {verdict: _labels(labels, found, verdict) for verdict in Verdict}
    of = f" for {ours}" if ours else ""
    if len(told[Verdict.UNTOLD]) == len(labels) - 1:
        lowest = (
            f"{label} has the lowest mean wait{of}, but there is no difference that these seeds could tell"
        )
        yield f"Of {len(labels)} {what}, {lowest if len(best) > 1 else f'none makes a difference{of}'}."
    else:
        how = f": it {_how(best)}" if ours else ""
        yield f"Of {len(labels)} {what}, {label} is best{of}{how}."
        same = "no difference that these seeds could tell" if len(best) > 1 else "the same"
        says = {Verdict.FEWER: "serves fewer", Verdict.LATER: "later", Verdict.UNTOLD: same}
        parts = (f"{', '.join(told[verdict])} ({words})" for verdict, words in says.items() if told[verdict])
        yield f"The others: {'; '.join(parts)}."


def _labels(labels: Sequence[str], found: Comparison, verdict: object) -> list[str]:
    return [
        label
        for place, label in enumerate(labels)
        if place != found.best and found.verdicts[place] is verdict
    ]


def _did(strategy: str, seeds: Sequence[Outcome]) -> str:
    reshapes = _spread([float(one.reshapes) for one in seeds], _count)
    return f"Under {number(len(seeds), 'seed')} {strategy} {_how(seeds)} and {reshapes} reshapes."


def _how(seeds: Sequence[Outcome]) -> str:
    first = seeds[0]
    served = f"{_served(seeds)} of the pods"
    if len(seeds) == 1:
        served = f"{first.pods - first.unserved} of {number(first.pods, 'pod')}"
    return f"serves {served}, with a mean wait of {_spread([one.waits.mean for one in seeds], wait)}"


def short(paths: Sequence[str]) -> list[str]:
    """The last part of each path, or the whole paths where two end alike.

    >>> short(["policy.trigger.pendingSeconds", "timing.applySeconds"]), short(["a.x", "b.x"])
    (['pendingSeconds', 'applySeconds'], ['a.x', 'b.x'])
    """
    last = [path.rpartition(".")[2] for path in paths]
    return last if len(set(last)) == len(last) else list(paths)


def _table(
    paths: Sequence[str],
    rows: Rows,
    bounds: Mapping[tuple[str, ...], Sequence[float | None]],
    *,
    wide: bool,
) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in (*short(paths), "strategy"):
        table.add_column(head)
    figures = [*FIGURES, *(MORE if wide else {})]
    for head in (*figures, "bound"):
        table.add_column(head, justify="right")
    cells = {**FIGURES, **MORE}
    for values, strategies in rows.items():
        known = [bound for bound in bounds[values] if bound is not None]
        bound = _spread(known, wait) if len(known) == len(bounds[values]) else "unknown"
        for strategy, seeds in strategies.items():
            table.add_row(*values, strategy, *(cells[head](seeds) for head in figures), bound)
    return table


def _served(seeds: Sequence[Outcome]) -> str:
    if len(seeds) == 1:
        return f"{seeds[0].pods - seeds[0].unserved}/{seeds[0].pods}"
    return _spread([(one.pods - one.unserved) / one.pods for one in seeds], _percent)


def _spread(figures: Sequence[float], spelled: Callable[[float], str]) -> str:
    """The mean, with its interval where there are several figures."""
    from simulations.confidence import interval

    found: Interval = interval(figures)
    return spelled(found.mean) + ("" if found.half is None else f" ± {spelled(found.half)}")


def _percent(part: float) -> str:
    return f"{part:.1%}"


def _count(figure: float) -> str:
    """A mean of counts, without what says nothing.

    >>> _count(12.0), _count(1.25)
    ('12', '1.2')
    """
    return f"{figure:.1f}".removesuffix(".0")


Cell = Callable[[Sequence["Outcome"]], str]
FIGURES: Mapping[str, Cell] = {
    "served": _served,
    "mean wait": lambda seeds: _spread([one.waits.mean for one in seeds], wait),
    "p95": lambda seeds: _spread([one.waits.p95 for one in seeds], wait),
    "p99": lambda seeds: _spread([one.waits.p99 for one in seeds], wait),
    "reshapes": lambda seeds: _spread([float(one.reshapes) for one in seeds], _count),
}
"""what each column of the table says of what came out under each seed"""
MORE: Mapping[str, Cell] = {
    "p50": lambda seeds: _spread([one.waits.p50 for one in seeds], wait),
    "longest": lambda seeds: _spread([one.waits.max for one in seeds], wait),
    "GPUs changed": lambda seeds: _spread([float(one.gpus_changed) for one in seeds], _count),
    "evictions": lambda seeds: _spread([float(one.evictions) for one in seeds], _count),
    "in use": lambda seeds: _spread([one.utilisation for one in seeds], _percent),
}
"""those of `-o wide` besides"""
