"""Slices over time: what pods wait for, what there is of it, and how much of the cluster is in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from simulations.history.history import History, Supply
from simulations.history.steps import Course
from simulations.report import charts
from simulations.report.axes import Linear, counts, times
from simulations.report.charts import Frame
from simulations.report.keys import key
from simulations.report.markup import Markup, beside, table, tag
from simulations.telling import wait

ROWS = 24
"""of the table beside a course"""
_SHADES = (("used", "used"), ("free", "free"), ("stranded", "stranded"))


def demand(histories: Sequence[History]) -> Markup:
    """For each profile a chart a strategy, all of one profile in one scale."""
    until = max(one.seconds for one in histories)
    profiles = sorted({profile for one in histories for profile in one.supplies})
    told = tag(
        "p",
        "Shaded: the slices that there are of a profile, on nodes that take pods. The line: the slices "
        "that waiting pods ask for. Free slices are stranded while pods wait and none of these is what "
        "they wait for. Of each span of time the shades show the mean, the line the most.",
    )
    found = (_of_profile(profile, histories, until) for profile in profiles)
    return tag("div", told, key(_SHADES, blocks=True), key([("waiting", "waiting for")]), *found)


def use(histories: Sequence[History]) -> Markup:
    """For each strategy how much of all memory slices pods hold, and how much is stranded."""
    until = max(one.seconds for one in histories)
    told = tag(
        "p",
        "Of the memory slices of all nodes that are there the part that pods hold, and above it the part in "
        "slices that are stranded; "
        "the rest is free, not cut, or on nodes that are being changed.",
    )
    figures = (_use(one, until) for one in histories)
    shades = [entry for entry in _SHADES if entry[0] != "free"]
    return tag("div", told, key(shades, blocks=True), tag("div", *figures, class_="grid-of-charts"))


def _of_profile(profile: str, histories: Sequence[History], until: float) -> Markup:
    found = [(one, one.supplies[profile]) for one in histories if profile in one.supplies]
    most = max(max((*told.waiting.highs, *told.offered.means), default=0) for _, told in found)
    figures = (_supply(profile, one, told, until, most) for one, told in found)
    return tag("section", tag("h3", profile), tag("div", *figures, class_="grid-of-charts"))


def _supply(profile: str, one: History, told: Supply, until: float, most: float) -> Markup:
    levels = counts(most)
    frame = Frame(Linear(until, charts.plot_width()), Linear(levels[-1], charts.PLOT_HEIGHT))
    width, used = told.used.width, told.used.means
    stranded = told.stranded.means
    free = [
        max(whole - part, held) for whole, part, held in zip(told.offered.means, stranded, used, strict=True)
    ]
    title = f"{profile}, {one.strategy}"
    described = (
        f"Slices over {wait(one.seconds)}: "
        f"at most {max(told.waiting.highs, default=0):g} waited for at a time, "
        f"at most {max(told.offered.highs, default=0):g} offered, "
        f"at most {max(told.stranded.highs, default=0):g} stranded"
    )
    drawing = charts.svg(
        title,
        described,
        charts.WIDTH,
        charts.HEIGHT,
        *_stacked(frame, width, one.seconds, (used, free, told.offered.means), ("used", "free", "stranded")),
        frame.axes(times(until, 4), [(level, f"{level:,g}") for level in levels]),
        charts.line(charts.stairs(frame, width, told.waiting.highs, one.seconds), "waiting"),
    )
    courses = (told.waiting, told.offered, told.used, told.stranded)
    heads = ("time", "waiting, most", "offered", "used", "stranded")
    rows = _rows(courses, one.seconds, (max, _mean, _mean, _mean))
    return charts.figure(one.strategy, drawing, beside(f"Figures for {title}", table(title, heads, rows)))


def _use(one: History, until: float) -> Markup:
    frame = Frame(Linear(until, charts.plot_width()), Linear(1.0, charts.PLOT_HEIGHT))
    used = _parts(one.used, one.there)
    both = [sum(parts) for parts in zip(used, _parts(one.stranded, one.there), strict=True)]
    title = f"Memory slices in use, {one.strategy}"
    least, most = min(one.there.lows, default=0), max(one.there.highs, default=0)
    slices = f"{most:g}" if least == most else f"{least:g} to {most:g}"
    described = (
        f"Of {slices} memory slices over {wait(one.seconds)}: "
        f"at most {max(one.used.highs, default=0):g} in use, "
        f"at most {max(one.stranded.highs, default=0):g} stranded"
    )
    drawing = charts.svg(
        title,
        described,
        charts.WIDTH,
        charts.HEIGHT,
        *_stacked(frame, one.used.width, one.seconds, (used, both), ("used", "stranded")),
        frame.axes(times(until, 4), [(share / 4, f"{share * 25} %") for share in (0, 2, 4)]),
    )
    heads = ("time", "in use", "stranded")
    rows = _rows((one.used, one.stranded), one.seconds, (_mean, _mean))
    return charts.figure(
        one.strategy, drawing, beside(f"Figures for {one.strategy}", table(title, heads, rows))
    )


def _parts(some: Course, there: Course) -> list[float]:
    """What some memory slices are of all that are there, in each span."""
    return [value / whole if whole else 0.0 for value, whole in zip(some.means, there.means, strict=True)]


def _stacked(
    frame: Frame, width: float, until: float, tops: Sequence[Sequence[float]], styles: Sequence[str]
) -> Iterator[Markup]:
    """Areas, the highest first, each covering the lower part of the one before it."""
    for values, style in reversed(list(zip(tops, styles, strict=True))):
        yield charts.area(frame, charts.stairs(frame, width, values, until), style)


def _rows(
    courses: Sequence[Course], until: float, kinds: Sequence[Callable[[Sequence[float]], float]]
) -> Iterator[tuple[object, ...]]:
    """A row for each of at most `ROWS` spans."""
    width = courses[0].width
    spans = min(len(courses[0].means), -(-int(until) // max(1, int(width))) or 1)
    step = max(1, -(-spans // ROWS))
    for start in range(0, spans, step):
        cells = (
            kind((course.highs if kind is max else course.means)[start : start + step])
            for course, kind in zip(courses, kinds, strict=True)
        )
        yield wait(start * width), *(f"{round(cell, 1):g}" for cell in cells)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
