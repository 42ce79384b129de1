"""The layouts of each node's GPUs as bands over time, with the times in which a node was changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from simulations.history.history import Band, History, NodeBands
from simulations.report import charts
from simulations.report.axes import Linear, times
from simulations.report.charts import brief
from simulations.report.keys import key, profile_styles
from simulations.report.markup import Markup, beside, joined, table, tag
from simulations.telling import wait
from solver.problem import Counts

WIDTH, LEFT, TOP, RIGHT = 900.0, 150.0, 24.0, 16.0
PLOT = WIDTH - LEFT - RIGHT
UNIT, GPU_GAP, NODE_GAP = 2.0, 2.0, 12.0
"""height of a memory slice, and what is left between GPUs and between nodes"""
MOST_ROWS = 150
"""of the table of a strategy"""
MOST_BLOCKS = 20_000
"""of all strategies together"""
NARROWEST = (0.5, 1.0, 2.0, 4.0)
"""widths: what would be narrower is left to what comes after it; the first with few enough blocks counts"""
_LONGEST_NAME = 20


def section(histories: Sequence[History]) -> Markup:
    """A drawing a strategy."""
    sizes = {name: size for one in histories for name, size in _sizes(one).items()}
    styles = profile_styles(sizes)
    until = max(one.seconds for one in histories)
    told = tag(
        "p",
        "A band is a GPU. Its blocks are its instances, as high as the memory that they have, the smallest "
        "on top; what is not cut is left blank. A bar with a flag marks the time in which a node took no pod "
        "because it was changed: from our taint until its slices were back. A band lasts while its "
        "node is there.",
    )
    shown = sorted(styles, key=lambda name: (sizes[name], name))
    entries = [(styles[name], f"{name}: {_number(sizes[name], 'memory slice')}") for name in shown]
    most = MOST_BLOCKS // len(histories)
    drawings = (_strategy(one, Linear(until, PLOT), sizes, styles, most) for one in histories)
    return tag("div", told, key(entries, blocks=True), *drawings)


def _strategy(
    whole: History, x: Linear, sizes: Mapping[str, int], styles: Mapping[str, str], most: int
) -> Markup:
    shown, narrowest = _chosen(whole, x, most)
    one = replace(whole, nodes=shown)
    heading, left_out = tag("h3", one.strategy), one.nodes_in_all - len(one.nodes)
    said = []
    if left_out:
        said.append(
            tag(
                "p",
                f"{left_out} of {one.nodes_in_all} nodes are left out: those that changed least, or never.",
            )
        )
    if not one.nodes:
        return tag("section", heading, *said, tag("p", "No node was ever changed."))
    drawing = _drawing(one, x, sizes, styles, narrowest)
    region = tag(
        "div",
        drawing,
        class_="scroll tall",
        tabindex="0",
        role="region",
        aria_label=f"Layouts under {one.strategy}",
    )
    return tag(
        "section", heading, *said, charts.figure(_counted(one), region, beside("Figures", *_figures(one)))
    )


def _counted(one: History) -> str:
    times_away = sum(node.changes_in_all for node in one.nodes)
    layouts = sum(node.changed for node in one.nodes)
    return f"{_number(layouts, 'new layout')} of GPUs, nodes out of service {_number(times_away, 'time')}"


def _chosen(one: History, x: Linear, most: int) -> tuple[tuple[NodeBands, ...], float]:
    """The nodes that are drawn, and how narrow a block may be."""
    for narrowest in NARROWEST:
        weights = [_weight(node, x, _end(node, one), narrowest) for node in one.nodes]
        if sum(weights) <= most:
            return one.nodes, narrowest
    order = sorted(range(len(weights)), key=lambda index: -one.nodes[index].changed)
    total = list(accumulate(weights[index] for index in order))
    kept = sorted(order[: max(1, sum(weight <= most for weight in total))])
    return tuple(one.nodes[index] for index in kept), NARROWEST[-1]


def _weight(node: NodeBands, x: Linear, end: float, narrowest: float) -> int:
    """How many blocks a node is drawn with; a bar counts as two."""
    layouts = (layout for band in node.gpus for _, _, layout in drawn(band, end, x, narrowest))
    return sum(count for layout in layouts for _, count in layout or ()) + 2 * len(node.changes)


def _drawing(
    one: History, x: Linear, sizes: Mapping[str, int], styles: Mapping[str, str], narrowest: float
) -> Markup:
    top, until = TOP, x.most
    blocks: dict[str, list[str]] = {}
    parts: list[Markup] = []
    marks: list[str] = []
    for node in one.nodes:
        middle = top + _height(node) / 2 + 4
        parts.append(tag("text", _short(node.node), x=brief(LEFT - 8), y=brief(middle), text_anchor="end"))
        end = _end(node, one)
        marks.extend(_marks(node, x, top, end))
        for band in node.gpus:
            _add(blocks, drawn(band, end, x, narrowest), x, top, sizes)
            if node.joined < end:
                parts.append(_outline(x, top, band, node.joined, end))
            top += band.memory_slices * UNIT + GPU_GAP
        top += NODE_GAP - GPU_GAP
    filled = [tag("path", class_=f"area {styles[name]}", d="".join(found)) for name, found in blocks.items()]
    changed = [tag("path", class_="mark", d="".join(marks))] if marks else []
    ticks = [
        tag("text", name, x=brief(LEFT + x.at(at)), y=14, text_anchor="middle")
        for at, name in times(until, 8)
    ]
    lines = "".join(f"M{brief(LEFT + x.at(at))} 18V{brief(top - NODE_GAP)}" for at, _ in times(until, 8))
    grid = tag("path", class_="grid", d=lines)
    title, described = f"Layouts of nodes under {one.strategy}", f"{_counted(one)}, over {wait(one.seconds)}"
    content = (grid, *parts, *filled, *changed, *ticks)
    return charts.svg(title, described, WIDTH, top, *content, style="wide")


def _add(
    blocks: dict[str, list[str]],
    layouts: Iterable[tuple[float, float, Counts | None]],
    x: Linear,
    top: float,
    sizes: Mapping[str, int],
) -> None:
    """The blocks of a GPU, by profile."""
    for since, until, layout in layouts:
        left, width, above = LEFT + x.at(since), x.at(until) - x.at(since), top
        for profile, count in sorted(layout or (), key=lambda part: (sizes[part[0]], part[0])):
            for _ in range(count):
                height = sizes[profile] * UNIT
                shape = f"M{brief(left)} {brief(above)}h{brief(width)}v{brief(height - 0.5)}h-{brief(width)}z"
                blocks.setdefault(profile, []).append(shape)
                above += height


def drawn(
    band: Band, end: float, x: Linear, narrowest: float
) -> Iterator[tuple[float, float, Counts | None]]:
    """The layouts of a GPU that are wide enough to be seen: from, to, layout."""
    starts = [*((since, layout) for since, layout in band.layouts if since < end), (end, None)]
    begun: float | None = None
    for (since, layout), (until, _) in pairwise(starts):
        begun = since if begun is None else begun
        if x.at(until) - x.at(begun) >= narrowest or until == end:
            yield begun, until, layout
            begun = None


def _outline(x: Linear, top: float, band: Band, since: float, end: float) -> Markup:
    left, width = brief(LEFT + x.at(since)), brief(x.at(end) - x.at(since))
    shape = f"M{left} {brief(top)}h{width}v{brief(band.memory_slices * UNIT)}h-{width}z"
    return tag("path", class_="outline", d=shape)


def _end(node: NodeBands, one: History) -> float:
    """When the band of a node ends, in seconds since the start."""
    return one.seconds if node.left is None else min(node.left, one.seconds)


def _marks(node: NodeBands, x: Linear, top: float, end: float) -> Iterator[str]:
    """A bar over a node's GPUs for each time in which it was changed, with a flag at its begin."""
    last = -1.0
    for change in node.changes:
        if change.since > end:
            continue
        left = LEFT + x.at(change.since)
        width = max(1.5, x.at(min(end, end if change.until is None else change.until)) - x.at(change.since))
        if left - last < 1.0:
            continue
        last = left
        bar = f"M{brief(left)} {brief(top - 5)}h{brief(width)}v{brief(_height(node) + 5)}h-{brief(width)}z"
        yield f"{bar}M{brief(left)} {brief(top - 8)}l6 3l-6 3z"


def _height(node: NodeBands) -> float:
    return sum(band.memory_slices * UNIT + GPU_GAP for band in node.gpus) - GPU_GAP


def _figures(one: History) -> Iterator[Markup]:
    layouts = [
        (since, node.node, f"GPU {index}", told(layout))
        for node in one.nodes
        for index, band in enumerate(node.gpus)
        for since, layout in band.layouts
    ]
    left = [(node.left, node.node, "all", "left") for node in one.nodes if node.left is not None]
    changes = [
        (
            change.since,
            node.node,
            "back" if change.until is not None else "not back",
            _lasted(change.since, node.left if change.until is None else change.until),
        )
        for node in one.nodes
        for change in node.changes
    ]
    yield _listed(f"Layouts under {one.strategy}", ("from", "node", "GPU", "layout"), [*layouts, *left])
    if changes:
        heads = ("from", "node", "slices", "out of service for")
        yield _listed(f"Nodes out of service under {one.strategy}", heads, changes)


def _listed(caption: str, heads: Sequence[str], found: Iterable[tuple[float, str, str, str]]) -> Markup:
    rows = sorted(found, key=lambda row: row[0])
    more = len(rows) - MOST_ROWS
    note = tag("p", f"{more} later rows are left out.") if more > 0 else Markup("")
    return joined((table(caption, heads, ((wait(at), *rest) for at, *rest in rows[:MOST_ROWS])), note))


def _lasted(since: float, until: float | None) -> str:
    return "until the end" if until is None else wait(until - since)


def told(layout: Counts | None) -> str:
    """A layout in words.

    >>> told((("1g.10gb", 4), ("3g.40gb", 1))), told(()), told(None)
    ('4 x 1g.10gb + 1 x 3g.40gb', 'not cut', 'MIG off')
    """
    if layout is None:
        return "MIG off"
    return " + ".join(f"{count} x {profile}" for profile, count in layout) or "not cut"


def _sizes(one: History) -> dict[str, int]:
    """Memory slices of the profiles of all layouts that are shown."""
    names = {
        profile
        for node in one.nodes
        for band in node.gpus
        for _, layout in band.layouts
        for profile, _ in layout or ()
    }
    return {name: one.sizes[name] for name in names}


def _number(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else noun + 's'}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
