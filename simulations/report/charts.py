"""Line and area charts as SVG, each with a name and a description for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulations.report.axes import Linear, Logarithmic
from simulations.report.markup import Markup, joined, tag

WIDTH, HEIGHT = 340.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 10.0, 26.0
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """The place that a chart has for what it shows.

    Attributes:
        x: the axis to the right, over `width` units.
        y: the axis upwards, over `height` units.
        right: room that is left beside it.
    """

    x: Linear | Logarithmic
    y: Linear
    right: float = RIGHT

    def across(self, value: float) -> float:
        """Where a value of the x axis lies."""
        return LEFT + self.x.at(value)

    def up(self, value: float) -> float:
        """Where a value of the y axis lies."""
        return TOP + self.y.length - self.y.at(value)

    def axes(self, xs: Iterable[tuple[float, str]], ys: Iterable[tuple[float, str]]) -> Markup:
        """The grid, and what is written beside it."""
        end, floor = LEFT + self.x.length, TOP + self.y.length
        grid = "".join(f"M{brief(LEFT)} {brief(self.up(value))}H{brief(end)}" for value, _ in ys)
        below = (
            tag("text", name, x=brief(self.across(value)), y=brief(floor + 16), text_anchor="middle")
            for value, name in xs
        )
        beside = (
            tag("text", name, x=brief(LEFT - 5), y=brief(self.up(value) + 4), text_anchor="end")
            for value, name in ys
        )
        ticks = "".join(f"M{brief(self.across(value))} {brief(floor)}v4" for value, _ in xs)
        return joined((tag("path", class_="grid", d=grid + ticks), *below, *beside))


def plot_width(right: float = RIGHT) -> float:
    """How much of a chart's width is between its axis and its right margin."""
    return WIDTH - LEFT - right


PLOT_HEIGHT = HEIGHT - TOP - BOTTOM


def line(points: Iterable[Point], style: str) -> Markup:
    """A line through points of the drawing."""
    found = tidy(points)
    return tag("path", class_=f"line {style}", d=_way(found)) if found else Markup("")


def area(frame: Frame, tops: Iterable[Point], style: str) -> Markup:
    """What lies between the x axis and a line that runs to the right."""
    found, floor = tidy(tops), round(frame.up(0.0), 1)
    if all(y == floor for _, y in found):
        return Markup("")
    outline = [(found[0][0], floor), *found, (found[-1][0], floor)]
    return tag("path", class_=f"area {style}", d=f"{_way(outline)}Z")


def _way(points: Sequence[Point]) -> str:
    """From point to point, as briefly as SVG can say it."""
    parts, last = [f"M{brief(points[0][0])} {brief(points[0][1])}"], points[0]
    for x, y in points[1:]:
        if y == last[1]:
            parts.append(f"H{brief(x)}")
        elif x == last[0]:
            parts.append(f"V{brief(y)}")
        else:
            parts.append(f"L{brief(x)} {brief(y)}")
        last = x, y
    return "".join(parts)


def stairs(frame: Frame, width: float, values: Sequence[float], until: float) -> list[Point]:
    """A figure that is constant over each span, up to a time."""
    found: list[Point] = []
    for index, value in enumerate(values):
        since = index * width
        if since >= until:
            break
        height = frame.up(value)
        found.append((frame.across(since), height))
        found.append((frame.across(min(until, since + width)), height))
    return found


def tidy(points: Iterable[Point]) -> list[Point]:
    """The points without those that lie on the way from one to the next at the same height."""
    found: list[Point] = []
    for x, y in ((round(x, 1), round(y, 1)) for x, y in points):
        if len(found) > 1 and found[-1][1] == found[-2][1] == y:
            found[-1] = x, y
        elif not found or found[-1] != (x, y):
            found.append((x, y))
    return found


def svg(
    title: str, described: str, width: float, height: float, *content: Markup, style: str = "chart"
) -> Markup:
    """A drawing that is told, too, to those who do not see it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", described),
        *content,
        class_=style,
        viewBox=f"0 0 {brief(width)} {brief(height)}",
        width=brief(width),
        height=brief(height),
        role="img",
        aria_label=f"{title}. {described}",
    )


def figure(title: str, *content: Markup) -> Markup:
    """A picture with its title and its figures."""
    return tag("figure", tag("figcaption", title), *content)


def brief(value: float) -> str:
    """A coordinate, to a tenth.

    >>> brief(3.04), brief(2.25), brief(-0.01)
    ('3', '2.2', '0')
    """
    return f"{round(value, 1) + 0.0:g}"
