"""How long pods wait: the share that is bound within a time, by profile and strategy."""

from __future__ import annotations

from collections.abc import Sequence

from simulations.history.history import Distribution, History
from simulations.report import charts
from simulations.report.axes import Linear, Logarithmic, waits
from simulations.report.charts import Frame, Point
from simulations.report.keys import key, strategy_style
from simulations.report.markup import Markup, beside, table, tag, text
from simulations.telling import wait

LEAST = 0.1
"""seconds: what is shorter is drawn there"""
SHARES = (10, 25, 50, 75, 90, 95, 99, 100)
_LABELS = 70.0
_LINE = 13.0


def section(histories: Sequence[History]) -> Markup:
    """A chart a profile."""
    profiles = sorted({profile for one in histories for profile in one.waits})
    if not profiles:
        return tag("p", "No pod asked for a slice.")
    longest = max(
        (wait for one in histories for found in one.waits.values() for wait in found.quantiles[-1:]),
        default=0.0,
    )
    most = max(longest, 10.0)
    figures = (_figure(profile, histories, most) for profile in profiles)
    told = tag(
        "p",
        "Each line climbs to the share of a profile's pods that were bound within a time. The further left "
        "it climbs, the shorter they waited; where it ends below 100 %, the others were never bound. Time is "
        "logarithmic.",
    )
    lines = key((strategy_style(index), one.strategy) for index, one in enumerate(histories))
    return tag("div", told, lines, tag("div", *figures, class_="grid-of-charts"))


def _figure(profile: str, histories: Sequence[History], most: float) -> Markup:
    right = _LABELS
    frame = Frame(
        Logarithmic(LEAST, most, charts.plot_width(right)), Linear(1.0, charts.PLOT_HEIGHT), right=right
    )
    found = [
        (index, one.strategy, one.waits[profile])
        for index, one in enumerate(histories)
        if profile in one.waits
    ]
    lines = [charts.line(_curve(frame, told), strategy_style(index)) for index, _, told in found]
    ends = [(frame.up(_share(told)), strategy, strategy_style(index)) for index, strategy, told in found]
    drawing = charts.svg(
        f"Waits of pods that ask for {profile}",
        "; ".join(f"{strategy}: {_told(told)}" for _, strategy, told in found),
        charts.WIDTH,
        charts.HEIGHT,
        frame.axes(_thinned(frame, waits(most)), [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]),
        *lines,
        *_labels(frame, ends),
    )
    rows = (
        (strategy, *(_within(told, share) for share in SHARES), told.unserved) for _, strategy, told in found
    )
    heads = ("strategy", *(f"{share} % within" for share in SHARES), "never bound")
    figures = table(f"Waits of pods that ask for {profile}", heads, rows)
    return charts.figure(profile, drawing, beside(f"Figures for {profile}", figures))


def _curve(frame: Frame, told: Distribution) -> list[Point]:
    """Up at each quantile, then to the right where nobody is bound any more."""
    points: list[Point] = [(frame.across(LEAST), frame.up(0.0))]
    for rank, value in enumerate(told.quantiles, start=1):
        points.append((frame.across(value), points[-1][1]))
        points.append((frame.across(value), frame.up(_share(told) * rank / len(told.quantiles))))
    points.append((frame.across(LEAST) + frame.x.length, points[-1][1]))
    return points


def _labels(frame: Frame, ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """The strategies' names beside the ends of their lines, none over another."""
    made = []
    ends = sorted(ends)
    for (height, strategy, style), place in zip(ends, _apart([height for height, *_ in ends]), strict=True):
        start = charts.LEFT + frame.x.length
        leader = (
            f"M{charts.brief(start)} {charts.brief(height)}L{charts.brief(start + 7)} {charts.brief(place)}"
        )
        made.append(tag("path", class_=f"leader {style}", d=leader))
        name = tag("text", strategy, x=charts.brief(start + 9), y=charts.brief(place + 4))
        made.append(name)
    return made


def _apart(heights: Sequence[float]) -> list[float]:
    """Places for labels near these ascending heights, a line apart, and none below the picture."""
    places: list[float] = []
    for height in heights:
        places.append(max([height, *(place + _LINE for place in places[-1:])]))
    lowest = charts.HEIGHT - _LINE / 2
    for index in reversed(range(len(places))):
        places[index] = min(places[index], lowest)
        lowest = places[index] - _LINE
    return places


def _thinned(frame: Frame, ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Not all ticks, where they would stand too close."""
    found: list[tuple[float, str]] = []
    for value, name in ticks:
        if not found or frame.across(value) - frame.across(found[-1][0]) >= 36:
            found.append((value, name))
    return found


def _share(told: Distribution) -> float:
    return told.bound / (told.bound + told.unserved) if told.bound else 0.0


def _told(told: Distribution) -> str:
    parts = [
        f"{name} within {_within(told, share)}"
        for name, share in (("half", 50), ("95 %", 95))
        if _bound(told, share)
    ]
    return ", ".join([*parts, *([f"{told.unserved} never bound"] if told.unserved else [])])


def _bound(told: Distribution, share: int) -> bool:
    """So many per cent of all are bound in the end."""
    return (told.bound + told.unserved) * share <= told.bound * 100


def _within(told: Distribution, share: int) -> Markup:
    """The time within which so many per cent of all are bound."""
    if not _bound(told, share):
        return text("never")
    wanted = (told.bound + told.unserved) * share
    rank = -(-wanted * len(told.quantiles) // (told.bound * 100))
    return text(wait(told.quantiles[max(0, rank - 1)]))
